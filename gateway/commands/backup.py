"""`sealgate backup` and `sealgate restore`: all that a data directory knows, in one file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.backup.archive import BadBackup
from gateway.backup.contents import Manifest, make_backup, opened_backup, remove_leftovers, restore
from gateway.commands.alone import stopped
from gateway.commands.failures import AlreadyServed, Failure, load_settings, quiet_logs
from gateway.commands.identity_store import JSON, PLACE, format_time
from gateway.commands.kms import ROLLBACK_WARNING
from gateway.commands.terminal import size_text
from gateway.storage.errors import StorageError
from gateway.supervisor import AlreadyRunning
from kms.daemon.key_backup import Unreadable
from kms.daemon.settings import SettingsError
from kms.epoch import EpochLocked
from kms.hsm.interface import RootError
from kms.store.archive import BadArchive
from kms.store.interface import StoreError

OBJECTS_WARNING = (
    "The index is that of then, too: objects that were deleted since are named again, without their data where it was "
    "swept, and objects that were written since are not; `sealgate index rebuild` finds those in their blobs."
)


@click.command("backup")
@PLACE
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@JSON
def backup_command(*, place: Path, file: Path, overwrite: bool, as_json: bool) -> None:
    """Write index, identities, keys and configuration of DATA into FILE, encrypted, while the gateway serves or not.

    They are of one moment. The root that opens FILE is not in it, nor are bodies outside the index: docs/backup.md.
    """
    settings = load_settings(place)
    with _told_failures("no backup was made"):
        made = make_backup(settings, file.absolute(), overwrites=overwrite)
    if as_json:
        click.echo(json.dumps({"file": str(file), "bytes": made.size_bytes, **_facts(made.manifest)}))
        return
    click.echo(f"{file}: {', '.join(made.manifest.members)}; {size_text(made.size_bytes)}.")
    click.echo(f"It opens with root {made.header.label} {made.header.root_id.hex()}, which is not in it.")
    _tell_absent(made.manifest)


@click.command("restore")
@PLACE
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", "replaces", is_flag=True, help="Put it in place of what is there, which is kept aside.")
@click.option("--dry-run", is_flag=True, help="Open and prove everything, and change nothing.")
@click.option("--yes", is_flag=True, help="With --replace: do not ask.")
@JSON
def restore_command(*, place: Path, file: Path, replaces: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Put what `sealgate backup` wrote into FILE in place of DATA's, while nobody serves DATA.

    DATA holds a configuration, and the root that it names must be the one that FILE was made under. Everything is
    authenticated and looked at first.
    """
    settings = load_settings(place)
    with _told_failures("nothing was changed"), contextlib.ExitStack() as holding:
        if not dry_run:
            holding.enter_context(stopped(settings))
            remove_leftovers(settings)
        ready = holding.enter_context(opened_backup(settings, file))
        if not as_json:
            click.echo(f"{file} was made {format_time(ready.header.created_us)}: {', '.join(ready.manifest.members)}.")
            _tell_absent(ready.manifest)
        click.secho(f"{ROLLBACK_WARNING} {OBJECTS_WARNING}", fg="red", err=True)
        if not dry_run:
            if replaces and not yes:
                click.confirm("Replace what is there?", abort=True, err=True)
            restore(settings, ready, replaces=replaces)
    kept = [str(path) for path in ready.kept]
    if as_json:
        click.echo(json.dumps({"restored": not dry_run, "kept": kept, **_facts(ready.manifest)}))
    elif dry_run:
        click.echo("Nothing was changed.")
    else:
        click.echo("It is in place." + (f" What was there is kept: {', '.join(kept)}." if kept else ""))


@contextlib.contextmanager
def _told_failures(outcome: str) -> Iterator[None]:
    try:
        with quiet_logs():
            yield
    except AlreadyRunning as error:
        raise AlreadyServed(f"{outcome}: {error}") from error
    except FileExistsError as error:
        raise Failure(f"{outcome}: {error}; --replace puts it aside") from error
    except (
        BadBackup,
        BadArchive,
        Unreadable,
        EpochLocked,
        RootError,
        StoreError,
        SettingsError,
        StorageError,
    ) as error:
        raise Failure(f"{outcome}: {error}") from error
    except OSError as error:
        raise Failure(f"{outcome}: {error.filename or ''}: {error.strerror or error}") from error


def _facts(manifest: Manifest) -> dict[str, object]:
    return {"created": format_time(manifest.created_us), "members": manifest.members, "absent": manifest.absent}


def _tell_absent(manifest: Manifest) -> None:
    if manifest.absent:
        click.echo(f"Not in it, as PostgreSQL holds them: {', '.join(manifest.absent)} (pg_dump: docs/backup.md).")
