"""Documents that begin and complete a multipart upload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from gateway.protocol.checksums import Algorithm
from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.query import MAX_PART_NUMBER
from gateway.protocol.xml.documents.objects import checksum_elements
from gateway.protocol.xml.reader import children, integer, malformed, read_document, texts
from gateway.protocol.xml.writer import document, element, quoted_etag

MAX_PARTS = 10_000

_CHECKSUMS = {algorithm.element: algorithm.name for algorithm in Algorithm}
_NOT_SERVED = {f"Checksum{name}": name for name in ("MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128")}
_MEMBERS = frozenset({"ETag", "PartNumber", *_CHECKSUMS, *_NOT_SERVED})


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
        """Raises S3Error MalformedXML, InvalidPartOrder, InvalidArgument (a part number), or NotImplemented."""
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
    for name in members:
        if name in _NOT_SERVED:
            raise S3Error("NotImplemented", f"The checksum algorithm {_NOT_SERVED[name]} is not implemented.")
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
