"""The list of object versions that belongs to a statement about a destroyed key: one JSON line each, by row id.

Kept in a file without a name while it is made, so that memory does not grow with it; what lies there is what the
index has in the clear as well.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from types import TracebackType
from typing import Self

from gateway.storage.index.records import KeyedObject


class Fate(StrEnum):
    """What the key's end means for a version."""

    UNREADABLE = "unreadable"
    OTHER_WRAPS = "otherWraps"
    """Another key wraps its data key, too, or did."""
    DAMAGED = "damagedRow"
    """Its row is not authentic, and opened nothing before."""


class VersionList:
    """A `gateway.operations.key_usage.Witness`. Use as a context."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(
            "CREATE TABLE version (row_uid BLOB NOT NULL PRIMARY KEY, fate TEXT NOT NULL, told TEXT NOT NULL)"
        )
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()

    def see(self, each: KeyedObject, *, is_damaged: bool) -> None:
        row = each.row
        told = {
            "rowId": row.row_uid.hex(),
            "bucket": each.bucket_name,
            "key": row.key.decode(errors="backslashreplace"),
            "versionId": row.version_id,
            "keyVersion": row.wrap.key_version,
            "bytes": row.size,
        }
        fate = Fate.DAMAGED if is_damaged else Fate.OTHER_WRAPS
        # A row that moved while it was listed comes twice: the later one counts.
        self._database.execute("INSERT OR REPLACE INTO version VALUES (?, ?, ?)", (row.row_uid, fate, json.dumps(told)))

    def only(self, row_uid: bytes) -> None:
        self._database.execute("UPDATE version SET fate = ? WHERE row_uid = ?", (Fate.UNREADABLE, row_uid))

    def count(self, fate: Fate) -> int:
        ((count,),) = self._database.execute("SELECT count(*) FROM version WHERE fate = ?", (fate,))
        return int(count)

    def lines(self) -> Iterator[bytes]:
        """With their newlines."""
        for fate, told in self._database.execute("SELECT fate, told FROM version ORDER BY row_uid"):
            yield json.dumps({**json.loads(told), "fate": fate}, separators=(",", ":")).encode() + b"\n"

    def digest(self) -> tuple[str, int]:
        """SHA-256 of all lines, hex, and how many they are."""
        hashed, count = hashlib.sha256(), 0
        for line in self.lines():
            hashed.update(line)
            count += 1
        return hashed.hexdigest(), count
