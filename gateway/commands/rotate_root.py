"""`sealgate hsm rotate-root` and `remove-old-roots`: a new root in place of the present one, while the gateway serves;
and the end of those before."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click

from gateway.commands.failures import PROBLEM, Failure, load_settings, quiet_logs
from gateway.kmsd import root_settings
from kms.daemon.rotation import (
    AnotherTarget,
    NothingToResume,
    Place,
    Standing,
    abandon,
    opened,
    remove_older,
    rotate,
    standing,
)
from kms.daemon.settings import RootSettings, SettingsError
from kms.hsm.interface import RootError
from kms.hsm.roots import Roots
from kms.hsm.uri import parse_uri
from kms.service.root_rotation import Rewrapped, removable
from kms.store.interface import StoreError
from kms.store.records import RootUse
from kms.store.sqlite import SQLiteKeyStore

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PLACE = click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")


@click.command("rotate-root")
@_PLACE
@click.option("--to-uri", default="", help="Make the new root in this token (RFC 7512).  [default: the present one]")
@click.option("--pin-file", type=_FILE, help="With --to-uri: the PIN's file, unless the URI has a pin-source.")
@click.option("--resume", is_flag=True, help="Finish a rotation that was interrupted; never begin one.")
@click.option("--abandon", "abandons", is_flag=True, help="Give up a rotation whose new root is not in use yet.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@_JSON
def rotate_root(
    *,
    place: Path,
    to_uri: str,
    pin_file: Path | None,
    resume: bool,
    abandons: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a new root, and move every key record under it, while the gateway serves or while it is stopped.

    May be interrupted anywhere; the same command goes on where it ended. Records of protection "hsm" can never leave
    the root that wrapped them: they keep it, and the command says how many they are. The older root stays until
    `sealgate hsm remove-old-roots`.

    Exits with 1 if a record does not open under its own root.
    """
    with _opened(place) as (at, store, roots):
        try:
            if abandons:
                _tell({"abandoned": _abandoned(at, store)}, as_json)
                return
            if dry_run:
                _tell(_plan(standing(store, roots), resume), as_json)
                return
            target = _target(at.root, to_uri, pin_file)
            result = _rotate(at, store, roots, target, resumes_only=resume, shows_bar=not as_json)
        except NothingToResume:
            raise Failure("no rotation of the root was interrupted") from None
        except AnotherTarget as error:
            raise Failure(f"{error}: finish it without --to-uri, or give it up with --abandon") from error
        moved = {"moved": result.moved, "unreadable": _named(result.unreadable)}
        _tell(_outcome(standing(store, roots), store, moved), as_json)
    if result.unreadable:
        click.get_current_context().exit(PROBLEM)


@click.command("remove-old-roots")
@_PLACE
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
def remove_old_roots(place: Path, yes: bool, as_json: bool) -> None:
    """Destroy, for good, the keys of older roots that no record needs, while the gateway serves or is stopped.

    Never begins a rotation, and never touches a root that a record is under. Afterwards nobody can open backups of the
    keys from before the rotation: make a new one first.

    Exits with 1 if a root could not be removed.
    """
    with _opened(place) as (at, store, roots):
        if not yes and any(root.state is RootUse.OLDER for root in removable(store)):
            click.confirm(
                "Destroy the keys of older roots that no record needs? Nobody can open backups from before then.",
                abort=True,
                err=True,
            )
        removed = remove_older(at, store, roots)
        outcome = {"removed": removed.destroyed, "not_removed": removed.failed}
        _tell(_outcome(standing(store, roots), store, outcome), as_json)
    if removed.failed:
        click.get_current_context().exit(PROBLEM)


@contextlib.contextmanager
def _opened(place: Path) -> Iterator[tuple[Place, SQLiteKeyStore, Roots]]:
    """The key store of a data directory, and its roots, with what goes wrong told in a sentence."""
    settings = load_settings(place)
    at = Place(settings.keys_path, root_settings(settings), settings.key_database)
    try:
        with quiet_logs(), opened(at) as (store, roots):
            yield at, store, roots
    except (RootError, StoreError, SettingsError, OSError) as error:
        raise Failure(f"{error}. What was done stays done; the same command goes on from there") from error


def _target(present: RootSettings, to_uri: str, pin_file: Path | None) -> RootSettings | None:
    if not to_uri:
        return None
    uri = parse_uri(to_uri)
    pin_source = pin_file or uri.pin_source
    if pin_source is None:
        raise click.UsageError("neither --pin-file nor pin-source in the URI says where the PIN is")
    return replace(present, kind="pkcs11", uri=to_uri, pin_file=pin_source.absolute(), root_file=None, key_file=None)


def _rotate(
    at: Place,
    store: SQLiteKeyStore,
    roots: Roots,
    target: RootSettings | None,
    *,
    resumes_only: bool,
    shows_bar: bool,
) -> Rewrapped:
    found = standing(store, roots)
    total = found.movable or sum(each.count for each in found.records if not each.is_hsm)
    stream = sys.stderr
    with click.progressbar(length=total, label="records", file=stream, hidden=not shows_bar) as bar:

        def on_batch(moved: int) -> None:
            if shows_bar:
                bar.update(moved)

        return rotate(at, store, roots, target=target, resumes_only=resumes_only, on_batch=on_batch)


def _abandoned(at: Place, store: SQLiteKeyStore) -> str | None:
    root = abandon(at, store)
    return None if root is None else root.root_id.hex()


def _plan(found: Standing, resume: bool) -> dict[str, object]:
    return {
        "root": found.current.root_id.hex(),
        "would": "resume" if found.is_unfinished else "nothing" if resume else "begin",
        "records": found.movable
        if found.is_unfinished
        else sum(each.count for each in found.records if not each.is_hsm),
        "kept_by_older_roots": sum(each.count for each in found.records if each.is_hsm),
    }


def _outcome(found: Standing, store: SQLiteKeyStore, done: Mapping[str, object]) -> dict[str, object]:
    root_id = found.current.root_id
    location = next((json.loads(root.settings)["uri"] for root in store.roots() if root.root_id == root_id), "")
    return {
        "root": root_id.hex(),
        "uri": location,
        **done,
        "left_to_move": found.movable,
        "kept_by_older_roots": found.kept,
        "older": {root.root_id.hex(): found.count(root.root_id) for root in found.roots if root.state == "older"},
    }


def _named(versions: list[tuple[str, int]]) -> list[str]:
    return [f"{key_id} version {version}" for key_id, version in versions]


def _tell(outcome: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome))
        return
    for name, value in outcome.items():
        if value not in ("", [], {}):
            click.echo(f"{name.replace('_', ' ')}: {json.dumps(value) if isinstance(value, list | dict) else value}")
