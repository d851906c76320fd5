"""What a rebuild found, in a database of its own that goes with it: a store has more blobs than memory has room for.

Rows of objects are in it as the index will have them, sealed, and beside them what the index has in the clear.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec

from gateway.rebuild.footers import Described, StoredFooter
from gateway.sealing.ids import id_time_ms
from gateway.storage.index.records import NewBlob, ObjectRow
from gateway.storage.index.version_columns import all_blobs

PAGE: Final = 500

_SCHEMA = """
    CREATE TABLE blob (
        blob_id BLOB NOT NULL PRIMARY KEY, stored_bytes INTEGER NOT NULL, plain_bytes INTEGER NOT NULL,
        commitment BLOB NOT NULL, state INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE version (
        blob_id BLOB NOT NULL PRIMARY KEY, row_uid BLOB NOT NULL, bucket_id BLOB NOT NULL, key BLOB NOT NULL,
        version_id TEXT NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL, described BLOB NOT NULL
    ) STRICT;
    CREATE INDEX version_by_row ON version (row_uid, blob_id);
    CREATE INDEX version_by_name ON version (bucket_id, key, version_id, blob_id);
    CREATE INDEX version_by_place ON version (place, blob_id);
"""

# Of several footers with one row uid, that of the youngest blob holds; and where a key has several versions of one
# id (null), the youngest took the place of the others.
_EARLIER: Final = (
    "SELECT blob_id, described FROM version AS one WHERE EXISTS (SELECT 1 FROM version AS other "
    "WHERE other.row_uid = one.row_uid AND other.blob_id > one.blob_id)",
    "SELECT blob_id, described FROM version AS one WHERE EXISTS (SELECT 1 FROM version AS other "
    "WHERE other.bucket_id = one.bucket_id AND other.key = one.key AND other.version_id = one.version_id "
    "AND other.blob_id > one.blob_id)",
)

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Described)


class State(IntEnum):
    """What became of a blob: `UNNAMED` ones are those that are held for an operator to look at."""

    UNNAMED = 0
    NAMED = 1
    EARLIER = 2


class Scratch:
    """See the module. `path` must not exist; the file goes with `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch(mode=0o600, exist_ok=False)
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")  # never committed: nobody else reads it

    def close(self) -> None:
        self._connection.close()
        self._path.unlink(missing_ok=True)

    def add_blob(self, stored: StoredFooter, state: State = State.UNNAMED) -> None:
        header = stored.header
        self._connection.execute(
            "INSERT INTO blob VALUES (?, ?, ?, ?, ?)",
            (header.blob_id, stored.stored_bytes, stored.footer.plain_length, header.commitment, state),
        )

    def add_unreadable(self, blob_id: bytes, stored_bytes: int) -> None:
        """A blob that no row may name, for nothing is known of it."""
        self._connection.execute("INSERT INTO blob VALUES (?, ?, -1, x'', 0)", (blob_id, stored_bytes))

    def add_version(self, blob_id: bytes, described: Described) -> None:
        """What the blob `blob_id` describes."""
        row = described.row
        self._connection.execute(
            "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (blob_id, row.row_uid, row.bucket_id, row.key, row.version_id, _place(row), row.size, _encode(described)),
        )

    def drop_incomplete(self) -> list[tuple[bytes, ObjectRow]]:
        """Take away versions whose blobs are not all there, as they say them; what they were, by their blob's id."""
        dropped = []
        for blob_id, described in self._described("SELECT blob_id, described FROM version"):
            if not self._is_complete(described):
                dropped.append((blob_id, described.row))
        for blob_id, _ in dropped:
            self._connection.execute("DELETE FROM version WHERE blob_id = ?", (blob_id,))
        return dropped

    def drop_earlier(self) -> int:
        """Take away versions that others took the place of; how many."""
        count = 0
        for query in _EARLIER:
            earlier = [(blob_id, all_blobs(described.row)) for blob_id, described in self._described(query)]
            for blob_id, named in earlier:
                self._mark(State.EARLIER, [blob_id, *named])
                self._connection.execute("DELETE FROM version WHERE blob_id = ?", (blob_id,))
                count += 1
        return count

    def mark_named(self) -> None:
        """To be called once the versions are those that will be in the index."""
        for _, described in self._described("SELECT blob_id, described FROM version"):
            self._mark(State.NAMED, all_blobs(described.row))

    def versions(self) -> Iterator[ObjectRow]:
        """In the order in which they were written."""
        for _, described in self._described("SELECT blob_id, described FROM version ORDER BY place, blob_id"):
            yield described.row

    def new_blobs(self, blob_ids: Sequence[bytes]) -> list[NewBlob]:
        """Those among them that no version has had before: each is given once."""
        new = []
        for blob_id in blob_ids:
            taken = self._connection.execute(
                "UPDATE blob SET plain_bytes = -2 WHERE blob_id = ? AND plain_bytes <> -2 RETURNING stored_bytes",
                (blob_id,),
            ).fetchall()
            new += [NewBlob(blob_id, stored_bytes) for (stored_bytes,) in taken]
        return new

    def unnamed(self) -> Iterator[list[NewBlob]]:
        """Blobs that nothing names, in pages."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("SELECT blob_id, stored_bytes FROM blob WHERE state = ?", (State.UNNAMED,))
            while page := cursor.fetchmany(PAGE):
                yield [NewBlob(*row) for row in page]

    def count(self) -> tuple[int, int]:
        """Versions, and the bytes of all of them together."""
        versions, size = self._connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM version").fetchone()
        return versions, size

    def _described(self, query: str) -> Iterator[tuple[bytes, Described]]:
        with closing(self._connection.cursor()) as cursor:
            for blob_id, described in cursor.execute(query):
                yield blob_id, _decoder.decode(described)

    def _is_complete(self, described: Described) -> bool:
        for blob_id, expected in zip(described.row.blob_ids, described.blobs, strict=True):
            found = self._connection.execute(
                "SELECT plain_bytes, commitment FROM blob WHERE blob_id = ?", (blob_id,)
            ).fetchone()
            if found != expected:
                return False
        return True

    def _mark(self, state: State, blob_ids: Iterable[bytes]) -> None:
        self._connection.executemany(
            "UPDATE blob SET state = ? WHERE blob_id = ?", [(state, blob_id) for blob_id in blob_ids]
        )


def _place(row: ObjectRow) -> int:
    """When a version was written, in Unix microseconds: an upload in parts has the time at which it was begun, and took
    its place among the versions of its key when it was completed, after its last part."""
    if not row.part_count:
        return row.modified_us
    return max(row.modified_us, *(id_time_ms(blob_id) * 1000 for blob_id in row.blob_ids))
