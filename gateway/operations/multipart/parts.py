"""The parts that a CompleteMultipartUpload names, held against those that were uploaded."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.operations.context import Call
from gateway.operations.digests import DEFAULT_ALGORITHM
from gateway.operations.documents import PartDocument, PartEntry, UploadDocument
from gateway.protocol.checksums import (
    Algorithm,
    ChecksumType,
    PartChecksum,
    combine,
    declared_object_checksum,
    same_checksum,
)
from gateway.protocol.errors import S3Error
from gateway.protocol.query import MAX_PART_NUMBER
from gateway.protocol.xml.documents.multipart import CompletedPart
from gateway.storage.index.records import PartRow, UploadRow

MIN_PART_BYTES = 5 << 20
"""Every part but the last has at least 5 MiB (Amazon S3 multipart upload limits)."""

MAX_OBJECT_BYTES = 50 << 40
"""Amazon S3 multipart upload limits: an object has at most 50 TB."""


@dataclass(frozen=True, slots=True)
class ChosenParts:
    """What the parts make together. `entries` and `blob_ids` are in order of the object's bytes."""

    size: int
    etag: str
    algorithm: Algorithm
    checksum_type: ChecksumType
    checksum: str
    entries: list[PartEntry]
    blob_ids: tuple[bytes, ...]


async def choose_parts(
    call: Call, upload: UploadRow, asked: UploadDocument, wanted: Sequence[CompletedPart]
) -> ChosenParts:
    """Raises S3Error InvalidPart, InvalidPartOrder, EntityTooSmall, BadDigest, InvalidRequest."""
    algorithm = Algorithm[asked.checksum_algorithm] if asked.checksum_algorithm else DEFAULT_ALGORITHM
    checksum_type = ChecksumType[asked.checksum_type] if asked.checksum_type else ChecksumType.FULL_OBJECT
    rows = await call.services.index.list_parts(upload.upload_id, after=0, limit=MAX_PART_NUMBER)
    uploaded = {row.part_number: row for row in rows}
    _check_order(wanted)
    chosen: list[PartRow] = []
    entries: list[PartEntry] = []
    for part in wanted:
        row = uploaded.get(part.part_number)
        document = call.services.rows.open_part(row) if row is not None else None
        if row is None or document is None or not _is_meant(part, document):
            raise S3Error("InvalidPart", fields={"PartNumber": str(part.part_number), "ETag": part.etag[:128]})
        if row.size < MIN_PART_BYTES and part is not wanted[-1]:
            raise _too_small(part, row)
        chosen.append(row)
        checksum = document.checksums.get(algorithm.name)
        entries.append(PartEntry(row.part_number, row.size, document.commitment, document.etag, checksum))
    checksum = _combined(call.request.headers, algorithm, checksum_type, entries)
    size = sum(row.size for row in chosen)
    if size > MAX_OBJECT_BYTES:
        raise S3Error("EntityTooLarge", fields={"ProposedSize": str(size), "MaxSizeAllowed": str(MAX_OBJECT_BYTES)})
    return ChosenParts(
        size=size,
        etag=multipart_etag([entry.etag for entry in entries]),
        algorithm=algorithm,
        checksum_type=checksum_type,
        checksum=checksum,
        entries=entries,
        blob_ids=tuple(row.blob_id for row in chosen),
    )


def check_declared_size(headers: Mapping[str, str], size: int) -> None:
    """`x-amz-mp-object-size`. Raises S3Error InvalidRequest."""
    declared = headers.get("x-amz-mp-object-size")
    if declared is not None and declared.strip() != str(size):
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {declared[:32]} does not match what was computed: "
            f"{size}",
        )


def _check_order(wanted: Sequence[CompletedPart]) -> None:
    numbers = [part.part_number for part in wanted]
    if any(first >= second for first, second in itertools.pairwise(numbers)):
        raise S3Error("InvalidPartOrder")


def _is_meant(part: CompletedPart, document: PartDocument) -> bool:
    """The ETag is the uploaded one's, and so is each checksum that the client repeats."""
    if part.etag.strip('"') != document.etag:
        return False
    return all(document.checksums.get(name) == value for name, value in part.checksums.items())


def _too_small(part: CompletedPart, row: PartRow) -> S3Error:
    return S3Error(
        "EntityTooSmall",
        fields={
            "ProposedSize": str(row.size),
            "MinSizeAllowed": str(MIN_PART_BYTES),
            "PartNumber": str(row.part_number),
            "ETag": part.etag[:128],
        },
    )


def _combined(
    headers: Mapping[str, str], algorithm: Algorithm, checksum_type: ChecksumType, entries: Sequence[PartEntry]
) -> str:
    """The object's checksum; held against the one that the client declared for the object, if it did."""
    declared_type = headers.get("x-amz-checksum-type")
    if declared_type is not None and declared_type.upper() != checksum_type.name:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using the {checksum_type.name} checksum mode. The complete request must use the "
            "same checksum mode.",
        )
    checksum = combine(algorithm, checksum_type, [PartChecksum(entry.checksum or "", entry.size) for entry in entries])
    declared = declared_object_checksum(headers)
    if declared is not None and (declared[0] is not algorithm or not same_checksum(declared[1], checksum)):
        raise S3Error("BadDigest", f"The {declared[0].name} you specified did not match the calculated checksum.")
    return checksum


def multipart_etag(etags: Sequence[str]) -> str:
    """MD5 over the binary ETags of the parts, then "-" and their number; no object's for ETags that are none."""
    md5 = hashlib.md5(usedforsecurity=False)
    for etag in etags:
        try:
            md5.update(bytes.fromhex(etag.strip('"')))
        except ValueError:
            return ""
    return f"{md5.hexdigest()}-{len(etags)}"
