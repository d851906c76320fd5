"""Documents of multipart uploads: begin, complete, list the parts of one, list those in progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from gateway.protocol.checksums import Algorithm
from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.query import MAX_PART_NUMBER
from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.documents.listing import Write, common_prefixes, name_writer
from gateway.protocol.xml.documents.objects import checksum_elements, owner_element
from gateway.protocol.xml.reader import children, integer, malformed, read_document, texts
from gateway.protocol.xml.writer import document, element, flag, quoted_etag

MAX_PARTS = 10_000

_CHECKSUMS = {algorithm.element: algorithm.name for algorithm in Algorithm}
_MEMBERS = frozenset({"ETag", "PartNumber", *_CHECKSUMS})


@dataclass(frozen=True, slots=True)
class InitiateMultipartUploadResult:
    bucket: str
    key: str
    upload_id: str

    def format(self) -> bytes:
        return document(
            "InitiateMultipartUploadResult",
            (element("Bucket", self.bucket), element("Key", self.key), element("UploadId", self.upload_id)),
        )


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as the client names it: `etag` without quotes, `checksums` algorithm name → Base64 text."""

    part_number: int
    etag: str
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompleteMultipartUpload:
    """1 to 10 000 parts, in ascending order of their numbers."""

    parts: Sequence[CompletedPart]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML, InvalidPartOrder or InvalidArgument (a part number).

        Recorded: no document at all is InvalidRequest.
        """
        if not body:
            raise S3Error("InvalidRequest", "You must specify at least one part")
        parts: list[CompletedPart] = []
        last = 0
        for name, child in children(read_document(body, "CompleteMultipartUpload", max_elements=8 * MAX_PARTS)):
            if name != "Part" or len(parts) >= MAX_PARTS:
                raise malformed()
            part = _completed_part(texts(child, _MEMBERS, ("ETag", "PartNumber")))
            if part.part_number <= last:
                raise S3Error("InvalidPartOrder")
            last = part.part_number
            parts.append(part)
        if not parts:
            raise malformed()
        return cls(tuple(parts))

    def format(self) -> bytes:
        return document(
            "CompleteMultipartUpload",
            (
                f"<Part>{quoted_etag(part.etag)}{checksum_elements(part.checksums)}"
                f"<PartNumber>{part.part_number}</PartNumber></Part>"
                for part in self.parts
            ),
        )


def _completed_part(members: dict[str, str]) -> CompletedPart:
    number = integer(members.pop("PartNumber"))
    if not 1 <= number <= MAX_PART_NUMBER:
        message = f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive"
        raise invalid_argument("PartNumber", str(number), message)
    etag = members.pop("ETag").strip().strip('"')
    return CompletedPart(number, etag, {_CHECKSUMS[name]: text.strip() for name, text in members.items()})


@dataclass(frozen=True, slots=True)
class CompleteMultipartUploadResult:
    """`location` is the URL or path of the object; `etag` is without quotes."""

    location: str
    bucket: str
    key: str
    etag: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: str | None = None

    def format(self) -> bytes:
        return document(
            "CompleteMultipartUploadResult",
            (
                element("Location", self.location),
                element("Bucket", self.bucket),
                element("Key", self.key),
                quoted_etag(self.etag),
                checksum_elements(self.checksums, self.checksum_type),
            ),
        )


@dataclass(frozen=True, slots=True)
class ListedPart:
    """One part of a listing: `etag` without quotes, `checksums` algorithm name → Base64 text."""

    part_number: int
    modified_us: int
    etag: str
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListPartsResult:
    """`next_part_number_marker` is the number of the last part shown; `initiator` is (id, display name), None where the
    owner is it too."""

    bucket: str
    key: str
    upload_id: str
    owner_id: str
    owner_display_name: str
    storage_class: str
    part_number_marker: int
    next_part_number_marker: int
    max_parts: int
    is_truncated: bool
    parts: Sequence[ListedPart]
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    url_encoded: bool = False
    initiator: tuple[str, str] | None = None

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        owner = (self.owner_id, self.owner_display_name)
        return document(
            "ListPartsResult",
            (
                element("Bucket", self.bucket),
                f"<Key>{write(self.key)}</Key>",
                element("UploadId", self.upload_id),
                owner_element(*(self.initiator or owner), "Initiator"),
                owner_element(*owner),
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


def _part(part: ListedPart) -> str:
    return (
        f"<Part><PartNumber>{part.part_number}</PartNumber>"
        f"<LastModified>{format_iso8601(part.modified_us)}</LastModified>{quoted_etag(part.etag)}"
        f"<Size>{part.size}</Size>{checksum_elements(part.checksums)}</Part>"
    )


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """One upload in progress; `initiator` is (id, display name), None where the owner is it too."""

    key: str
    upload_id: str
    initiated_us: int
    owner_id: str
    owner_display_name: str
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    initiator: tuple[str, str] | None = None


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
    uploads: Sequence[ListedUpload]
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
                common_prefixes(self.common_prefixes, url_encoded=self.url_encoded),
            ),
        )


def _upload(upload: ListedUpload, write: Write) -> str:
    owner = (upload.owner_id, upload.owner_display_name)
    return (
        f"<Upload><Key>{write(upload.key)}</Key>{element('UploadId', upload.upload_id)}"
        f"{owner_element(*(upload.initiator or owner), 'Initiator')}{owner_element(*owner)}"
        f"{element('StorageClass', upload.storage_class)}"
        f"<Initiated>{format_iso8601(upload.initiated_us)}</Initiated>"
        f"{element('ChecksumAlgorithm', upload.checksum_algorithm)}{element('ChecksumType', upload.checksum_type)}"
        "</Upload>"
    )
