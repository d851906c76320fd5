"""All rows of a store moved between a file of its own and the database that nodes share, and compared afterwards.

Nobody may change them meanwhile, on either side. The source is left as it is, and stays in charge until the operator
says otherwise; what was not moved whole is not there at the target.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from database.connection import Database, Transaction
from database.shared.changes import Changes
from database.shared.copy import Copy
from database.shared.formats import bring_to_newest_format
from database.shared.rows import Tables, every_row, is_there, tables_of
from database.shared.sharing import Sharing
from database.targets import Differs, NotEmpty, remove_database, require_absent, sync


async def move_to_database(database: Database, sharing: Sharing, path: Path) -> int:
    """From the file at `path`, brought to the newest schema before; how many rows. One transaction.

    Raises NotEmpty, unavailable, unknown.
    """
    changes = Changes(sharing)
    with sharing.translated(), closing(sharing.open_copy(path)) as connection:
        tables = tables_of(connection)
        connection.execute("BEGIN")  # one state of it, until it is closed
        return await database.write(partial(_write_all, changes, connection, tables))


async def _write_all(changes: Changes, connection: sqlite3.Connection, tables: Tables, transaction: Transaction) -> int:
    await changes.lock(transaction)
    if await changes.has_rows(transaction):
        raise NotEmpty(
            f"the table {changes.sharing.name}_row holds rows already: delete all of them, if nobody needs them"
        )
    await changes.forget_all(transaction)
    await changes.set_format(transaction, changes.sharing.newest_schema)
    await changes.write(transaction, await changes.state(transaction), every_row(connection, tables))
    return await _compare(changes, connection, tables, transaction)


async def move_to_file(database: Database, sharing: Sharing, path: Path) -> int:
    """Into a new file at `path`, which is there when all of it is on the disk; how many rows.

    Raises NotEmpty, Differs, unavailable.
    """
    require_absent(path)
    changes = Changes(sharing)
    await database.write(partial(bring_to_newest_format, changes))
    staging = path.with_name(f".{path.name}.moving")
    remove_database(staging)
    try:
        count = await database.read(partial(_fill, changes, staging))
        sync(staging)
        staging.rename(path)
        sync(path.parent)
    except OSError as error:
        raise sharing.unavailable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        remove_database(staging)
    return count


async def _fill(changes: Changes, path: Path, snapshot: Transaction) -> int:
    sharing = changes.sharing
    remove_database(path)  # of an attempt before this one
    state = await changes.state(snapshot)
    with closing(Copy(path, sharing)) as copy:
        await copy.replace(None, state.position, changes.pages(snapshot))
        copy.detach()
    with sharing.translated(), closing(sharing.open_copy(path)) as connection:
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise Differs(f"a row of {broken[0]} names one of {broken[2]} that is not there")
        return await _compare(changes, connection, tables_of(connection), snapshot)


async def _compare(changes: Changes, connection: sqlite3.Connection, tables: Tables, transaction: Transaction) -> int:
    """How many rows there are on both sides, each of which is the same."""
    count = 0
    async for rows in changes.pages(transaction):
        for row in rows:
            if not is_there(connection, tables, row):
                raise Differs(f"the row {row.key} of {row.kind} is another one")
        count += len(rows)
    expected = sum(
        connection.execute(f"SELECT count(*) FROM main.{name}").fetchone()[0]  # noqa: S608  # our own schema
        for name in tables
    )
    if count != expected:
        raise Differs(f"there are {count} rows in the database, and {expected} in the file")
    return count
