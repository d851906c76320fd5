"""Columns of the rows of uploads and parts, as values: what every SQL engine has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.protocol.modes import Mode, Wrap
from gateway.storage.errors import RowDamaged
from gateway.storage.index.records import PartRow, UploadRow

# The first two order rows: see `listing.py`.
COLUMNS: Final = """
    key, upload_id, bucket_id, row_uid, initiated_us, mode, wrapped, key_arn, key_version, revision, sealed
"""
PART_COLUMNS: Final = "upload_id, part_number, blob_id, size, modified_us, revision, sealed"


def column_values(row: UploadRow) -> tuple[Any, ...]:
    """In the order of COLUMNS."""
    wrap = row.wrap
    return (
        row.key,
        row.upload_id,
        row.bucket_id,
        row.row_uid,
        row.initiated_us,
        wrap.mode,
        wrap.wrapped,
        wrap.key_arn,
        wrap.key_version,
        row.revision,
        row.sealed,
    )


def part_values(row: PartRow) -> tuple[Any, ...]:
    """In the order of PART_COLUMNS."""
    return row.upload_id, row.part_number, row.blob_id, row.size, row.modified_us, row.revision, row.sealed


def upload_row(columns: Sequence[Any]) -> UploadRow:
    """Raises RowDamaged."""
    key, upload_id, bucket_id, row_uid, initiated_us, mode, wrapped, key_arn, key_version, revision, sealed = columns
    try:
        wrap = Wrap(Mode(mode), wrapped, key_arn, key_version)
    except ValueError:
        raise RowDamaged(f"upload {upload_id.hex()} is of mode {mode}") from None
    return UploadRow(upload_id, bucket_id, key, row_uid, initiated_us, wrap, revision, sealed)
