"""`sealgate audit`: verify the audit trail of the KMS, search it, export the key that signs it. Needs no HSM."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.commands.failures import PROBLEM, Failure, load_settings
from gateway.commands.terminal import printable
from gateway.config import CONFIG_NAME
from kms.audit.event import Event
from kms.audit.files import PUBLIC_KEYS_NAME
from kms.audit.lines import Head
from kms.audit.query import Query, find, follow, parse_since
from kms.audit.signatures import BadPublicKey, load_public_keys
from kms.audit.verify import Report, Verifier

_PLACE = click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
_ANCHOR = re.compile(r"([1-9]\d{0,15}):([0-9a-f]{64})")

VERIFY_EPILOG = """\b
Exit status:
  0  the trail is whole; lines that no checkpoint covers yet are told
  1  something was changed, dropped or moved, is missing or forged; each problem is told on a line
  2  wrong use of the command line
  3  the configuration is wrong
"""


@click.group()
def audit() -> None:
    """Verify, search and export the audit trail of the KMS.

    DATA is a data directory, or a directory that holds the files of a trail, wherever they were copied to.
    """


def trail_directory(place: Path) -> Path:
    """The trail's directory. Raises Failure."""
    if place.is_file() or (place / CONFIG_NAME).exists():
        return load_settings(place).audit.directory
    return place


def _anchors(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Head, ...]:
    matches = [_ANCHOR.fullmatch(value) for value in values]
    if None in matches:
        raise click.BadParameter("expected NUMBER:HASH, as verify prints it")
    return tuple(Head(int(match[1]), match[2]) for match in matches if match is not None)


@audit.command("verify", epilog=VERIFY_EPILOG)
@click.argument("places", metavar="DATA...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file of a key that signs checkpoints, or signed those before a rotation of the root; may be given "
    "several times.  [default: audit.pem beside each trail, which proves nothing against someone who could replace "
    "that too]",
)
@click.option("--partial", is_flag=True, help="The first files were archived: the trail may begin with any line.")
@click.option("--expect-final", is_flag=True, help="It must end with the checkpoint of an orderly stop.")
@click.option(
    "--contains",
    metavar="NUMBER:HASH",
    multiple=True,
    callback=_anchors,
    help="A line noted down before must be in it; given once for each DATA, in their order.",
)
def verify_command(
    places: tuple[Path, ...],
    public_keys: tuple[Path, ...],
    partial: bool,
    expect_final: bool,
    contains: tuple[Head, ...],
) -> None:
    """Verify the trail of DATA offline: every line, every file, every signature; of several nodes, the trail of each.

    Keep the last line's NUMBER:HASH, and the public key, where the machine's administrator cannot change them: a trail
    that was cut off at its end, or replaced as a whole, is told by them alone.
    """
    if contains and len(contains) != len(places):
        raise click.UsageError("--contains is given once for each DATA, in their order, or not at all")
    anchors: tuple[Head | None, ...] = contains or (None,) * len(places)
    nodes: dict[str, Path] = {}
    is_whole = True
    for place, anchor in zip(places, anchors, strict=True):
        if len(places) > 1:
            click.echo(f"{place}:")
        report = _verified(trail_directory(place), public_keys, partial, expect_final, anchor)
        _tell(report)
        is_whole &= not report.problem_count
        if report.node is not None and (before := nodes.setdefault(report.node, place)) is not place:
            # A copy of a trail would hide that another node's is missing.
            click.echo(f"{click.style('PROBLEM', fg='red')}  the trails in {before} and {place} are of one node")
            is_whole = False
    if len(places) > 1:
        click.echo(f"{len(places)} trails: {'all are' if is_whole else 'NOT all are'} whole.")
    if not is_whole:
        click.get_current_context().exit(PROBLEM)


def _verified(
    directory: Path, public_keys: tuple[Path, ...], is_partial: bool, ends_with_stop: bool, contains: Head | None
) -> Report:
    """Raises Failure."""
    try:
        keys = load_public_keys(path.read_text("ascii") for path in public_keys or (directory / PUBLIC_KEYS_NAME,))
        verifier = Verifier(keys, is_partial=is_partial, ends_with_stop=ends_with_stop, contains=contains)
        return verifier.verify(directory)
    except (OSError, UnicodeDecodeError, BadPublicKey) as error:
        raise Failure(f"{directory} cannot be verified: {error}") from error


