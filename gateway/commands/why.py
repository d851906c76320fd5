"""`sealgate why`: one request, and what decided about it, from the access log and the audit trail."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from gateway.access_log_search import AccessLine, Search, find_in, find_line, log_files
from gateway.commands.failures import Failure, default_place, load_settings
from gateway.commands.identity_store import told_failures
from gateway.commands.terminal import printable
from gateway.config import Settings
from gateway.statements import FoundStatement, Subject, statements_of, stored_key
from kms.audit.event import Event
from kms.audit.files import PUBLIC_KEYS_NAME, trail_files
from kms.audit.query import Query, files_between
from kms.audit.query import find_in as find_events_in
from kms.audit.signatures import BadPublicKey, load_public_keys
from kms.audit.verify import Report, Verifier
from kms.store.interface import StoreError

_REQUEST_ID = re.compile(r"[0-9A-Fa-f]{16}")

_STANDARD_INPUT = "standard input"

MARGIN = timedelta(minutes=10)
"""Between a line of the access log and those of the audit trail, should the clock have been set."""

FILES_AFTER = 1
"""Files of the trail that are verified after the one with the lines: the checkpoint of its end is in the next."""


@dataclass(frozen=True, slots=True)
class _Audited:
    """Lines of the audit trail about a request; `verified` says in a sentence whether they are what was written."""

    lines: tuple[tuple[bytes, Event], ...]
    verified: str
    is_sound: bool


@click.command("why")
@click.argument("request_id", metavar="REQUEST-ID")
@click.argument("place", metavar="[DATA]", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help='A file of the access log, compressed by gzip or not; "-" is standard input; may be given several times.  '
    "[default: that of the settings, and what rotation left beside it]",
)
@click.option("--no-verify", is_flag=True, help="Do not verify the lines of the audit trail.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def why(*, request_id: str, place: Path | None, logs: tuple[Path, ...], no_verify: bool, as_json: bool) -> None:
    """Say why a request was refused, or what allowed it.

    REQUEST-ID is what the answer had as x-amz-request-id. DATA is a data directory or a configuration file.  [default:
    the working directory, or ./data]

    Bucket policies are read with the root, or by way of a serving gateway, as `access-key create` is.
    """
    if not _REQUEST_ID.fullmatch(request_id):
        raise click.BadParameter("a request id has 16 hexadecimal digits", param_hint="REQUEST-ID")
    wanted = request_id.upper()
    settings = load_settings(place or default_place())
    search = _search(settings, logs, wanted)
    audited = _audited(settings.audit.directory, wanted, search.line, is_verified=not no_verify)
    if search.line is None and not audited.lines:
        raise Failure(_not_found(settings, search, wanted))
    statements = _statements(settings, search.line, audited)
    if as_json:
        click.echo(json.dumps(_document(wanted, search.line, statements, audited), indent=2, ensure_ascii=False))
        return
    for line in _told(settings, wanted, search, statements, audited):
        click.echo(line)


def _search(settings: Settings, logs: Sequence[Path], request_id: str) -> Search:
    if not logs:
        configured = settings.log.access_log
        return find_line([] if configured in ("", "-") else log_files(Path(configured)), request_id)
    files = [path for path in logs if str(path) != "-"]
    if len(files) == len(logs):
        return find_line(files, request_id)
    try:
        line = find_in(sys.stdin.buffer, request_id)
    except (OSError, EOFError, zlib.error) as error:
        raise Failure(f"standard input: {error}") from error
    if line is not None:
        return Search(AccessLine(line, _STANDARD_INPUT), (_STANDARD_INPUT,), ())
    search = find_line(files, request_id)
    return replace(search, searched=(_STANDARD_INPUT, *search.searched))


def _not_found(settings: Settings, search: Search, request_id: str) -> str:
    looked = ", ".join(search.searched) or "no file of the access log"
    hint = ""
    if not search.searched and settings.log.access_log == "-":
        hint = " (it goes to standard error: name the file that keeps it with --log, or - for standard input)"
    elif not search.searched and not settings.log.access_log:
        hint = " (there is none: log.access_log is empty)"
    sentence = f"request {request_id} is neither in the access log nor in the audit trail; looked in: {looked}{hint}"
    return "; ".join((sentence, *search.unreadable))


# The audit trail


def _audited(directory: Path, request_id: str, line: AccessLine | None, *, is_verified: bool) -> _Audited:
    query = Query(request_id=request_id)
    try:
        every = trail_files(directory)
        files = every if line is None else _files_about(directory, line)
        found = [(path, *event) for path in files for event in find_events_in(path, query)]
        lines = tuple((text, event) for _, text, event in found)
        if not lines or not is_verified:
            return _Audited(lines, "not verified", True)
        holding = [place for place, path in enumerate(every) if path in {each for each, _, _ in found}]
        return _verified(directory, every[holding[0] : holding[-1] + 1 + FILES_AFTER], lines)
    except FileNotFoundError:
        return _Audited((), "there is no audit trail", True)
    except OSError as error:
        raise Failure(f"{directory} cannot be read: {error}") from error


def _files_about(directory: Path, line: AccessLine) -> list[Path]:
    try:
        end = datetime.fromisoformat(str(line.fields["time"]))
        took = timedelta(milliseconds=float(line.fields.get("total_ms") or 0))
    except (KeyError, ValueError, OverflowError):
        return trail_files(directory)
    return files_between(directory, end - took - MARGIN, end + MARGIN)


def _verified(directory: Path, files: Sequence[Path], lines: tuple[tuple[bytes, Event], ...]) -> _Audited:
    try:
        keys = load_public_keys([(directory / PUBLIC_KEYS_NAME).read_text("ascii")])
    except (OSError, UnicodeDecodeError, BadPublicKey) as error:
        return _Audited(lines, f"not verified: {error}", False)
    report = Verifier(keys, is_partial=True).verify(directory, files)
    return _Audited(lines, *_verdict(report, max(json.loads(text)["seq"] for text, _ in lines)))


def _verdict(report: Report, last_seq: int) -> tuple[str, bool]:
    if report.problem_count:
        return f"NOT whole where these lines are: {report.problems[0]}; see `sealgate audit verify`", False
    if report.covered < last_seq:
        return "whole where these lines are, and not yet covered by a signed checkpoint", True
    return f"whole where these lines are, and signed ({report.covered_until})", True


# Statements


def _statements(settings: Settings, line: AccessLine | None, audited: _Audited) -> list[FoundStatement]:
    """Those that the access log names; where it has no line, those of the refusals in the audit trail."""
    if line is not None and line.fields.get("decided_by"):
        fields = line.fields
        resource = str(fields.get("resource") or "")
        bucket = resource.removeprefix("arn:aws:s3:::").partition("/")[0] if ":s3:::" in resource else None
        key = fields.get("kms_key") or (resource if ":kms:" in resource else None)
        subject = Subject(
            _account_of(str(fields.get("principal") or "")),
            bucket or fields.get("bucket"),
            key,
            frozenset(str(fields.get("policy") or "").split(",")) - {""},
        )
        return _found(settings, str(fields["decided_by"]), subject)
    found: list[FoundStatement] = []
    for _, event in audited.lines:
        for decision in event.decisions:
            subject = Subject(event.user_identity.account_id, None, decision.resource)
            found += _found(settings, decision.decided_by, subject)
    return found


def _found(settings: Settings, decided_by: str, subject: Subject) -> list[FoundStatement]:
    with told_failures():
        return asyncio.run(statements_of(settings, decided_by, subject))


def _account_of(arn: str) -> str:
    parts = arn.split(":")
    return parts[4] if len(parts) > 5 else ""


# What is printed


def _document(
    request_id: str, line: AccessLine | None, statements: Sequence[FoundStatement], audited: _Audited
) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "accessLog": None if line is None else {"file": line.place, "line": line.fields},
        "statements": [
            {"policy": each.policy, "statement": each.label.strip('"'), "text": each.text, "remark": each.remark}
            for each in statements
        ],
        "auditTrail": [json.loads(text) for text, _ in audited.lines],
        "auditTrailIsSound": audited.is_sound,
        "verification": audited.verified,
    }


def _told(
    settings: Settings, request_id: str, search: Search, statements: Sequence[FoundStatement], audited: _Audited
) -> list[str]:
    told = [f"Request {request_id}"]
    told += _told_access(search.line.fields) if search.line is not None else ["  (not in the access log)"]
    for each in statements:
        told += ["", f"{printable(each.policy)}, statement {printable(each.label)}, as it is now:"]
        if each.text is not None:
            told += [f"  {printable(text)}" for text in json.dumps(each.text, indent=2).splitlines()]
        if each.remark is not None:
            told.append(f"  ({printable(each.remark)})")
    if audited.lines:
        told += ["", f"In the audit trail, {printable(audited.verified)}:"]
        for _, event in audited.lines:
            told += _told_event(settings, event)
    return told


def _told_access(fields: dict[str, Any]) -> list[str]:
    def text(name: str, otherwise: str = "-") -> str:
        value = fields.get(name)
        return otherwise if value in (None, "") else printable(str(value))

    what = f"{text('method')} {text('operation', 'unknown operation')}"
    if fields.get("bucket"):
        what += f" s3://{text('bucket')}/{text('key', '')}"
    answer = text("status") + (f" {text('error')}" if fields.get("error") else "")
    rows = [
        ("when", f"{text('time')}, after {text('total_ms')} ms"),
        ("who", text("principal", "nobody: the request was not signed, or its signature was refused")),
        ("from", text("remote_ip")),
        ("what", what),
        ("answer", answer),
    ]
    if fields.get("action"):
        rows.append(("needed", f"{text('action')} on {text('resource')}"))
    rows.append(("outcome", text("reason", "nothing was decided about it")))
    if fields.get("decided_by"):
        rows.append(("decided by", text("decided_by")))
    if fields.get("kms_key"):
        rows.append(("KMS key", text("kms_key")))
    return [f"  {name:<12}{value}" for name, value in rows]


def _told_event(settings: Settings, event: Event) -> list[str]:
    outcome = event.error_code or "done"
    told = [
        f"  {event.event_time:%Y-%m-%dT%H:%M:%S.%fZ}  {event.event_source} {event.event_name}: {printable(outcome)}"
    ]
    if event.error_message:
        told.append(f"    {printable(event.error_message)}")
    for decision in event.decisions:
        told.append(f"    {decision.decision} {decision.action} on {printable(decision.resource)}")
        told.append(f"      by {printable(decision.decided_by)}")
    for resource in event.resources:
        state = _state(settings, resource.arn)
        if state is not None:
            told.append(f"    {resource.arn} is {state} now")
    return told


def _state(settings: Settings, arn: str) -> str | None:
    if ":kms:" not in arn or ":key/" not in arn:
        return None
    try:
        key = stored_key(settings, arn)
    except StoreError as error:
        return f"not readable ({error})"
    if key is None:
        return "not there"
    return key.at(int(datetime.now(UTC).timestamp() * 1_000_000)).metadata.state.value
