"""Headers that are kept with an object, and how they are told again.

Content headers, user metadata, storage class, and where a website would redirect its visitors to.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.query import Query
from iam.quickly_made import quickly_made

DEFAULT_CONTENT_TYPE = "binary/octet-stream"

MAX_METADATA_BYTES = 2048
"""Of names (without prefix) and values together (Amazon S3 User Guide, "User-defined object metadata")."""

MAX_CONTENT_HEADERS_BYTES = 8192
"""Of the content headers together; S3 bounds the whole header section of a PUT to 8 KB."""

METADATA_PREFIX = "x-amz-meta-"
STORAGE_CLASS = "x-amz-storage-class"
REDIRECT_LOCATION = "x-amz-website-redirect-location"

MAX_REDIRECT_LOCATION_BYTES = 2048
"""API_PutObject, "x-amz-website-redirect-location": 2 KB."""

_CONTENT_HEADERS = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-type": "Content-Type",
    "expires": "Expires",
}

STORAGE_CLASSES = frozenset(
    {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
)
"""Kept and told again, and all stored alike. Classes whose objects need a restore before a read are not among them."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@quickly_made
@dataclass(frozen=True, slots=True)
class ObjectHeaders:
    """`headers` by their names as sent to clients, the redirect location among them; `metadata` by names without
    `x-amz-meta-`, lower-case."""

    headers: dict[str, str]
    metadata: dict[str, str]
    storage_class: str

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> Self:
        """Raises S3Error MetadataTooLarge, InvalidStorageClass, InvalidRedirectLocation, InvalidArgument (a control
        character in a value)."""
        content = {"Content-Type": DEFAULT_CONTENT_TYPE}
        for name, shown in () if _CONTENT_HEADERS.keys().isdisjoint(headers) else _CONTENT_HEADERS.items():
            value = headers.get(name)
            if value and name == "content-encoding":
                value = _without_aws_chunked(value)
            if value:
                content[shown] = _checked(name, value)
        if sum(len(value.encode("utf-8", "surrogateescape")) for value in content.values()) > MAX_CONTENT_HEADERS_BYTES:
            raise S3Error("RequestHeaderSectionTooLarge", fields={"MaxSizeAllowed": str(MAX_CONTENT_HEADERS_BYTES)})
        return cls({**content, **redirect_location(headers)}, _metadata(headers), storage_class(headers))

    def copied(self, headers: Mapping[str, str]) -> Self:
        """Of a copy that takes these over, by the `headers` that CopyObject was sent with.

        A redirect location and a storage class are never copied (API_CopyObject): the request names them, or none.
        Raises S3Error InvalidStorageClass, InvalidRedirectLocation.
        """
        content = {name: value for name, value in self.headers.items() if name != REDIRECT_LOCATION}
        return replace(self, headers={**content, **redirect_location(headers)}, storage_class=storage_class(headers))


def storage_class(headers: Mapping[str, str]) -> str:
    """Raises S3Error InvalidStorageClass."""
    value = headers.get(STORAGE_CLASS, "STANDARD")
    if value not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", fields={"StorageClassRequested": value[:64]})
    return value


def redirect_location(headers: Mapping[str, str]) -> dict[str, str]:
    """`x-amz-website-redirect-location` where there is one, to be kept. Raises S3Error InvalidRedirectLocation.

    Only what can stand in a `Location` is taken: ASCII without spaces at its ends and without control characters.
    """
    value = headers.get(REDIRECT_LOCATION)
    if value is None:
        return {}
    if not value.startswith(("/", "http://", "https://")):
        raise S3Error("InvalidRedirectLocation")
    if len(value) > MAX_REDIRECT_LOCATION_BYTES:
        message = f"The length of website redirect location cannot exceed {MAX_REDIRECT_LOCATION_BYTES:,} characters."
        raise S3Error("InvalidRedirectLocation", message)
    if not value.isascii() or _CONTROL.search(value):
        raise S3Error("InvalidRedirectLocation", "The website redirect location must be a URL in ASCII.")
    return {REDIRECT_LOCATION: value}


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as response headers.

    Text beyond ASCII is told as RFC 2047 encoded words, as S3 does ("User-defined object metadata").
    """
    return {METADATA_PREFIX + name: _header_text(value) for name, value in metadata.items()}


def response_overrides(query: Query) -> dict[str, str]:
    """The `response-*` parameters of GetObject and HeadObject: headers to send instead of the object's own.

    There are six; a `response-` of another header is as any parameter that S3 does not know: ignored.
    Raises S3Error InvalidArgument for a value that cannot stand in a header.
    """
    overrides = {}
    for name in query:
        if name.startswith("response-"):
            shown = _CONTENT_HEADERS.get(name.removeprefix("response-"))
            value = query.get(name)
            if shown and value:
                if _CONTROL.search(value) or not value.isascii():
                    raise invalid_argument(name, value, "Header value cannot be represented using ISO-8859-1.")
                overrides[shown] = value
    return overrides


def is_metadata_replaced(headers: Mapping[str, str]) -> bool:
    """`x-amz-metadata-directive` of CopyObject: False for COPY, the default. Raises S3Error InvalidArgument."""
    value = headers.get("x-amz-metadata-directive", "COPY")
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument("x-amz-metadata-directive", value, "Unknown metadata directive.")
    return value == "REPLACE"


def _without_aws_chunked(value: str) -> str:
    """The framing of the upload is no property of the object."""
    codings = [coding.strip() for coding in value.split(",")]
    return ", ".join(coding for coding in codings if coding and coding.lower() != "aws-chunked")


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    if METADATA_PREFIX not in "".join(headers):  # most have none, which is seen without a look at each
        return metadata
    size = 0
    for name, value in headers.items():
        if name.startswith(METADATA_PREFIX):
            text = _text(_checked(name, value))
            short = name[len(METADATA_PREFIX) :]
            size += len(short.encode("utf-8", "surrogateescape")) + len(text.encode())
            metadata[short] = text
    if size > MAX_METADATA_BYTES:
        raise S3Error("MetadataTooLarge", fields={"Size": str(size), "MaxSizeAllowed": str(MAX_METADATA_BYTES)})
    return metadata


def _text(value: str) -> str:
    """Values arrive as UTF-8 text with surrogate escapes for other bytes: these are then taken for ISO 8859-1."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _header_text(value: str) -> str:
    if value.isascii():
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def _checked(name: str, value: str) -> str:
    """No control characters: what is kept now becomes a response header later."""
    if _CONTROL.search(value):
        raise invalid_argument(name, value.encode("ascii", "replace").decode(), "Invalid header value.")
    return value