def _tell(report: Report) -> None:
    for note in report.notes:
        click.echo(f"note     {note}")
    for problem in report.problems:
        click.echo(f"{click.style('PROBLEM', fg='red')}  {problem}")
    if report.problem_count > len(report.problems):
        click.echo(f"and {report.problem_count - len(report.problems)} more problems")
    click.echo(f"{report.lines} lines in {report.files} files, {report.events} of them events.")
    if report.covered:
        click.echo(f"Checkpoints: {report.checkpoints}; the last covers line {report.covered}, {report.covered_until}.")
    if report.uncovered:
        click.echo(f"Not yet covered by a checkpoint: {report.uncovered} lines at the end.")
    if report.head is not None:
        click.echo(f"Last line: {report.head.seq}:{report.head.hash}")
    click.echo("The trail is NOT whole." if report.problem_count else "The trail is whole.")


def _since(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else parse_since(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(f"expected a time such as 15m, 2h, 1d or 2026-01-31T12:00:00Z: {error}") from error


@audit.command("tail")
@_PLACE
@click.option("--key", help="Events of this key: ARN, id or alias.")
@click.option("--object", "object_", help="Events of this S3 object: ARN or bucket/key.")
@click.option("--principal", help="Events of this principal: ARN, or its end.")
@click.option("--event", help="Events of this name, such as Decrypt.")
@click.option("--request", "request_id", metavar="REQUEST-ID", help="Events of this request, of S3 or another service.")
@click.option("--since", callback=_since, help="Events from then on: 15m, 2h, 1d, or an RFC 3339 time.")
@click.option("--errors", is_flag=True, help="Only refusals and failures.")
@click.option("--json", "as_json", is_flag=True, help="The lines as they are, instead of a summary of each.")
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on with what is added, until interrupted.")
def tail_command(
    *,
    place: Path,
    key: str | None,
    object_: str | None,
    principal: str | None,
    event: str | None,
    request_id: str | None,
    since: datetime | None,
    errors: bool,
    as_json: bool,
    follows: bool,
) -> None:
    """Print the events of DATA that match all that is asked, oldest first. Verifies nothing."""
    query = Query(
        key=key,
        object=object_,
        principal=principal,
        event=event,
        since=since,
        only_errors=errors,
        request_id=request_id,
    )
    directory = trail_directory(place)
    try:
        for line, found in follow(directory, query) if follows else find(directory, query):
            click.echo(line if as_json else summary(found))
    except OSError as error:
        raise Failure(f"{directory} cannot be read: {error}") from error
    except KeyboardInterrupt:
        return


def summary(event: Event) -> str:
    """One line for people: when, what, how it ended, who, which key, which object."""
    outcome = event.error_code or "ok"
    keys = " ".join(resource.arn for resource in event.resources) or "-"
    parts = [f"{event.event_time:%Y-%m-%dT%H:%M:%S.%fZ}", event.event_name, outcome, event.user_identity.arn, keys]
    if event.resource_arn is not None:
        parts.append(event.resource_arn)
    refused = [decision.decided_by for decision in event.decisions if decision.decision == "Deny"]
    if refused:
        parts.append(f"({'; '.join(refused)})")
    return "  ".join(printable(part) for part in parts)


@audit.command("public-key")
@_PLACE
def public_key_command(place: Path) -> None:
    """Print, as PEM, the public key that verifies the checkpoints of DATA (several after a change of root)."""
    path = trail_directory(place) / PUBLIC_KEYS_NAME
    try:
        text = path.read_text("ascii")
        load_public_keys([text])
    except FileNotFoundError:
        raise Failure(f"there is no {path} yet: the key process writes it when the root first signs") from None
    except (OSError, UnicodeDecodeError, BadPublicKey) as error:
        raise Failure(f"{path} cannot be read: {error}") from error
    click.echo(text, nl=False)
