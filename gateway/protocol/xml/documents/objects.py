"""CopyObjectResult and CopyPartResult, and the elements that several documents of objects share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.writer import document, element, quoted_etag


@dataclass(frozen=True, slots=True)
class Owner:
    """An account as S3's XML names it: canonical user id (64 hex digits) and display name."""

    canonical_id: str
    display_name: str

    def format(self, name: str = "Owner") -> str:
        return f"<{name}>{element('ID', self.canonical_id)}{element('DisplayName', self.display_name)}</{name}>"


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
