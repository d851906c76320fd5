"""CopyObjectResult and CopyPartResult, and the elements that several documents of objects share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.writer import document, element, quoted_etag


@lru_cache(maxsize=256)  # a listing has one owner for all of its entries
def owner_element(owner_id: str, display_name: str | None, name: str = "Owner") -> str:
    """An account as S3's XML names it: canonical user id (64 hex digits) and display name."""
    return f"<{name}>{element('ID', owner_id)}{element('DisplayName', display_name)}</{name}>"


def checksum_elements(checksums: Mapping[str, str], checksum_type: str | None = None) -> str:
    """`<ChecksumCRC32>…` for each algorithm name → Base64 text, then `<ChecksumType>` if one is given."""
    values = "".join(element(f"Checksum{name}", text) for name, text in checksums.items())
    return values + element("ChecksumType", checksum_type)


@dataclass(frozen=True, slots=True)
class CopyObjectResult:
    """`etag` is without quotes; `checksums` maps an algorithm's name to Base64 text."""

    etag: str
    modified_us: int
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: str | None = None

    def format(self) -> bytes:
        return document(
            "CopyObjectResult",
            (
                element("LastModified", format_iso8601(self.modified_us)),
                quoted_etag(self.etag),
                checksum_elements(self.checksums, self.checksum_type),
            ),
        )


@dataclass(frozen=True, slots=True)
class PostResponse:
    """What a browser form that asks for status 201 is answered with; `etag` with its quotes. It has no namespace."""

    location: str
    bucket: str
    key: str
    etag: str

    def format(self) -> bytes:
        return document(
            "PostResponse",
            (
                element("Location", self.location),
                element("Bucket", self.bucket),
                element("Key", self.key),
                element("ETag", self.etag),
            ),
            namespace=None,
        )


@dataclass(frozen=True, slots=True)
class CopyPartResult:
    etag: str
    modified_us: int
    checksums: Mapping[str, str] = field(default_factory=dict)

    def format(self) -> bytes:
        return document(
            "CopyPartResult",
            (
                element("LastModified", format_iso8601(self.modified_us)),
                quoted_etag(self.etag),
                checksum_elements(self.checksums),
            ),
        )
