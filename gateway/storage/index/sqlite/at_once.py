"""The usual write, marking and removal of an object, each in one statement.

Python gives up its lock three or four times for every statement. While the event loop wants it too each time may be a
wait and a wake-up by the kernel, and the nine statements of a PUT cost both threads more in these than SQLite took. So
what is usual is a program of SQLite's own: a trigger on a view that only this connection has, into which a row of all
that is needed is "inserted". Where its WHEN does not hold nothing happens, and the caller does the same in steps
(`versions.py`, which says what must hold).

One statement is done whole or not at all, whatever fails in it: it needs no savepoint.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from gateway.protocol.version_ids import NULL_VERSION_ID
from gateway.storage.index.checked_times import checked_time
from gateway.storage.index.records import NewBlob, ObjectRow, RowKind
from gateway.storage.index.sqlite.versions import StoredVersion, latest_place
from gateway.storage.index.version_columns import LATEST, NAMES, ahead_us, column_values

_OBJECT: Final = ("bucket_id", "history", "vsort", "ahead_us", *NAMES)
_BLOB: Final = ("stored_bytes", "is_inline", "data")
_REPLACED: Final = ("replaced_vsort", "replaced_blob_id", "replaced_manifest_id", "condemned_us")
_MOVED: Final = ("moved_vsort", "latest_place")
_PLACED: Final = (*_OBJECT, *_BLOB, *_REPLACED, *_MOVED)
_MARKED: Final = (*_OBJECT, *_MOVED)
_REMOVED: Final = ("bucket_id", "key", "vsort", "blob_id", "manifest_id", "condemned_us")


def _new(names: tuple[str, ...]) -> str:
    return ", ".join(f"NEW.{name}" for name in names)


def _view(name: str, columns: tuple[str, ...]) -> str:
    return f"CREATE TEMP VIEW {name} AS SELECT {', '.join(f'NULL AS {column}' for column in columns)}"


def _insert(view: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {view} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"  # noqa: S608  # constants


_HAS = "EXISTS (SELECT 1 FROM object_version WHERE bucket_id = NEW.bucket_id AND history = {} AND key = NEW.key)"
_ADD_BLOB = """
    INSERT INTO blob (blob_id, stored_bytes, is_inline, refs) VALUES (NEW.blob_id, NEW.stored_bytes, NEW.is_inline, 1);
    INSERT INTO inline_blob (blob_id, data) SELECT NEW.blob_id, NEW.data WHERE NEW.is_inline;
"""
_ADD_VERSION = f"INSERT INTO object_version ({', '.join(_OBJECT)}) VALUES ({_new(_OBJECT)});"  # noqa: S608  # constants only
_REMOVE_VERSION = """
    DELETE FROM object_version
    WHERE bucket_id = NEW.bucket_id AND history = 0 AND key = NEW.key AND vsort = NEW.{0}vsort;
    UPDATE blob SET refs = refs - 1, condemned_us = CASE refs WHEN 1 THEN NEW.condemned_us END
    WHERE blob_id IN (NEW.{0}blob_id, NEW.{0}manifest_id);
"""
_IS_NEW = """
    NOT EXISTS (
        SELECT 1 FROM object_version
        WHERE bucket_id = NEW.bucket_id AND history = 1 AND key = NEW.key AND vsort <= NEW.latest_place
            AND version_id = NEW.version_id
    )
"""
_MOVE_VERSION = """
    UPDATE object_version SET history = 1
    WHERE bucket_id = NEW.bucket_id AND history = 0 AND key = NEW.key AND vsort = NEW.moved_vsort;
"""
_NOTE_CHANGE = """
    UPDATE multipart_upload SET key_changed = upload_id WHERE bucket_id = NEW.bucket_id AND key = NEW.key;
