"""GetObjectAttributesResponse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.protocol.xml.documents.objects import checksum_elements
from gateway.protocol.xml.writer import document, element, flag


@dataclass(frozen=True, slots=True)
class AttributesPart:
    number: int
    size: int
    checksums: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttributesPage:
    """A page of the parts of an object."""

    part_number_marker: int
    next_part_number_marker: int
    max_parts: int
    is_truncated: bool
    parts: Sequence[AttributesPart]

    def format(self) -> str:
        parts = "".join(
            f"<Part>{element('PartNumber', part.number)}{element('Size', part.size)}"
            f"{checksum_elements(part.checksums)}</Part>"
            for part in self.parts
        )
        return (
            element("PartNumberMarker", self.part_number_marker)
            + element("NextPartNumberMarker", self.next_part_number_marker)
            + element("MaxParts", self.max_parts)
            + flag("IsTruncated", self.is_truncated)
            + parts
        )


@dataclass(frozen=True, slots=True)
class GetObjectAttributesResponse:
    """What is None or empty was not asked for, or does not exist. `etag` stands without quotes in this one document.

    `page` is there for objects whose parts have checksums of their own.
    """

    etag: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: str | None = None
    part_count: int | None = None
    page: AttributesPage | None = None
    storage_class: str | None = None
    size: int | None = None

    def format(self) -> bytes:
        checksum = checksum_elements(self.checksums, self.checksum_type) if self.checksums else ""
        return document(
            "GetObjectAttributesResponse",
            (
                element("ETag", self.etag),
                f"<Checksum>{checksum}</Checksum>" if checksum else "",
                self._object_parts(),
                element("StorageClass", self.storage_class),
                element("ObjectSize", self.size),
            ),
        )

    def _object_parts(self) -> str:
        if self.part_count is None:
            return ""
        page = self.page.format() if self.page else ""
        return f"<ObjectParts>{element('PartsCount', self.part_count)}{page}</ObjectParts>"
