"""`sealgate index`: the index as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.blob_open import BlobError, parse_text_key, read_key
from gateway.blob_stores import open_blob_store
from gateway.bucket_key_store import open_bucket_keys
from gateway.commands.alone import alone
from gateway.commands.failures import PROBLEM, Failure, load_settings
from gateway.commands.identity_store import JSON, PLACE, told_act, told_failures
from gateway.commands.lazy import LazyGroup
from gateway.commands.progress import Progress
from gateway.commands.terminal import printable, size_text
from gateway.config import Settings
from gateway.identities import key_service
from gateway.index_notes import Notes, NotesError, read_notes
from gateway.index_stores import open_index, set_index_aside
from gateway.operations.sealed_rows import SealedRows
from gateway.rebuild.footers import REQUEST_ID, FooterOpener
from gateway.rebuild.rebuilder import NotEmpty, Rebuilder, RebuildReport, require_empty
from gateway.rebuild.scratch import Scratch
from gateway.sealing.data_keys import DataKeys
from gateway.service_keys import open_service_keys
from gateway.storage.index.records import BucketKeyRow
from kms.api.secrets import SecretBytes
from kms.epoch import SharedEpoch

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("index", cls=LazyGroup, lazy={"verify": "gateway.commands.verify_index:verify_command"})
def index_group() -> None:
    """Work on the index as a whole."""


@index_group.command("rebuild")
@PLACE
@click.option("--dry-run", is_flag=True, help="Read and open every footer, and tell what would be made; write nothing.")
@click.option(
    "--notes", type=_FILE, help="The notes of the lost index, from a backup.  [default: DATA/store/index-notes]"
)
@click.option(
    "--customer-key-file",
    "customer_keys",
    type=_FILE,
    multiple=True,
    help="A customer's key (SSE-C): 32 bytes, 64 hexadecimal digits or Base64. May be repeated; each blob that needs "
    "one is tried with all of them.",
)
@click.option(
    "--other-buckets", is_flag=True, help="Take objects of buckets that the notes do not name, too: recovered-ID."
)
@click.option(
    "--set-aside",
    is_flag=True,
    help="Put what is there of the index aside before the new one is written. On PostgreSQL its tables alone go to "
    "another schema: identities and keys stay.",
)
@click.option("--drop-parts", is_flag=True, help="Let the sweep have parts that no object names: uploads in progress.")
@JSON
def rebuild_command(
    *,
    place: Path,
    dry_run: bool,
    notes: Path | None,
    customer_keys: tuple[Path, ...],
    other_buckets: bool,
    set_aside: bool,
    drop_parts: bool,
    as_json: bool,
) -> None:
    """Make the index of DATA anew from the footers of its blobs, into an empty database, while nothing serves DATA.

    For when the index is lost and no backup of it is there: docs/rebuild.md says what is not in the footers. Every
    footer is authenticated; the KMS is asked as the root user of each bucket's account. What cannot be opened is told
    and kept. Exits with 1 if something was.
    """
    settings = load_settings(place)
    with told_failures(), alone(settings):
        try:
            noted = read_notes(notes or settings.notes_path)
            keys = [SecretBytes(parse_text_key(read_key(path))) for path in customer_keys]
        except FileNotFoundError as error:
            raise Failure(f"there is no {error.filename}: without the service's keys nothing can be opened") from error
        except (NotesError, BlobError) as error:
            raise Failure(str(error)) from error
        report = asyncio.run(
            _rebuild(
                settings,
                noted,
                keys,
                dry_run=dry_run,
                other_buckets=other_buckets,
                sets_aside=set_aside,
                keeps_parts=not drop_parts,
            )
        )
    if as_json:
        click.echo(json.dumps(_document(report, dry_run), indent=2, ensure_ascii=False))
    else:
        for line in _told(report, dry_run):
            click.echo(printable(line))
    if report.skipped or report.damaged_buckets:
        click.get_current_context().exit(PROBLEM)


async def _rebuild(
    settings: Settings,
    notes: Notes,
    customer_keys: list[SecretBytes],
    *,
    dry_run: bool,
    other_buckets: bool,
    sets_aside: bool,
    keeps_parts: bool,
) -> RebuildReport:
    if not dry_run and not sets_aside:
        await _refuse_early(settings)
    scratch = Scratch(settings.run_directory / f"rebuild-{os.getpid()}.sqlite")
    with contextlib.closing(scratch), Progress("blobs") as reading, Progress("versions") as writing:
        bars = {"blobs": reading, "versions": writing}
        async with _opener(settings, notes, customer_keys) as (rows, opener, blobs):
            rebuilder = Rebuilder(
                notes,
                blobs,
                rows,
                opener,
                scratch,
                settings.region,
                other_buckets=other_buckets,
                keeps_parts=keeps_parts,
                progress=lambda what, done, total: bars[what].update(done, total),
            )
            await rebuilder.read()
        if not dry_run:
            await _write(settings, rebuilder, sets_aside=sets_aside)
        return rebuilder.report


async def _refuse_early(settings: Settings) -> None:
    """Before all is read. Raises Failure."""
    if settings.storage.index == "sqlite":
        settings.index_path.parent.mkdir(mode=0o700, exist_ok=True)
    index = await open_index(settings)
    try:
        await require_empty(index)
    except NotEmpty as error:
        raise Failure(str(error)) from error
    finally:
        await index.close()


async def _write(settings: Settings, rebuilder: Rebuilder, *, sets_aside: bool) -> None:
    with told_act(settings, "RebuildIndex", versions=str(rebuilder.report.versions)):
        if sets_aside:  # only now: until everything is read and opened, it may be that it is better than nothing
            click.echo(printable(f"The index that was there lies in {await set_index_aside(settings)}."), err=True)
            settings.index_path.parent.mkdir(mode=0o700, exist_ok=True)
        index = await open_index(settings)
        try:
            await rebuilder.write(index)
        except NotEmpty as error:
            raise Failure(str(error)) from error
        finally:
            await index.close()


@contextlib.asynccontextmanager
async def _opener(
    settings: Settings, notes: Notes, customer_keys: list[SecretBytes]
) -> AsyncIterator[tuple[SealedRows, FooterOpener, Any]]:
    """All that opens footers, without an index."""
    async with contextlib.AsyncExitStack() as ending:
        kms = await ending.enter_async_context(key_service(settings))
        keys = await open_service_keys(kms, notes, request_id=REQUEST_ID)
        rows = SealedRows(keys.rows)
        epoch = SharedEpoch.open_reader(settings.epoch_path)
        ending.callback(epoch.close)
        bucket_keys = open_bucket_keys(
            settings.kms, kms, _NoBucketKeys(), rows, epoch=lambda: epoch.value, integrity_event=_integrity_event
        )
        ending.callback(bucket_keys.close)
        blobs = open_blob_store(settings, f"command-{os.getpid()}")
        ending.push_async_callback(blobs.close)
        opener = FooterOpener(
            DataKeys(kms, keys.sse_s3, bucket_keys),
            rows,
            names={row.bucket_id: row.name for row in notes.buckets},
            customer_keys=customer_keys,
            via_service=f"s3.{settings.region}.amazonaws.com",
        )
        yield rows, opener, blobs


class _NoBucketKeys:
    """A rebuild wraps nothing by bucket keys."""

    async def bucket_key(self, bucket_id: bytes, requester: bytes) -> NoReturn:
        raise AssertionError("no bucket key is looked for to open a wrap, which holds it")

    async def put_bucket_key(self, row: BucketKeyRow, *, forget_before_us: int) -> NoReturn:
        raise AssertionError("no bucket key is made")


def _integrity_event(kind: str, detail: str) -> None:
    click.echo(printable(f"integrity event: {kind} {detail}"), err=True)


def _document(report: RebuildReport, dry_run: bool) -> dict[str, Any]:
    return {
        "dryRun": dry_run,
        "blobs": report.blobs,
        "buckets": report.buckets,
        "versions": report.versions,
        "bytes": report.size,
        "earlierFooters": report.earlier,
        "bucketsMade": report.made_buckets,
        "bucketsDamaged": report.damaged_buckets,
        "held": report.held,
        "heldBytes": report.held_bytes,
        "skipped": dict(sorted(report.skipped.items())),
        "skippedBlobs": [
            {
                "blobId": each.blob_id.hex(),
                "reason": each.reason,
                "bucket": each.bucket,
                "key": None if each.key is None else each.key.decode(errors="replace"),
            }
            for each in report.examples
        ],
    }


def _told(report: RebuildReport, dry_run: bool) -> Iterator[str]:
    verb = "would be" if dry_run else "are"
    yield (
        f"{report.versions} object versions ({size_text(report.size)}) in {report.buckets} buckets {verb} in the index,"
        f" from {report.blobs} blobs; {report.earlier} footers say what was so before."
    )
    if report.made_buckets:
        yield f"Not in the notes, and closed to the public: {', '.join(report.made_buckets)}"
    if report.damaged_buckets:
        yield f"The notes of these buckets are damaged: {', '.join(report.damaged_buckets)}"
    if report.held:
        yield f"{report.held} blobs ({size_text(report.held_bytes)}) that no version names {verb} kept from the sweep."
    for reason, count in sorted(report.skipped.items()):
        yield f"{count} skipped: {reason}"
    for each in report.examples:
        name = f"  {each.bucket}/{(each.key or b'').decode(errors='replace')}" if each.bucket else ""
        yield f"  {each.blob_id.hex()}  {each.reason}{name}"
