"""What listings are answered from: some columns of each version, as they came from the database.

To make a record of each of a thousand rows takes half as long as to fetch them, and a listing that is answered has no
use for records, nor for what opens an object: that stands in columns which are neither read nor proved for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """Versions of one bucket: `rows` are `version_columns.TOLD` of each."""

    bucket_id: bytes
    rows: Sequence[Sequence[Any]]

    def __len__(self) -> int:
        return len(self.rows)
