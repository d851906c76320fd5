"""What pages of listings tell, for comparison with rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.storage.index.pages import ObjectPage, VersionPage
from gateway.storage.index.records import ObjectRow
from gateway.storage.index.version_columns import NAMES, TOLD, column_values, told_columns

NOT_TOLD = frozenset(NAMES) - set(TOLD.split(", "))
"""Columns that a listing neither tells nor reads: its answer is the right one, whatever they hold."""


def told_of(rows: Iterable[ObjectRow]) -> list[Sequence[Any]]:
    return [told_columns(column_values(row)) for row in rows]


def keys_of(page: ObjectPage | VersionPage) -> list[bytes]:
    return [row[0] for row in page.told.rows]
