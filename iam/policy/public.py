"""Whether a bucket policy gives something to the public, by S3's definition.

A statement that allows everyone is public unless a condition binds it to fixed values of what tells callers apart.
Source: S3 User Guide, "Blocking public access to your Amazon S3 storage", 'The meaning of "public"'.
"""

from __future__ import annotations

import functools
import ipaddress
import json
from collections.abc import Mapping, Sequence

MAX_REMEMBERED = 256
"""Policies, of at most 20 KB each."""

_NAMING = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
"""Condition keys of which a fixed value leaves a statement to a fixed set of callers."""

_EQUALLING = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"})
"""Operators that hold for their values alone. IfExists and ForAllValues hold without any."""

_NARROWEST_PUBLIC_PREFIX = {4: 7, 6: 31}
"""Networks this wide are the public: the guide draws the line at /8 for IPv4 and /32 for IPv6."""


@functools.lru_cache(MAX_REMEMBERED)
def is_public(text: str) -> bool:
    """`text` is a policy that `iam.policy.bucket.parse_bucket_policy` accepts."""
    statements = json.loads(text)["Statement"]
    return any(map(_is_public_statement, statements if isinstance(statements, list) else [statements]))


def _is_public_statement(statement: Mapping[str, object]) -> bool:
    if statement["Effect"] != "Allow" or not _allows_anyone(statement):
        return False
    conditions = statement.get("Condition") or {}
    assert isinstance(conditions, dict)
    return not any(
        _is_fixed(operator.removeprefix("ForAnyValue:"), key.lower(), _texts(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _allows_anyone(statement: Mapping[str, object]) -> bool:
    """Everyone but some is everyone, too."""
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return True
    return "*" in _texts(principal.get("AWS", []))


def _is_fixed(operator: str, key: str, values: Sequence[str]) -> bool:
    if not values:
        return True  # which no request equals
    if key == "aws:sourceip":
        return operator == "IpAddress" and all(map(_is_narrow, values))
    return key in _NAMING and operator in _EQUALLING and not any(map(_varies, values))


def _varies(value: str) -> bool:
    return any(mark in value for mark in ("*", "?", "${"))


def _is_narrow(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:  # a variable
        return False
    return network.prefixlen > _NARROWEST_PUBLIC_PREFIX[network.version]


def _texts(value: object) -> Sequence[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
