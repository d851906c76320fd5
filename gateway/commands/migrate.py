"""`sealgate migrate`: what is kept, moved to where it shall be kept from now on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from database.location import check_url
from database.shared.moving import move_to_database, move_to_file
from database.targets import Differs, NotEmpty
from gateway.commands.alone import alone
from gateway.commands.failures import Failure, load_settings
from gateway.commands.identity_store import PLACE, told_act, told_failures
from gateway.commands.opened import opened_stores, print_integrity_event
from gateway.commands.progress import Progress
from gateway.commands.scrub import follow
from gateway.config import Settings
from gateway.identity_stores import open_identities
from gateway.index_stores import move_index
from gateway.operations.scrub.moving import BlobMove
from gateway.operations.scrub.passes import ScrubNote, Telling
from gateway.storage.blobs.naming import locations_of
from iam.store.postgresql.sharing import SHARING


@click.group()
def migrate() -> None:
    """Move what is kept to another store."""


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
        except (NotEmpty, Differs) as error:
            raise Failure(f"nothing was moved: {error}") from error
    click.echo(f"{count} rows were moved, and are the same.")
    click.echo(f'Now set `index = "{to}"` in the section [storage] of the configuration.')


@migrate.command("blobs")
@PLACE
@click.option("--to", required=True, metavar="LOCATION", help="As in storage.blobs: file, file:/DIRECTORY, s3://…")
@click.option(
    "--bytes-per-second",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    show_default=True,
    help="Read at most so fast; 0: no limit.",
)
def migrate_blobs(place: Path, to: str, bytes_per_second: int) -> None:
    """Bring every blob to LOCATION, while gateways serve from where they are now.

    They have to write to both meanwhile: storage.blobs is a mirror of the two, and every gateway that shares the index
    was restarted since. Each copy is read again and held against its checksums. A move that was broken off goes on
    where it was. At the end nothing was deleted, and the last line says what to set.
    """
    settings = load_settings(place)
    here = locations_of(settings.storage.blobs)
    if here == (to,):
        raise Failure(f"storage.blobs is {to} already")
    if to not in here:
        raise Failure(
            f'set `blobs = "mirror({", ".join((*here[:1], to))})"` in the section [storage], restart every gateway, '
            "and give this command again"
        )
    (other,) = (location for location in here if location != to)
    with told_failures():
        note, late = asyncio.run(_move_blobs(settings, here.index(to), bytes_per_second))
    if note is None or note.bad:
        raise Failure(f"{0 if note is None else note.bad} blobs are bad in both places: `sealgate scrub --list-bad`")
    if late:
        raise Failure(
            f"{late} blobs were written to {other} alone since this began: a gateway that shares the index still has "
            "the setting of before; restart it, and give this command again"
        )
    click.echo(f"{note.seen} blobs are in {to}; {note.repaired} were brought there.")
    click.echo(
        f'Now set `blobs = "{to}"` in the section [storage], and restart every gateway. {other} is left as it is.'
    )


async def _move_blobs(settings: Settings, number: int, bytes_per_second: int) -> tuple[ScrubNote | None, int]:
    """What the move found, and how many blobs of since it began are not at its target."""
    async with opened_stores(settings) as stores:
        move = BlobMove(stores.index, stores.blobs, Telling(print_integrity_event), stores.owner, number)
        with Progress("blobs") as progress:
            await follow(move, progress, bytes_per_second, anew=False)
        note = await move.note()
        return note, 0 if note is None else await move.count_late(note)


async def _move(settings: Settings, to: str) -> int:
    database = await open_identities(settings)
    try:
        if to == "postgresql":
            return await move_to_database(database, SHARING, settings.identities_path)
        return await move_to_file(database, SHARING, settings.identities_path)
    finally:
        await database.close()
