"""Names of buckets, keys and accounts: parsed once at the edge, trusted after.

Rules: Amazon S3 User Guide, "General purpose buckets naming rules" and "Naming Amazon S3 objects".
"""

from __future__ import annotations

import re
from typing import NewType

BucketName = NewType("BucketName", str)
ObjectKey = NewType("ObjectKey", str)
"""A key: text whose UTF-8 form has 1..1024 bytes; S3 orders keys by those bytes."""

MAX_KEY_BYTES = 1024

REGION_NAME = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")
"""What a region may be called: `us-east-1`, `eu-de`, `us-gov-west-1`, …; AWS knows the list of its own."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_ACCOUNT_REGIONAL_SUFFIX = "-an"


class InvalidName(ValueError):
    """The text is no legal bucket name or key."""


def account_regional_suffix(account_id: str, region: str) -> str:
    """What names in the namespace of an account in a region end with (User Guide, "Namespaces for general purpose
    buckets")."""
    return f"-{account_id}-{region}{_ACCOUNT_REGIONAL_SUFFIX}"


def parse_bucket_name(text: str, *, suffix: str | None = None) -> BucketName:
    """Check a bucket name by the rules for new general purpose buckets. Raises InvalidName.

    `suffix` is that of an account's regional namespace; None is the global one, whose names must not look like that.
    Periods next to hyphens are refused as S3 does, though the rules no longer say so.
    """
    if (
        not _BUCKET.fullmatch(text)
        or any(pair in text for pair in ("..", ".-", "-."))
        or _IPV4.fullmatch(text)
        or text.startswith(_RESERVED_PREFIXES)
        or text.endswith(_RESERVED_SUFFIXES if suffix else (*_RESERVED_SUFFIXES, _ACCOUNT_REGIONAL_SUFFIX))
        or not text.endswith(suffix or "")
    ):
        raise InvalidName(f"{text[:80]!r} is not a legal bucket name")
    return BucketName(text)


def parse_object_key(text: str) -> ObjectKey:
    """Check a key that was percent-decoded already. Raises InvalidName for an empty, overlong or non-UTF-8 one."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidName("a key must be UTF-8 text") from None
    if not 1 <= size <= MAX_KEY_BYTES:
        raise InvalidName(f"a key has 1..{MAX_KEY_BYTES} bytes of UTF-8; this one has {size}")
    return ObjectKey(text)


def bucket_arn(bucket: BucketName) -> str:
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: BucketName, key: ObjectKey) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"
