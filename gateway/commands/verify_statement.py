"""`sealgate keys verify-statement`: a statement about a destroyed key, verified by files and a public key alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import click

from gateway.commands.audit import trail_directory
from gateway.commands.destruction_document import summary
from gateway.commands.failures import Failure
from gateway.commands.identity_store import JSON
from gateway.commands.terminal import printable
from kms.audit.destruction import (
    MAX_SIGNATURE_BYTES,
    MAX_STATEMENT_BYTES,
    BadStatement,
    Statement,
    parse,
    require_signed,
)
from kms.audit.files import PUBLIC_KEYS_NAME, first_seq_of, trail_files
from kms.audit.lines import FileStart, Head, Record
from kms.audit.signatures import BadPublicKey, PublicKeys, load_public_keys
from kms.audit.verify import Verifier

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("verify-statement")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    type=_FILE,
    help="PEM file of the key that signs the audit trail, kept from before; may be given several times.  [default: "
    "audit.pem beside the trail, which proves nothing against someone who could replace that too]",
)
@click.option(
    "--trail",
    type=click.Path(exists=True, path_type=Path),
    help="A data directory, or a copy of its audit trail: verify it, and that it has the lines which FILE names.",
)
@click.option("--list", "list_path", type=_FILE, help="The list of object versions that belongs to it.")
@JSON
def verify_statement(
    *, path: Path, public_keys: tuple[Path, ...], trail: Path | None, list_path: Path | None, as_json: bool
) -> None:
    """Verify a statement about a destroyed key offline: its signature, and what else is given of its evidence.

    Exits with 1 if it was changed, or is not by the key that is trusted.
    """
    if not public_keys and trail is None:
        raise click.UsageError("give --public-key, or --trail")
    directory = None if trail is None else trail_directory(trail)
    try:
        if not public_keys and directory is not None:
            public_keys = (directory / PUBLIC_KEYS_NAME,)
        keys: PublicKeys = load_public_keys(each.read_text("ascii") for each in public_keys)
        statement = parse(_read(path))
        if directory is not None:
            keys = _verified_trail(directory, keys, statement)
        require_signed(statement, keys)
        if list_path is not None and _file_digest(list_path) != statement.list_sha256:
            raise BadStatement(f"{list_path} is not the list that belongs to it")
    except (BadStatement, BadPublicKey) as error:
        raise Failure(f"{path} is NOT a valid statement: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be verified: {error}") from error
    if as_json:
        click.echo(json.dumps(statement.document, indent=2))
        return
    try:
        lines = list(summary(statement.document))
        limits = list(statement.document["limits"])
    except (KeyError, TypeError) as error:
        raise Failure(f"{path} is signed, and does not say what a statement says: {error}") from error
    for line in lines:
        click.echo(printable(line))
    for limit in limits:
        click.echo(printable(f"note     {limit}"))
    click.echo("The statement is valid.")


def _read(path: Path) -> bytes:
    limit = MAX_STATEMENT_BYTES + MAX_SIGNATURE_BYTES + 2
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BadStatement(f"it has more than {limit} bytes")
    return content


def _verified_trail(directory: Path, keys: PublicKeys, statement: Statement) -> PublicKeys:
    """The keys that are trusted after the trail's handovers, if it is whole and has the lines. Raises BadStatement."""
    missing = {(each.line, each.hash) for each in statement.lines}
    nodes: set[str] = set()

    def compare(head: Head, record: Record) -> None:
        missing.discard((head.seq, head.hash))
        nodes.update([record.node] if isinstance(record, FileStart) else [])

    verifier = trail_verifier(directory, keys, compare)
    report = verifier.verify(directory)
    if report.problem_count:
        raise BadStatement(f"the audit trail in {directory} is not whole: {report.problems[0]}")
    if nodes != {statement.node}:
        raise BadStatement(f"{directory} is another audit trail")
    if missing:
        line, line_hash = min(missing)
        raise BadStatement(f"the audit trail in {directory} has no line {line} with hash {line_hash}")
    return verifier.keys


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def trail_verifier(directory: Path, keys: PublicKeys, on_record: Callable[[Head, Record], None]) -> Verifier:
    """Of a trail whose first files may have been archived, and that may be written to."""
    files = trail_files(directory)
    is_partial = bool(files) and first_seq_of(files[0]) > 1
    return Verifier(keys, is_partial=is_partial, is_growing=True, on_record=on_record)
