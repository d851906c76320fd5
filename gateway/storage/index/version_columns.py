"""Columns of a version's row, as values: what every SQL engine has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from gateway.protocol.modes import Mode, Wrap
from gateway.storage.errors import RowDamaged
from gateway.storage.index.records import ObjectRow, RowKind

_ID_BYTES: Final = 16
_KINDS = {kind.value: kind for kind in RowKind}
_MODES = {mode.value: mode for mode in Mode}

LATEST: Final = 2**63 - 1
"""A version's `vsort` is this minus its time, so that the newest comes first."""

TOLD: Final = "key, row_uid, version_id, kind, size, modified_us, revision, sealed"
"""What a listing is answered from. The first two order rows (see `listing.py`)."""

# Of a whole row. As above, and the two after those say how to read the rest.
COLUMNS: Final = """
    key, row_uid, has_parts, blob_count, version_id, kind, size, modified_us, mode, wrapped, key_arn, key_version,
    blob_id, manifest_id, part_count, revision, sealed
"""

NAMES: Final = tuple(name.strip() for name in COLUMNS.split(","))

told_columns: Final = itemgetter(*(NAMES.index(name) for name in TOLD.split(", ")))
"""TOLD of COLUMNS."""


def column_values(row: ObjectRow) -> tuple[Any, ...]:
    """In the order of COLUMNS. A single blob stands in the row itself, more of them in the part columns."""
    has_parts = len(row.blob_ids) > 1 or row.sealed_parts is not None
    wrap = row.wrap
    return (
        row.key,
        row.row_uid,
        has_parts,
        len(row.blob_ids),
        row.version_id,
        row.kind,
        row.size,
        row.modified_us,
        wrap.mode,
        wrap.wrapped,
        wrap.key_arn,
        wrap.key_version,
        row.blob_ids[0] if row.blob_ids and not has_parts else None,
        row.manifest_id,
        row.part_count,
        row.revision,
        row.sealed,
    )


def ahead_us(row: ObjectRow, vsort: int) -> int:
    """How far before the place of its time the row stands; `vsort`, which no seal covers, is held against it."""
    return LATEST - row.modified_us - vsort


def has_parts(columns: Sequence[Any]) -> bool:
    return bool(columns[2])


def part_values(row: ObjectRow) -> tuple[Any, ...]:
    """What object_parts has of a row with parts: row_uid, blob_ids (16 bytes each, in part order), sealed_parts."""
    return row.row_uid, b"".join(row.blob_ids), row.sealed_parts


def row_of_columns(
    bucket_id: bytes, columns: Sequence[Any], blob_ids: bytes | None, sealed_parts: bytes | None
) -> ObjectRow:
    """From COLUMNS and, where `has_parts`, the part columns. Raises RowDamaged."""
    (
        key,
        row_uid,
        _has_parts,
        _blob_count,
        version_id,
        kind,
        size,
        modified_us,
        mode,
        wrapped,
        key_arn,
        key_version,
        blob_id,
        manifest_id,
        part_count,
        revision,
        sealed,
    ) = columns
    if blob_ids is not None:
        blobs = tuple([blob_ids[i : i + _ID_BYTES] for i in range(0, len(blob_ids), _ID_BYTES)])
    else:
        blobs = () if blob_id is None else (blob_id,)
    try:
        named_kind, wrap = _KINDS[kind], Wrap(_MODES[mode], wrapped, key_arn, key_version)
    except KeyError:
        raise RowDamaged(f"object {row_uid.hex()} is of kind {kind} and mode {mode}") from None
    return ObjectRow(
        bucket_id,
        key,
        row_uid,
        version_id,
        named_kind,
        size,
        modified_us,
        wrap,
        blobs,
        manifest_id,
        part_count,
        revision,
        sealed,
        sealed_parts,
    )


def uids_with_parts(rows: Sequence[Sequence[Any]]) -> list[bytes]:
    """Of those of COLUMNS whose lists of blobs stand elsewhere."""
    return [row[1] for row in rows if has_parts(row)]


def rows_of_columns(
    bucket_id: bytes, rows: Sequence[Sequence[Any]], blob_ids: Mapping[bytes, bytes]
) -> tuple[ObjectRow, ...]:
    """From COLUMNS of each, and the lists of blobs of those that have parts, by uid. Without `sealed_parts`.

    Raises RowDamaged, also for a list that is missing.
    """
    for uid in uids_with_parts(rows):
        if uid not in blob_ids:
            raise RowDamaged(f"the list of blobs of object {uid.hex()} is missing")
    return tuple(row_of_columns(bucket_id, row, blob_ids[row[1]] if has_parts(row) else None, None) for row in rows)


def all_blobs(row: ObjectRow) -> tuple[bytes, ...]:
    """Every blob that the version keeps alive: bodies and manifest."""
    return row.blob_ids if row.manifest_id is None else (*row.blob_ids, row.manifest_id)
