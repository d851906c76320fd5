"""Rows of an older schema made those of this program's, by SQLite's own migrations, in a database for the moment."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from database.connection import Transaction
from database.shared.changes import Changes
from database.shared.rows import SharedRow, add_rows, every_row, tables_of
from database.shared.sharing import Sharing, transaction


async def bring_to_newest_format(changes: Changes, transaction_: Transaction) -> None:
    """In one transaction. Raises unavailable for rows of a newer program, which are left alone."""
    state, sharing = await changes.lock(transaction_), changes.sharing
    newest = sharing.newest_schema
    if state.format > newest:
        raise sharing.unavailable(
            f"the database has format {state.format}, this program knows up to {newest}; use the newer program"
        )
    if state.format == newest:
        return
    # Also of format 0, which has no rows: those that migrations begin with.
    old = [row async for page in changes.pages(transaction_) for row in page]
    if changed := _changed(old, _migrated(sharing, old, state.format)):
        await changes.write(transaction_, state, changed)
    await changes.set_format(transaction_, newest)


def _migrated(sharing: Sharing, rows: list[SharedRow], schema: int) -> list[SharedRow]:
    with tempfile.TemporaryDirectory(prefix=f"sealgate-{sharing.name}-") as directory:
        path = Path(directory) / "rows.sqlite"
        with closing(sharing.open_copy(path, schema=schema)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            with transaction(connection):
                add_rows(connection, tables_of(connection), rows)
        with closing(sharing.open_copy(path)) as connection:
            return list(every_row(connection, tables_of(connection)))


def _changed(old: list[SharedRow], new: list[SharedRow]) -> list[SharedRow]:
    """What makes the old rows the new ones."""
    before = {(row.kind, row.key): row.content for row in old}
    after = {(row.kind, row.key): row.content for row in new}
    gone = [SharedRow(*place, None) for place in before.keys() - after.keys()]
    return gone + [SharedRow(*place, content) for place, content in after.items() if before.get(place) != content]
