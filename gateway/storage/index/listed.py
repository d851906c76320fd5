"""The versions of a page as they came from the database.

To make a record of each of a thousand rows takes half as long as to fetch them, and a listing that is answered has no
use for records: they are made for who asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from gateway.storage.errors import RowDamaged
from gateway.storage.index.records import ObjectRow
from gateway.storage.index.version_columns import check_columns, has_parts, row_of_columns

_told: Final = itemgetter(0, 4, 5, 6, 7)


class Listed:
    """Versions of one bucket: `columns` are COLUMNS of each, `blob_ids` the lists of those that have parts, by uid.

    Equal to another one of the same rows.
    """

    __slots__ = ("blob_ids", "bucket_id", "columns")

    def __init__(
        self, bucket_id: bytes, columns: Sequence[Sequence[Any]], blob_ids: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Raises RowDamaged for a list that is missing, and for rows of which no record can be made."""
        self.bucket_id = bucket_id
        self.columns = columns
        self.blob_ids = blob_ids or {}
        check_columns(columns)
        for uid in uids_with_parts(columns):
            if uid not in self.blob_ids:
                raise RowDamaged(f"the list of blobs of object {uid.hex()} is missing")

    def told(self) -> list[tuple[bytes, str, int, int, int]]:
        """Key, version id, kind, size and `modified_us` of each."""
        return list(map(_told, self.columns))

    def rows(self) -> tuple[ObjectRow, ...]:
        """Without `sealed_parts`."""
        return tuple(
            row_of_columns(self.bucket_id, columns, self.blob_ids[columns[1]] if has_parts(columns) else None, None)
            for columns in self.columns
        )

    def __len__(self) -> int:
        return len(self.columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listed) and self.rows() == other.rows()

    def __repr__(self) -> str:
        return f"Listed({self.rows()!r})"

    __hash__ = None  # type: ignore[assignment]  # of what may change nobody needs one


def uids_with_parts(columns: Sequence[Sequence[Any]]) -> list[bytes]:
    """Of the rows whose lists of blobs stand elsewhere."""
    return [row[1] for row in columns if row[2]]
