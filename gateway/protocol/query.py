"""The query string of a request, and the parameters of S3's listings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.names import MAX_KEY_BYTES, REGION_NAME
from gateway.protocol.percent import decode_form

MAX_PARAMETERS = 256
"""No operation of the S3 model has more than 20, a presigned URL adds about 10."""

MAX_PAGE = 1000
"""What S3 returns at most in a page, whatever was asked for."""

MAX_BUCKETS_PAGE = 10_000
MAX_PART_NUMBER = 10_000
_MAX_INTEGER = 2**31 - 1
_INTEGER = re.compile(r"-?[0-9]{1,20}")


class Query:
    """Parameters by name, decoded once. Of a repeated parameter the first value counts."""

    __slots__ = ("_values", "raw")

    def __init__(self, raw: str) -> None:
        """`raw` is the query as received, without the "?". Raises S3Error InvalidURI."""
        self.raw = raw
        self._values: dict[str, list[str]] = {}
        if not raw:
            return
        if raw.count("&") >= MAX_PARAMETERS:
            raise S3Error("InvalidURI", f"A request has at most {MAX_PARAMETERS} query parameters.")
        for pair in raw.split("&"):
            if pair:
                name, _, value = pair.partition("=")
                self._values.setdefault(decode_form(name), []).append(decode_form(value))

    def has(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str | None:
        """The (first) value; "" for a parameter without value, None for an absent one."""
        values = self._values.get(name)
        return None if values is None else values[0]

    def get_all(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))

    def int_or_none(
        self, name: str, *, minimum: int = 0, maximum: int = _MAX_INTEGER, argument: str | None = None
    ) -> int | None:
        """A decimal integer `minimum`..`maximum`; None if absent or empty.

        Raises S3Error InvalidArgument, which names the parameter `argument` where S3 calls it otherwise in its errors.
        Recorded: what does not fit 32 bits is "not an integer", what does and is out of range gets the other text.
        """
        text = self.get(name)
        if not text:
            return None
        value = int(text) if _INTEGER.fullmatch(text) else None
        if value is None or not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER:
            raise invalid_argument(name, text, f"Provided {name} not an integer or within integer range")
        if not minimum <= value <= maximum:
            shown = argument or name
            raise invalid_argument(shown, text, f"Argument {shown} must be an integer between {minimum} and {maximum}")
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def part_number(query: Query) -> int:
    """`partNumber`, 1..10000. Raises S3Error InvalidArgument, also where it is missing."""
    text = query.get("partNumber") or ""
    if text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= MAX_PART_NUMBER:
        return int(text)
    message = f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive"
    raise invalid_argument("partNumber", text, message)


@dataclass(frozen=True, slots=True)
class ListBucketsParameters:
    """`continuation_token` is opaque here and in every other listing: whoever made it checks it."""

    prefix: str
    continuation_token: str | None
    max_buckets: int
    bucket_region: str | None

    @classmethod
    def parse(cls, query: Query) -> Self:
        """Raises S3Error InvalidArgument or KeyTooLongError. An empty token is none, unlike in the other listings."""
        maximum = query.int_or_none("max-buckets", minimum=1, maximum=MAX_BUCKETS_PAGE)
        region = query.get("bucket-region") or None
        if region is not None and not REGION_NAME.fullmatch(region):
            message = f"Argument value {region[:64]} is not a valid AWS Region"
            raise S3Error("InvalidArgument", message, fields={"ArgumentName": "bucket-region"})
        return cls(
            prefix=_text(query, "prefix"),
            continuation_token=query.get("continuation-token") or None,
            max_buckets=maximum or MAX_BUCKETS_PAGE,
            bucket_region=region,
        )


@dataclass(frozen=True, slots=True)
class ListObjectsV1Parameters:
    prefix: str
    delimiter: str
    marker: str
    max_keys: int
    url_encoded: bool

    @classmethod
    def parse(cls, query: Query) -> Self:
        """Raises S3Error InvalidArgument or KeyTooLongError, as all of these do."""
        return cls(
            prefix=_text(query, "prefix"),
            delimiter=_text(query, "delimiter"),
            marker=_text(query, "marker"),
            max_keys=_page(query, "max-keys", "maxKeys"),
            url_encoded=_url_encoded(query),
        )


@dataclass(frozen=True, slots=True)
class ListObjectsV2Parameters:
    prefix: str
    delimiter: str
    start_after: str
    continuation_token: str | None
    fetch_owner: bool
    max_keys: int
    url_encoded: bool

    @classmethod
    def parse(cls, query: Query) -> Self:
        return cls(
            prefix=_text(query, "prefix"),
            delimiter=_text(query, "delimiter"),
            start_after=_text(query, "start-after"),
            continuation_token=_token(query),
            fetch_owner=(query.get("fetch-owner") or "").lower() == "true",
            max_keys=_page(query, "max-keys", "maxKeys"),
            url_encoded=_url_encoded(query),
        )


@dataclass(frozen=True, slots=True)
class ListVersionsParameters:
    prefix: str
    delimiter: str
    key_marker: str
    version_id_marker: str
    max_keys: int
    url_encoded: bool

    @classmethod
    def parse(cls, query: Query) -> Self:
        key_marker, version_id_marker = _text(query, "key-marker"), _text(query, "version-id-marker")
        if version_id_marker and not key_marker:
            message = "A version-id marker cannot be specified without a key marker."
            raise invalid_argument("version-id-marker", version_id_marker, message)
        if query.has("version-id-marker") and not version_id_marker and key_marker:
            raise invalid_argument("version-id-marker", "", "A version-id marker cannot be empty.")
        return cls(
            prefix=_text(query, "prefix"),
            delimiter=_text(query, "delimiter"),
            key_marker=key_marker,
            version_id_marker=version_id_marker,
            max_keys=_page(query, "max-keys", "maxKeys"),
            url_encoded=_url_encoded(query),
        )


@dataclass(frozen=True, slots=True)
class ListUploadsParameters:
    """`upload_id_marker` is empty without a `key_marker`, since it means nothing then."""

    prefix: str
    delimiter: str
    key_marker: str
    upload_id_marker: str
    max_uploads: int
    url_encoded: bool

    @classmethod
    def parse(cls, query: Query) -> Self:
        key_marker = _text(query, "key-marker")
        return cls(
            prefix=_text(query, "prefix"),
            delimiter=_text(query, "delimiter"),
            key_marker=key_marker,
            upload_id_marker=_text(query, "upload-id-marker") if key_marker else "",
            max_uploads=_page(query, "max-uploads"),
            url_encoded=_url_encoded(query),
        )


@dataclass(frozen=True, slots=True)
class ListPartsParameters:
    upload_id: str
    part_number_marker: int
    max_parts: int
    url_encoded: bool

    @classmethod
    def parse(cls, query: Query) -> Self:
        return cls(
            upload_id=_text(query, "uploadId"),
            part_number_marker=query.int_or_none("part-number-marker") or 0,
            max_parts=_page(query, "max-parts"),
            url_encoded=_url_encoded(query),
        )


def _page(query: Query, name: str, argument: str | None = None) -> int:
    value = query.int_or_none(name, argument=argument)
    return MAX_PAGE if value is None else min(value, MAX_PAGE)


def _text(query: Query, name: str) -> str:
    """A prefix, marker or the like: nothing longer than a key can mean anything."""
    text = query.get(name) or ""
    if len(text) > MAX_KEY_BYTES or len(text.encode()) > MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError", fields={"Size": str(len(text.encode())), "MaxSizeAllowed": str(MAX_KEY_BYTES)})
    return text


def token_is_incorrect(token: str) -> S3Error:
    return invalid_argument("continuation-token", token, "The continuation token provided is incorrect")


def _token(query: Query) -> str | None:
    token = query.get("continuation-token")
    if token == "":
        raise token_is_incorrect(token)
    return token


def _url_encoded(query: Query) -> bool:
    encoding = query.get("encoding-type")
    if encoding and encoding != "url":
        raise invalid_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request")
    return bool(encoding)
