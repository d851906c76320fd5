"""`sealgate migrate`: what is kept, moved to where it shall be kept from now on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from database.location import check_url
from database.shared.moving import Differs, NotEmpty, move_to_database, move_to_file
from gateway.commands.alone import alone
from gateway.commands.failures import Failure, load_settings
from gateway.commands.identity_store import PLACE, told_act, told_failures
from gateway.commands.progress import Progress
from gateway.config import Settings
from gateway.identity_stores import open_identities
from gateway.index_stores import move_index
from gateway.storage.index import moving
from iam.store.postgresql.sharing import SHARING


@click.group()
def migrate() -> None:
    """Move what is kept to another store, while nothing serves DATA."""


@migrate.command("identities")
@PLACE
@click.option(
    "--to",
    required=True,
    type=click.Choice(["sqlite", "postgresql"]),
    help="Into DATA, or into the database that storage.index names.",
)
def migrate_identities(place: Path, to: str) -> None:
    """Move accounts, users, groups, roles, policies and access keys, and compare each row.

    No gateway that shares the database may run, on any machine. What they are moved from is left as it is, and is used
    until storage.identities is set: the last line says how.
    """
    settings = load_settings(place)
    if settings.storage.index == "sqlite":
        raise Failure("storage.index names no database: move the index first, whose keys seal the secrets")
    if settings.storage.identities == to:
        raise Failure(f"storage.identities is {to} already")
    with alone(settings), told_failures(), told_act(settings, "MoveIdentities", to=to):
        try:
            count = asyncio.run(_move(settings, to))
        except (NotEmpty, Differs) as error:
            raise Failure(f"nothing was moved: {error}") from error
    click.echo(f"{count} rows were moved, and are the same.")
    click.echo(f'Now set `identities = "{to}"` in the section [storage] of the configuration.')


@migrate.command("index")
@PLACE
@click.option("--to", required=True, help="sqlite, into DATA, or postgresql://USER@HOST:PORT/DATABASE.")
def migrate_index(place: Path, to: str) -> None:
    """Move buckets, versions, uploads, jobs and all else that the index has, and compare each row.

    No gateway that shares the database may run, on any machine. The section [database] of the configuration says how
    the database is reached. What the index is moved from is left as it is, and is used until storage.index is set.
    """
    settings = load_settings(place)
    source = settings.storage.index
    if to != "sqlite":
        try:
            check_url(to)
        except ValueError as error:
            raise Failure(f"--to: {error}") from error
        if source != "sqlite":
            raise Failure("storage.index names a database already: move the index to sqlite first")
        if not settings.index_path.exists():
            raise Failure(f"there is no index at {settings.index_path}")
    elif source == "sqlite":
        raise Failure("storage.index is sqlite already")
    elif settings.storage.identities == "postgresql":
        raise Failure("storage.identities is postgresql: move the identities to sqlite first")
    kind = "sqlite" if to == "sqlite" else "postgresql"
    with alone(settings), told_failures(), told_act(settings, "MoveIndex", to=kind), Progress("rows") as progress:
        try:
            count = asyncio.run(move_index(settings, to, progress.update))
        except (moving.NotEmpty, moving.Differs) as error:
            raise Failure(f"nothing was moved: {error}") from error
    click.echo(f"{count} rows were moved, and are the same.")
    click.echo(f'Now set `index = "{to}"` in the section [storage] of the configuration.')


async def _move(settings: Settings, to: str) -> int:
    database = await open_identities(settings)
    try:
        if to == "postgresql":
            return await move_to_database(database, SHARING, settings.identities_path)
        return await move_to_file(database, SHARING, settings.identities_path)
    finally:
        await database.close()
