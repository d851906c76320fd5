"""`sealgate keys destruction-statement`: what became unreadable when a key was destroyed, signed by the HSM.

The order of its parts: the key service says when the key was destroyed; the audit trail, verified, by which lines that
is known; the index, what the key was the last to open; and the key service signs it, if the key is still gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from gateway.commands.destruction_document import document, summary
from gateway.commands.failures import Failure, load_settings
from gateway.commands.identities import ACCOUNT
from gateway.commands.identity_store import JSON, PLACE, told_failures
from gateway.commands.keys import KEY, PURPOSE, root_caller
from gateway.commands.progress import Progress
from gateway.commands.terminal import printable
from gateway.commands.verify_statement import trail_verifier
from gateway.commands.version_list import Fate, VersionList
from gateway.config import Settings
from gateway.identities import key_service, opened_index
from gateway.operations.key_usage import KeyUsage, count_usage, told_usage
from gateway.operations.sealed_rows import SealedRows
from iam.principals import Caller
from kms.api.types import AttestDestruction, Destruction
from kms.audit.destruction import (
    MAX_STATEMENT_BYTES,
    Signature,
    digest,
    format_file,
    format_time,
)
from kms.audit.evidence import Evidence
from kms.audit.files import PUBLIC_KEYS_NAME
from kms.audit.signatures import key_id, load_public_keys

CHECKPOINT_SECONDS: Final = 10.0
"""How long a checkpoint that covers the key's destruction is waited for: a serving gateway makes one a second."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("destruction-statement")
@PLACE
@KEY
@ACCOUNT
@click.option("-o", "--output", type=_NEW_FILE, help="A new file for the statement.  [default: standard output]")
@click.option("--list", "list_path", type=_NEW_FILE, help="A new file for the list of object versions, JSON lines.")
@JSON
def destruction_statement(
    *, place: Path, key: str, account: str | None, output: Path | None, list_path: Path | None, as_json: bool
) -> None:
    """State, signed by the HSM, what became unreadable when KEY, an id or ARN, was destroyed.

    By bucket: object versions, uploads and bucket keys that nothing else opens, and how many something else may open;
    when the key was destroyed, and by which lines of the audit trail that is known, which is verified on the way. And
    what no statement can say: backups, and what was downloaded before. Refused while the key exists.

    --json prints what was stated in short, where the statement itself goes to a file.
    """
    settings = load_settings(place)
    for path in (output, list_path):
        if path is not None and path.exists():
            raise Failure(f"{path} exists already")
    with told_failures(), _told_list_failures(), VersionList() as versions:
        caller = root_caller(settings, key, account)
        found = asyncio.run(_destruction(settings, caller, key))
        evidence = _evidence(settings, found)
        statement, made, usage = asyncio.run(_stated(settings, caller, found, evidence, versions))
        if list_path is not None:
            _write_new(list_path, versions.lines())
        if output is None:
            click.echo(made, nl=False)
            return
        _write_new(output, [made])
    if as_json:
        told = {"keyArn": found.key_arn, "destroyed": format_time(found.destroyed_us), **told_usage(usage)}
        click.echo(json.dumps({**told, "file": str(output), "sha256": hashlib.sha256(made).hexdigest()}, indent=2))
        return
    for line in summary(statement):
        click.echo(printable(line))
    click.echo(f"Signed, in {output}.")


@contextlib.contextmanager
def _told_list_failures() -> Iterator[None]:
    """Raises Failure where there is no room for the list in the directory for temporary files."""
    try:
        yield
    except sqlite3.Error as error:
        raise Failure(f"the list of object versions cannot be kept: {error}") from error


async def _destruction(settings: Settings, caller: Caller, key: str) -> Destruction:
    async with key_service(settings) as kms:
        return await kms.call(caller, AttestDestruction(key))


def _evidence(settings: Settings, found: Destruction) -> Evidence:
    """What the trail tells, once it is found whole. Raises Failure."""
    deadline = time.monotonic() + CHECKPOINT_SECONDS
    while True:
        evidence = Evidence(found.key_arn, _moment(found.created_us), _moment(found.destroyed_us))
        directory = settings.audit.directory
        keys = load_public_keys([(directory / PUBLIC_KEYS_NAME).read_text("ascii")])
        report = trail_verifier(directory, keys, evidence.take).verify(directory)
        if report.problem_count:
            raise Failure(f"the audit trail is not whole: {report.problems[0]}; see `sealgate audit verify`")
        if evidence.deleted is None:
            raise Failure(f"the audit trail in {directory} has no line about the destruction of {found.key_arn}")
        if evidence.checkpoint is not None:
            return evidence
        if time.monotonic() > deadline:
            raise Failure("no checkpoint of the audit trail covers the key's destruction yet: try again later")
        time.sleep(1)


async def _stated(
    settings: Settings, caller: Caller, found: Destruction, evidence: Evidence, versions: VersionList
) -> tuple[dict[str, Any], bytes, KeyUsage]:
    """The statement, its file's content, and what was counted. Raises Failure."""
    arn = found.key_arn
    async with opened_index(settings, PURPOSE) as (index, service_keys):
        total = await index.count_objects_of_key(arn)
        with Progress("object versions") as progress:
            rows = SealedRows(service_keys.rows)
            usage = await count_usage(index, rows, arn, lambda done: progress.update(done, total), versions)
    counted = usage.total.versions.number, usage.total.only.number
    listed = versions.count(Fate.UNREADABLE) + versions.count(Fate.OTHER_WRAPS), versions.count(Fate.UNREADABLE)
    if counted != listed:
        raise Failure("the index was changed while it was counted: try again")
    statement = document(found, evidence, usage, versions)
    text = json.dumps(statement, separators=(",", ":")).encode()
    if len(text) > MAX_STATEMENT_BYTES:
        raise Failure(f"the statement would be longer than {MAX_STATEMENT_BYTES} bytes")
    async with key_service(settings) as kms:
        signed = await kms.call(caller, AttestDestruction(arn, digest(text)))
    if signed.destroyed_us != found.destroyed_us:
        raise Failure("the key was restored and destroyed again meanwhile: try again")
    return statement, format_file(text, Signature(key_id(signed.public_key), signed.signature)), usage


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)


def _write_new(path: Path, parts: Iterable[bytes]) -> None:
    """A file that was not there, whole or not at all. Raises OSError."""
    with path.open("xb") as file:
        try:
            for part in parts:
                file.write(part)
        except BaseException:
            path.unlink()
            raise
