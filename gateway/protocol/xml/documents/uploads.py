"""Listings of multipart uploads and of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.documents.listings import Write, common_prefixes, name_writer
from gateway.protocol.xml.documents.objects import Owner, checksum_elements
from gateway.protocol.xml.writer import document, element, flag, quoted_etag


@dataclass(frozen=True, slots=True)
class PartItem:
    """One part of a listing: `etag` without quotes, `checksums` algorithm name → Base64 text."""

    part_number: int
    modified_us: int
    etag: str
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListPartsResult:
    """`next_part_number_marker` is the number of the last part shown; `owner` stands for the initiator too."""

    bucket: str
    key: str
    upload_id: str
    owner: Owner
    storage_class: str
    part_number_marker: int
    next_part_number_marker: int
    max_parts: int
    is_truncated: bool
    parts: Sequence[PartItem]
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    url_encoded: bool = False

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        return document(
            "ListPartsResult",
            (
                element("Bucket", self.bucket),
                f"<Key>{write(self.key)}</Key>",
                element("UploadId", self.upload_id),
                self.owner.format("Initiator"),
                self.owner.format(),
                element("StorageClass", self.storage_class),
                f"<PartNumberMarker>{self.part_number_marker}</PartNumberMarker>",
                f"<NextPartNumberMarker>{self.next_part_number_marker}</NextPartNumberMarker>",
                f"<MaxParts>{self.max_parts}</MaxParts>",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.is_truncated),
                element("ChecksumAlgorithm", self.checksum_algorithm),
                element("ChecksumType", self.checksum_type),
                *(_part(part) for part in self.parts),
            ),
        )


def _part(part: PartItem) -> str:
    return (
        f"<Part><PartNumber>{part.part_number}</PartNumber>"
        f"<LastModified>{format_iso8601(part.modified_us)}</LastModified>{quoted_etag(part.etag)}"
        f"<Size>{part.size}</Size>{checksum_elements(part.checksums)}</Part>"
    )


@dataclass(frozen=True, slots=True)
class UploadItem:
    """One upload in progress; `owner` stands for the initiator too."""

    key: str
    upload_id: str
    initiated_us: int
    owner: Owner
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True)
class ListMultipartUploadsResult:
    """The `next_` markers are shown only when truncated."""

    bucket: str
    prefix: str
    delimiter: str
    key_marker: str
    upload_id_marker: str
    next_key_marker: str
    next_upload_id_marker: str
    max_uploads: int
    url_encoded: bool
    is_truncated: bool
    uploads: Sequence[UploadItem]
    common_prefixes: Sequence[str]

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        return document(
            "ListMultipartUploadsResult",
            (
                element("Bucket", self.bucket),
                f"<KeyMarker>{write(self.key_marker)}</KeyMarker>",
                element("UploadIdMarker", self.upload_id_marker),
                f"<NextKeyMarker>{write(self.next_key_marker)}</NextKeyMarker>" if self.is_truncated else "",
                element("NextUploadIdMarker", self.next_upload_id_marker) if self.is_truncated else "",
                f"<Prefix>{write(self.prefix)}</Prefix>",
                f"<Delimiter>{write(self.delimiter)}</Delimiter>" if self.delimiter else "",
                f"<MaxUploads>{self.max_uploads}</MaxUploads>",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.is_truncated),
                *(_upload(upload, write) for upload in self.uploads),
                common_prefixes(self.common_prefixes, write),
            ),
        )


def _upload(upload: UploadItem, write: Write) -> str:
    return (
        f"<Upload><Key>{write(upload.key)}</Key>{element('UploadId', upload.upload_id)}"
        f"{upload.owner.format('Initiator')}{upload.owner.format()}{element('StorageClass', upload.storage_class)}"
        f"<Initiated>{format_iso8601(upload.initiated_us)}</Initiated>"
        f"{element('ChecksumAlgorithm', upload.checksum_algorithm)}{element('ChecksumType', upload.checksum_type)}"
        "</Upload>"
    )
