"""The few XML documents that a blob store needs (S3 API Reference, ListObjectsV2, ListMultipartUploads, ListParts,
CompleteMultipartUpload, "Error responses").

A backing store is trusted with nothing: what it says is bounded, and read strictly.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.reader import Element, boolean, children, read_document, text_of
from gateway.storage.errors import StorageUnavailable

MAX_PAGE_ELEMENTS = 32_000
"""Of a page of 1 000 entries, some of which have owners, storage classes and checksums."""


class NotADocument(StorageUnavailable):
    """The answer is not what the API promises."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the backing store's answer is not S3's: {what}")


class NotCompleted(Exception):
    """An upload was not completed, though the status said that all is well."""


@dataclass(frozen=True, slots=True)
class Listed:
    key: str
    modified_ms: int


@dataclass(frozen=True, slots=True)
class ListedUpload:
    key: str
    upload_id: str
    initiated_ms: int


@dataclass(frozen=True, slots=True)
class UploadPage:
    """`next_after` is the (key, upload id) to go on after; None on the last page."""

    uploads: tuple[ListedUpload, ...]
    next_after: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class UploadedPart:
    number: int
    etag: str
    crc32c: str


def read_error(body: bytes) -> tuple[str, str]:
    """Code and message of an error; empty ones for an answer that is none of S3's."""
    try:
        fields = _texts(read_document(body, "Error"))
    except S3Error:
        return "", ""
    return fields.get("Code", "")[:100], fields.get("Message", "")[:500]


def read_object_page(body: bytes) -> tuple[tuple[Listed, ...], bool]:
    """The entries of a page, and whether more follow."""
    root = _read(body, "ListBucketResult")
    entries = []
    for entry in _named(root, "Contents"):
        fields = _texts(entry)
        entries.append(Listed(_field(fields, "Key"), _milliseconds(_field(fields, "LastModified"))))
    return tuple(entries), _is_truncated(root)


def read_upload_page(body: bytes) -> UploadPage:
    root = _read(body, "ListMultipartUploadsResult")
    uploads = []
    for entry in _named(root, "Upload"):
        fields = _texts(entry)
        initiated_ms = _milliseconds(_field(fields, "Initiated"))
        uploads.append(ListedUpload(_field(fields, "Key"), _field(fields, "UploadId"), initiated_ms))
    following = None
    if _is_truncated(root):
        fields = _texts(root)
        following = (_field(fields, "NextKeyMarker"), fields.get("NextUploadIdMarker", ""))
    return UploadPage(tuple(uploads), following)


def read_newest_part_ms(body: bytes) -> int:
    """When the last part of a page came, in Unix milliseconds; 0 if there is none."""
    root = _read(body, "ListPartsResult", "ListPartsResponse")  # moto's name for it; clients do not look
    return max((_milliseconds(_field(_texts(entry), "LastModified")) for entry in _named(root, "Part")), default=0)


def read_upload_id(body: bytes) -> str:
    return _field(_texts(_read(body, "InitiateMultipartUploadResult")), "UploadId")


def check_completed(body: bytes) -> None:
    """CompleteMultipartUpload answers 200 before it has done its work: the document says how it ended.

    Raises NotCompleted, with the error's code, if it failed.
    """
    try:
        read_document(body.strip(), "CompleteMultipartUploadResult")
    except S3Error:
        code, message = read_error(body.strip())
        raise NotCompleted(f"{code}: {message}") from None


def read_versioning(body: bytes) -> str:
    """Enabled, Suspended, or empty where it never was."""
    return _texts(_read(body, "VersioningConfiguration")).get("Status", "")


def write_parts(parts: Sequence[UploadedPart]) -> bytes:
    """Numbers, ETags and checksums are what the backing store answered: none has a character that XML escapes."""
    pieces = ['<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">']
    pieces += (
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag}</ETag>"
        f"<ChecksumCRC32C>{part.crc32c}</ChecksumCRC32C></Part>"
        for part in parts
    )
    pieces.append("</CompleteMultipartUpload>")
    return "".join(pieces).encode()


def _read(body: bytes, *roots: str) -> Element:
    for root in roots:
        with suppress(S3Error):
            return read_document(body, root, max_elements=MAX_PAGE_ELEMENTS)
    raise NotADocument(f"no {roots[0]}")


def _named(root: Element, name: str) -> list[Element]:
    try:
        return [child for found, child in children(root) if found == name]
    except S3Error:
        raise NotADocument("text between elements") from None


def _texts(element: Element) -> dict[str, str]:
    """Those children that are plain text."""
    try:
        return {name: text_of(child) for name, child in children(element) if not len(child)}
    except S3Error:
        raise NotADocument("text between elements") from None


def _field(fields: dict[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise NotADocument(f"no {name}")
    return value


def _is_truncated(root: Element) -> bool:
    try:
        return boolean(_texts(root).get("IsTruncated", "false"))
    except S3Error:
        raise NotADocument("IsTruncated") from None


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise NotADocument("a time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
