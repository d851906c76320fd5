"""`sealgate scrub`: all that is stored looked at, for what is not what was written."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.commands.failures import PROBLEM, load_settings
from gateway.commands.identity_store import JSON, PLACE, format_time, told_failures
from gateway.commands.opened import OpenedStores, opened_keys, opened_stores, print_integrity_event
from gateway.commands.progress import Progress
from gateway.commands.terminal import printable, size_text
from gateway.config import Settings
from gateway.operations.scrub.deep import DeepScrub
from gateway.operations.scrub.passes import Pass, ScrubNote, Telling
from gateway.operations.scrub.shallow import ShallowScrub
from gateway.storage.index.interface import BlobIndex
from gateway.storage.index.records import BadBlob

LOOK_SECONDS = 0.5
"""Between two looks at how far a pass is."""

_LISTED = 1000


@click.command("scrub")
@PLACE
@click.option("--deep", is_flag=True, help="Authenticate every version of every object, with the keys of the KMS.")
@click.option(
    "--bytes-per-second",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read at most so fast; 0: no limit.  [default: scrub.bytes_per_second]",
)
@click.option("--anew", is_flag=True, help="Begin anew, in place of a pass that was left off.")
@click.option("--status", is_flag=True, help="Do nothing; tell of the pass that is under way, or was the last.")
@click.option("--list-bad", is_flag=True, help="Do nothing; name the blobs that were found to be bad, and are still.")
@JSON
def scrub(
    *,
    place: Path,
    deep: bool,
    bytes_per_second: int | None,
    anew: bool,
    status: bool,
    list_bad: bool,
    as_json: bool,
) -> None:
    """Check that everything stored in DATA is what was written, while it is served or stopped.

    Every blob is checked by its checksums, which takes no key. A pass that was left off, by this command or by the
    gateway, goes on where it was. Nothing is deleted: a bad blob stays where it is, with what of it can still be read,
    and is listed until it is well again, or deleted with its object. Where blobs have two copies, a bad one is made
    anew from the other. Exits with 1 if a blob is bad, or an object could not be looked at for its row was damaged.
    """
    settings = load_settings(place)
    rate = settings.scrub.bytes_per_second if bytes_per_second is None else bytes_per_second
    with told_failures():
        if list_bad:
            bad = asyncio.run(_bad(settings))
            _tell_bad(bad, as_json)
            is_well = not bad
        else:
            note = asyncio.run(_status(settings, deep=deep) if status else _scrub(settings, rate, deep=deep, anew=anew))
            _tell(note, as_json, deep=deep)
            is_well = note is None or not (note.bad or note.unchecked.get("DamagedRow"))
    if not is_well:
        click.get_current_context().exit(PROBLEM)


async def _status(settings: Settings, *, deep: bool) -> ScrubNote | None:
    async with opened_stores(settings) as stores:
        kind = DeepScrub if deep else ShallowScrub
        return await Pass.note_of(stores.index, kind.name)


async def _bad(settings: Settings) -> list[BadBlob]:
    async with opened_stores(settings) as stores:
        return [bad async for bad in _all_bad(stores.index)]


async def _all_bad(index: BlobIndex) -> AsyncIterator[BadBlob]:
    after = b""
    while page := await index.list_bad_blobs(after=after, limit=_LISTED):
        for bad in page:
            yield bad
        after = page[-1].blob_id


async def _scrub(settings: Settings, bytes_per_second: int, *, deep: bool, anew: bool) -> ScrubNote | None:
    async with _pass(settings, deep=deep) as scrubbing:
        with Progress("blobs") as progress:
            await follow(scrubbing, progress, bytes_per_second, anew=anew)
        return await scrubbing.note()


@contextlib.asynccontextmanager
async def _pass(settings: Settings, *, deep: bool) -> AsyncIterator[Pass]:
    telling = Telling(print_integrity_event)
    async with opened_stores(settings) as stores:
        if not deep:
            yield ShallowScrub(stores.index, stores.blobs, telling, stores.owner)
            return
        async with _deep_pass(settings, stores, telling) as scrubbing:
            yield scrubbing


@contextlib.asynccontextmanager
async def _deep_pass(settings: Settings, stores: OpenedStores, telling: Telling) -> AsyncIterator[Pass]:
    async with opened_keys(settings, stores.index, request_id="scrub") as keys:
        yield DeepScrub(
            stores.index,
            stores.blobs,
            telling,
            stores.owner,
            rows=keys.rows,
            data_keys=keys.data_keys,
            inline_limit_bytes=settings.storage.inline_bytes,
            via_service=f"s3.{settings.region}.amazonaws.com",
        )


async def follow(scrubbing: Pass, progress: Progress, bytes_per_second: int, *, anew: bool) -> None:
    """Until the pass has ended, whoever does it."""
    working = asyncio.create_task(scrubbing.run(bytes_per_second=bytes_per_second, anew=anew))
    try:
        while True:
            await asyncio.wait([working], timeout=LOOK_SECONDS)
            note = await scrubbing.note()
            if note is not None:
                progress.update(note.seen, note.total)
            if not working.done():
                continue
            if working.result() or (note is not None and note.ended_us is not None and not anew):
                return
            await asyncio.sleep(LOOK_SECONDS)  # another process has it
            working = asyncio.create_task(scrubbing.run(bytes_per_second=bytes_per_second, anew=anew))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _tell_bad(bad: Sequence[BadBlob], as_json: bool) -> None:
    if as_json:
        rows = [
            {"blobId": each.blob_id.hex(), "problem": each.problem, "found": format_time(each.found_us)} for each in bad
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for each in bad:
        click.echo(printable(f"{each.blob_id.hex()}  {format_time(each.found_us)}  {each.problem}"))


def _tell(note: ScrubNote | None, as_json: bool, *, deep: bool) -> None:
    if as_json:
        click.echo(json.dumps(None if note is None else _document(note), indent=2))
        return
    if note is None:
        click.echo("There was no scrub yet.")
        return
    state = "is under way" if note.ended_us is None else f"ended {format_time(note.ended_us)}"
    click.echo(f"The {'deep ' if deep else ''}scrub of {format_time(note.begun_us)} {state}.")
    click.echo(f"{note.well} blobs are well, of {note.seen} that were seen ({size_text(note.read_bytes)} read).")
    if note.without_checksum:
        click.echo(f"{note.without_checksum} have no checksum, but whole footers: `--deep` authenticates them.")
    if note.repaired:
        click.echo(f"{note.repaired} were made anew from their other copy.")
    for reason, count in sorted(note.unchecked.items()):
        click.echo(printable(f"{count} object versions could not be checked: {reason}"))
    if note.waiting is not None and note.ended_us is None:
        click.echo(printable(f"It waits: {note.waiting}"))
    if note.bad:
        click.echo(f"{note.bad} are bad: `sealgate scrub --list-bad` names them.")


def _document(note: ScrubNote) -> dict[str, Any]:
    return {
        "begun": format_time(note.begun_us),
        "ended": None if note.ended_us is None else format_time(note.ended_us),
        "total": note.total,
        "seen": note.seen,
        "readBytes": note.read_bytes,
        "well": note.well,
        "withoutChecksum": note.without_checksum,
        "bad": note.bad,
        "repaired": note.repaired,
        "unchecked": note.unchecked,
        "waitingFor": note.waiting,
    }
