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
    _check_declared_type(call.request.headers, asked)
    rows = await call.services.index.list_parts(upload.upload_id, after=0, limit=MAX_PART_NUMBER)
    uploaded = {row.part_number: row for row in rows}
    _check_order(wanted)
    chosen: list[PartRow] = []
    entries: list[PartEntry] = []
    for part in wanted:
        row = uploaded.get(part.part_number)
        document = call.services.rows.open_part(row) if row is not None else None
        if row is None or document is None or part.etag.strip('"') != document.etag:
            raise _invalid_part(call, part)
        _check_checksums(call, asked, part, document)
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


def _check_checksums(call: Call, asked: UploadDocument, part: CompletedPart, document: PartDocument) -> None:
    """The checksums that the client repeats are the uploaded ones, of the upload's algorithm; recorded from S3.

    An upload begun without an algorithm takes none, one with a composite checksum needs one of every part.
    """
    algorithm = asked.checksum_algorithm
    for name, value in part.checksums.items():
        if algorithm is not None and name != algorithm:
            message = f"The {name.lower()} you specified for part {part.part_number} did not match what we received."
            raise S3Error("BadDigest", message)
        if algorithm is None or document.checksums.get(name) != value:
            raise _invalid_part(call, part)
    if algorithm is not None and asked.checksum_type == "COMPOSITE" and algorithm not in part.checksums:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
            f"checksum for each part. It was missing for part {part.part_number} in the request.",
        )


def _check_declared_type(headers: Mapping[str, str], asked: UploadDocument) -> None:
    declared = headers.get("x-amz-checksum-type")
    if declared is not None and declared.upper() != asked.checksum_type:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using the {asked.checksum_type or 'null'} checksum mode. The complete request "
            "must use the same checksum mode.",
        )


def _invalid_part(call: Call, part: CompletedPart) -> S3Error:
    return S3Error(
        "InvalidPart",
        fields={
            "UploadId": (call.query.get("uploadId") or "")[:256],
            "PartNumber": str(part.part_number),
            "ETag": part.etag.strip('"')[:128],
        },
    )


def _too_small(part: CompletedPart, row: PartRow) -> S3Error:
    return S3Error(
        "EntityTooSmall",
        fields={
            "ProposedSize": str(row.size),
            "MinSizeAllowed": str(MIN_PART_BYTES),
            "PartNumber": str(row.part_number),
            "ETag": part.etag.strip('"')[:128],
        },
    )


def _combined(
    headers: Mapping[str, str], algorithm: Algorithm, checksum_type: ChecksumType, entries: Sequence[PartEntry]
) -> str:
    """The object's checksum; held against the one that the client declared for the object, if it did."""
    checksum = combine(algorithm, checksum_type, [PartChecksum(entry.checksum or "", entry.size) for entry in entries])
    declared = declared_object_checksum(headers)
    if declared is not None and (declared[0] is not algorithm or not same_checksum(declared[1], checksum)):
        raise S3Error("BadDigest", f"The {algorithm.name.lower()} you specified did not match the calculated checksum.")
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
