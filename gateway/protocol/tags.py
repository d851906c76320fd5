"""Tags of objects and buckets: what may be one, and the form that `x-amz-tagging` has.

Amazon S3 User Guide, "Categorizing your storage using tags" and "Using cost allocation S3 bucket tags"; which refusal
is worded how is as recorded from S3. Tag sets are dicts from key to value, in the order in which they were given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.percent import decode_form

TAGGING = "x-amz-tagging"
TAGGING_DIRECTIVE = "x-amz-tagging-directive"
TAGGING_COUNT = "x-amz-tagging-count"

MAX_KEY_UNITS = 128
MAX_VALUE_UNITS = 256
"""UTF-16 code units: in those S3 keeps tags, so that a character beyond the basic plane counts twice."""

_SYMBOLS = frozenset("_.:/=+-@")
_MAJOR_CATEGORIES = frozenset("LNZ")  # letters, numbers, separators
_RESERVED_PREFIX = "aws:"


@dataclass(frozen=True, slots=True)
class TagRules:
    """What differs between the things that have tags: how many they have, and the words of two refusals."""

    max_tags: int
    too_many: str
    reserved: str
    names_reserved_key: bool = True


OBJECT_TAGS = TagRules(10, "Object tags cannot be greater than 10", "Your TagKey cannot be prefixed with aws:")
BUCKET_TAGS = TagRules(
    50, "Bucket tag count cannot be greater than 50", "System tags cannot be added/updated by requester"
)
NEW_BUCKET_TAGS = TagRules(
    50,
    BUCKET_TAGS.too_many,
    'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. Remove "aws:" from your '
    "tag keys and try again.",
    names_reserved_key=False,
)


def tag_set(pairs: Iterable[tuple[str, str]], rules: TagRules) -> dict[str, str]:
    """The tag set that `pairs` of key and value make.

    Raises S3Error BadRequest for too many; InvalidTag for a key or value that is too long or has other characters than
    letters, numbers, white space and `_ . : / = + - @`, for a key that stands twice or is reserved.
    """
    given = list(pairs)
    if len(given) > rules.max_tags:
        raise S3Error("BadRequest", rules.too_many)
    tags: dict[str, str] = {}
    for key, value in given:
        if not key or not _is_valid(key, MAX_KEY_UNITS):
            raise _invalid("The TagKey you have provided is invalid", TagKey=key)
        if not _is_valid(value, MAX_VALUE_UNITS):
            raise _invalid("The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        if key in tags:
            raise _invalid("Cannot provide multiple Tags with the same key", TagKey=key)
        if key.lower().startswith(_RESERVED_PREFIX):
            raise _invalid(rules.reserved, **({"TagKey": key} if rules.names_reserved_key else {}))
        tags[key] = value
    return tags


def tags_of_header(headers: Mapping[str, str]) -> dict[str, str]:
    """The object tags that `x-amz-tagging` carries: form-encoded pairs, told in order of their keys; {} without it.

    A pair without "=" is a key with an empty value. Raises S3Error InvalidArgument for what is not in this form, and
    what `tag_set` does.
    """
    text = headers.get(TAGGING, "")
    pairs: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        try:
            key, decoded = decode_form(name), decode_form(value)
        except S3Error:
            raise _malformed_header(text) from None
        if not key or key in pairs or "=" in value:
            raise _malformed_header(text)
        pairs[key] = decoded
    return tag_set(sorted(pairs.items()), OBJECT_TAGS)


def is_tagging_replaced(headers: Mapping[str, str]) -> bool:
    """`x-amz-tagging-directive` of CopyObject: False for COPY, the default. Raises S3Error InvalidArgument."""
    value = headers.get(TAGGING_DIRECTIVE, "COPY")
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument(TAGGING_DIRECTIVE, value, "Unknown tagging directive.")
    return value == "REPLACE"


def _is_valid(text: str, max_units: int) -> bool:
    if len(text) + sum(character > "\uffff" for character in text) > max_units:
        return False
    return all(each in _SYMBOLS or unicodedata.category(each)[0] in _MAJOR_CATEGORIES for each in text)


def _invalid(message: str, **fields: str) -> S3Error:
    return S3Error("InvalidTag", message, fields={name: value[: 2 * MAX_VALUE_UNITS] for name, value in fields.items()})


def _malformed_header(text: str) -> S3Error:
    return invalid_argument(
        TAGGING,
        text,
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "
        "duplicates.",
    )