"""

_PROGRAMS: Final = (
    _view("placed_object", _PLACED),
    f"""
    CREATE TEMP TRIGGER place_first INSTEAD OF INSERT ON placed_object
    WHEN NEW.replaced_vsort IS NULL AND NEW.moved_vsort IS NULL
        AND EXISTS (SELECT 1 FROM bucket WHERE bucket_id = NEW.bucket_id)
        AND NOT {_HAS.format(0)} AND NOT {_HAS.format(1)}
    BEGIN {_ADD_BLOB} {_ADD_VERSION} {_NOTE_CHANGE} END
    """,  # noqa: S608  # constants only
    f"""
    CREATE TEMP TRIGGER place_over INSTEAD OF INSERT ON placed_object WHEN NEW.replaced_vsort IS NOT NULL
    BEGIN {_REMOVE_VERSION.format("replaced_")} {_ADD_BLOB} {_ADD_VERSION} {_NOTE_CHANGE} END
    """,
    f"""
    CREATE TEMP TRIGGER place_above INSTEAD OF INSERT ON placed_object
    WHEN NEW.moved_vsort IS NOT NULL AND {_IS_NEW}
    BEGIN {_MOVE_VERSION} {_ADD_BLOB} {_ADD_VERSION} {_NOTE_CHANGE} END
    """,
    _view("marked_object", _MARKED),
    f"""
    CREATE TEMP TRIGGER mark_above INSTEAD OF INSERT ON marked_object WHEN {_IS_NEW}
    BEGIN {_MOVE_VERSION} {_ADD_VERSION} {_NOTE_CHANGE} END
    """,
    _view("removed_object", _REMOVED),
    f"""
    CREATE TEMP TRIGGER remove_only INSTEAD OF INSERT ON removed_object WHEN NOT {_HAS.format(1)}
    BEGIN {_REMOVE_VERSION.format("")} {_NOTE_CHANGE} END
    """,
)
_PLACE: Final = _insert("placed_object", _PLACED)
_MARK: Final = _insert("marked_object", _MARKED)
_REMOVE: Final = _insert("removed_object", _REMOVED)


def prepare(connection: sqlite3.Connection) -> None:
    """Before the others can be called; the database has the newest schema."""
    for program in _PROGRAMS:
        connection.execute(program)


def is_usual(row: ObjectRow, blobs: Sequence[NewBlob]) -> bool:
    """Whether `place_at_once` can write it: an object of one body, whose blob is new."""
    return (
        len(blobs) == 1
        and row.blob_ids == (blobs[0].blob_id,)
        and row.kind is RowKind.OBJECT
        and row.manifest_id is None
        and row.sealed_parts is None
    )


def place_at_once(
    connection: sqlite3.Connection, row: ObjectRow, blob: NewBlob, current: StoredVersion | None, now_us: int
) -> bool:
    """Place a row that `is_usual` as `place_version` does, its blob too. False if nothing was done.

    `current` is the newest version, or None: then it is done if there is the bucket and no version of the key. It is
    replaced by a version of its own id, and stays as history below any other one, if that has an id of its own.
    """
    vsort = LATEST - row.modified_us
    replaced: tuple[int, bytes | None, bytes | None, int] | tuple[None, None, None, None] = (None, None, None, None)
    moved: tuple[int, int] | tuple[None, None] = (None, None)
    if current is not None:
        if current.history:
            return False
        vsort = min(vsort, current.vsort - 1)
        old = current.row
        if old.version_id != row.version_id:
            if row.version_id == NULL_VERSION_ID:  # the one that it replaces may be anywhere in history
                return False
            moved = current.vsort, latest_place(row.version_id)
        elif current.has_parts:
            return False
        else:
            replaced = (current.vsort, old.blob_ids[0] if old.blob_ids else None, old.manifest_id, checked_time(now_us))
    columns = (row.bucket_id, 0, vsort, ahead_us(row, vsort), *column_values(row))
    data = (blob.stored_bytes, blob.inline is not None, blob.inline)
    return _is_done(connection, _PLACE, (*columns, *data, *replaced, *moved))


def mark_at_once(connection: sqlite3.Connection, marker: ObjectRow, current: StoredVersion) -> bool:
    """Place a delete marker above the newest version as `place_version` does, where that is an object and stays as
    history. False if nothing was done."""
    if current.history or marker.version_id in (NULL_VERSION_ID, current.row.version_id):
        return False
    vsort = min(LATEST - marker.modified_us, current.vsort - 1)
    columns = (marker.bucket_id, 1, vsort, ahead_us(marker, vsort), *column_values(marker))
    return _is_done(connection, _MARK, (*columns, current.vsort, latest_place(marker.version_id)))


def remove_at_once(connection: sqlite3.Connection, version: StoredVersion, now_us: int) -> bool:
    """Remove a version as `remove_version` does, if it is the only one of its key. False if nothing was done."""
    if version.history or version.has_parts:
        return False
    row = version.row
    blob_id = row.blob_ids[0] if row.blob_ids else None
    values = (row.bucket_id, row.key, version.vsort, blob_id, row.manifest_id, checked_time(now_us))
    return _is_done(connection, _REMOVE, values)


def _is_done(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> bool:
    before = connection.total_changes  # what a trigger changes counts here, and in no cursor's `rowcount`
    connection.execute(sql, values)
    return connection.total_changes != before
