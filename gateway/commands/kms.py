"""`sealgate kms`: back up the key store, and restore it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.commands.alone import stopped
from gateway.commands.failures import AlreadyServed, Failure, load_settings, quiet_logs
from gateway.config import Settings
from gateway.kmsd import root_settings
from gateway.supervisor import AlreadyRunning
from kms.daemon.key_backup import Staged, Unreadable, back_up, has_keys, put_in_place, remove_stale_staging, staged
from kms.daemon.rotation import Place
from kms.daemon.settings import SettingsError
from kms.epoch import EpochLocked
from kms.hsm.interface import RootError
from kms.service.key_backup import KeyVersion, Proven
from kms.store.archive import ArchiveHeader, BadArchive
from kms.store.interface import StoreError

SHOWN = 10
"""Keys that are named one by one before a question; --json names all."""

ROLLBACK_WARNING = (
    "WARNING: restoring puts every key back to what it was when the archive was made. Keys that were destroyed since, "
    "and material that was deleted, come back; states, policies and grants are those of then; what was made since is "
    "gone."
)

_DATA = click.argument("data", metavar="DATA", type=click.Path(exists=True, path_type=Path))
_KEEP_UNREADABLE = click.option(
    "--keep-unreadable",
    is_flag=True,
    help="Go on although records are not authentic, or an older root of theirs is gone; they stay as they are.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")


@click.group("kms")
def kms() -> None:
    """Back up the records of KMS keys, and restore them."""


@kms.command("backup")
@_DATA
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@_KEEP_UNREADABLE
@_JSON
def backup_command(*, data: Path, file: Path, overwrite: bool, keep_unreadable: bool, as_json: bool) -> None:
    """Write all that the KMS keeps about keys into FILE, while the gateway serves or while it is stopped.

    That is keys, their wrapped material, aliases, grants, policies and tags, as they are at one moment. The root that
    unwraps them is not in FILE: back up its token, or its file, as well. Asks the root about every record, and writes
    nothing unless all are authentic.
    """
    with _told_failures("no backup was made"):
        made = back_up(
            _place(load_settings(data)), file.absolute(), overwrites=overwrite, keeps_unreadable=keep_unreadable
        )
    outcome = {
        "file": str(file),
        "bytes": made.size_bytes,
        "sha256": made.digest.hex(),
        **_facts(made.header, made.proven),
    }
    if as_json:
        click.echo(json.dumps(outcome))
        return
    click.echo(f"{file}: {_counted(made.proven)}, {made.size_bytes} bytes.")
    click.echo(f"It opens with root {made.header.label} {made.header.root_id.hex()}, which is not in it.")
    _tell_unreadable(made.proven.unreadable)


@kms.command("restore")
@_DATA
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--replace", "replaces", is_flag=True, help="Put it in place of the key store that is there, which is kept aside."
)
@click.option("--dry-run", is_flag=True, help="Prove everything and change nothing; also while the gateway serves.")
@click.option("--yes", is_flag=True, help="With --replace: do not ask.")
@_KEEP_UNREADABLE
@_JSON
def restore_command(
    *, data: Path, file: Path, replaces: bool, dry_run: bool, yes: bool, keep_unreadable: bool, as_json: bool
) -> None:
    """Put the key store in FILE, made by `sealgate kms backup`, in place of DATA's, while nobody serves DATA.

    The root that DATA's configuration names must be the one that FILE was made under: it authenticates FILE as a
    whole and every record in it, and only then is anything put in place. All or nothing.
    """
    settings = load_settings(data)
    place, kept = _place(settings), None
    with _told_failures("nothing was changed"), contextlib.ExitStack() as holding:
        if not dry_run:
            holding.enter_context(stopped(settings))
            if has_keys(place) and not replaces:
                where = settings.keys_path if settings.key_database is None else "kms.store"
                raise Failure(f"there is a key store at {where} already: --replace puts it aside")
            remove_stale_staging(place.directory)
        ready = holding.enter_context(staged(place, file, keeps_unreadable=keep_unreadable))
        if not as_json:
            _tell_staged(file, ready)
        _warn(ready)
        if not dry_run:
            if has_keys(place) and not yes:
                click.confirm("Replace the present key store?", abort=True, err=True)
            kept = put_in_place(place, ready, epoch_path=settings.epoch_path, replaces=replaces)
    if as_json:
        click.echo(json.dumps(_outcome(ready, kept, is_restored=not dry_run)))
        return
    if dry_run:
        click.echo("Nothing was changed.")
        return
    click.echo(f"The key store is in place.{f' The one before is kept at {kept}.' if kept else ''}")


def _place(settings: Settings) -> Place:
    return Place(settings.keys_path, root_settings(settings), settings.key_database)


@contextlib.contextmanager
def _told_failures(outcome: str) -> Iterator[None]:
    try:
        with quiet_logs():
            yield
    except AlreadyRunning as error:
        raise AlreadyServed(f"{outcome}: {error}") from error
    except Unreadable as error:
        raise Failure(f"{outcome}: {error}; --keep-unreadable goes on without them") from error
    except FileExistsError as error:
        raise Failure(f"{outcome}: {error}") from error
    except (BadArchive, EpochLocked, RootError, StoreError, SettingsError) as error:
        raise Failure(f"{outcome}: {error}") from error
    except OSError as error:
        raise Failure(f"{outcome}: {error.filename or ''}: {error.strerror or error}") from error


def _tell_staged(file: Path, ready: Staged) -> None:
    header = ready.header
    click.echo(f"{file} was made {_time(header.created_us)} under root {header.label} {header.root_id.hex()}.")
    click.echo(f"Proven by the root: {_counted(ready.proven)}.")


def _warn(ready: Staged) -> None:
    _tell_unreadable(ready.proven.unreadable)
    click.secho(ROLLBACK_WARNING, fg="red", err=True)
    if ready.difference is not None:
        _tell_versions("come back, which the present key store does not have", ready.difference.returning)
        _tell_versions("are lost, and with them what they encrypted", ready.difference.lost)


def _counted(proven: Proven) -> str:
    return f"{proven.versions} wrapped versions of KMS keys (keys: {proven.keys})"


def _tell_unreadable(versions: list[KeyVersion]) -> None:
    _tell_versions("are not authentic and open nothing", versions)


def _tell_versions(what: str, versions: list[KeyVersion]) -> None:
    if versions:
        named = ", ".join(f"{key_id} version {version}" for key_id, version in versions[:SHOWN])
        click.echo(f"{len(versions)} key versions {what}: {named}{', …' if len(versions) > SHOWN else ''}", err=True)


def _outcome(ready: Staged, kept: Path | None, *, is_restored: bool) -> dict[str, object]:
    difference = ready.difference
    return {
        "restored": is_restored,
        "kept": None if kept is None else str(kept),
        **_facts(ready.header, ready.proven),
        "returning": None if difference is None else _named(difference.returning),
        "lost": None if difference is None else _named(difference.lost),
    }


def _facts(header: ArchiveHeader, proven: Proven) -> dict[str, object]:
    return {
        "created": _time(header.created_us),
        "root": header.root_id.hex(),
        "schema": header.schema,
        "keys": proven.keys,
        "versions": proven.versions,
        "unreadable": _named(proven.unreadable),
    }


def _named(versions: list[KeyVersion]) -> list[str]:
    return [f"{key_id} version {version}" for key_id, version in versions]


def _time(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
