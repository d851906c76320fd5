"""Finding events in a trail: by key, object, principal, name, time and outcome. Reads lines, verifies nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from kms.audit.event import Event
from kms.audit.files import lines_of, trail_files
from kms.audit.lines import MAX_LINE_BYTES, FileStart, MalformedLine, parse_record

FOLLOW_SECONDS: Final = 0.5

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,9})([smhd])")
_S3_ARN = "arn:aws:s3:::"


@dataclass(frozen=True, slots=True)
class Query:
    """What to find; None matches everything.

    `key` is a key ARN, key id or alias; `object` an ARN, `s3://bucket/key` or `bucket/key`; `principal` an ARN or the
    end of one after a slash or colon; `event` a name such as Decrypt, in any case; `request_id` is of the request that
    the client sent, of S3's as of others.
    """

    key: str | None = None
    object: str | None = None
    principal: str | None = None
    event: str | None = None
    since: datetime | None = None
    only_errors: bool = False
    request_id: str | None = None

    def matches(self, event: Event) -> bool:
        return (
            (self.since is None or event.event_time >= self.since)
            and (not self.only_errors or event.error_code is not None)
            and (self.request_id is None or event.request_id == self.request_id)
            and (self.event is None or event.event_name.lower() == self.event.lower())
            and (self.key is None or _names_key(event, self.key))
            and (self.object is None or event.resource_arn == object_arn_of(self.object))
            and (self.principal is None or _is_end(event.user_identity.arn, self.principal))
        )


def parse_since(text: str, now: datetime) -> datetime:
    """`15m`, `2h`, `1d` ago, or an RFC 3339 time (UTC where it names no offset). Raises ValueError."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError("it is before all time") from None
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def object_arn_of(text: str) -> str:
    if text.startswith("arn:"):
        return text
    return _S3_ARN + text.removeprefix("s3://")


def find(directory: Path, query: Query) -> Iterator[tuple[bytes, Event]]:
    """Lines (without newline) and events that match, oldest first. Raises OSError."""
    for path in trail_files(directory):
        yield from find_in(path, query)


def find_in(path: Path, query: Query) -> Iterator[tuple[bytes, Event]]:
    """The same in one file of a trail."""
    lines = lines_of(path)
    if query.request_id is not None:  # most lines need not be parsed: inside a text these quotes would be escaped
        needle = f'"requestID":{json.dumps(query.request_id)}'.encode()
        lines = (line for line in lines if needle in line)
    return _matching(lines, query)


def files_between(directory: Path, begin: datetime, end: datetime) -> list[Path]:
    """The files that can hold lines of the time between, oldest first: each tells when it was begun. Raises OSError."""
    paths = trail_files(directory)
    begun = [_begun(path) for path in paths]
    found = []
    for place, path in enumerate(paths):
        after = next((each for each in begun[place + 1 :] if each is not None), None)
        start = begun[place]
        if (start is None or start <= end) and (after is None or after >= begin):
            found.append(path)
    return found


def _begun(path: Path) -> datetime | None:
    """None for a file that does not tell."""
    try:
        record = parse_record(next(lines_of(path), b"").removesuffix(b"\n"))
        return datetime.fromisoformat(record.time) if isinstance(record, FileStart) else None
    except (MalformedLine, ValueError):
        return None


def follow(
    directory: Path, query: Query, *, wait: Callable[[float], None] = time.sleep
) -> Iterator[tuple[bytes, Event]]:
    """As `find`, and then what is added, for ever. `wait` pauses before the files are looked at again."""
    offsets: dict[str, int] = {}
    while True:
        for path in trail_files(directory):
            for line in _lines_from(path, offsets.get(path.name, 0)):
                offsets[path.name] = offsets.get(path.name, 0) + len(line)
                yield from _matching([line], query)
        wait(FOLLOW_SECONDS)


def _lines_from(path: Path, offset: int) -> Iterator[bytes]:
    """Whole lines after `offset`; one that is being written is left for the next time."""
    with path.open("rb") as file:
        file.seek(offset)
        while (line := file.readline(MAX_LINE_BYTES + 1)).endswith(b"\n"):
            yield line


def _matching(lines: Iterator[bytes] | list[bytes], query: Query) -> Iterator[tuple[bytes, Event]]:
    for line in lines:
        text = line.removesuffix(b"\n")
        try:
            record = parse_record(text)
        except MalformedLine:
            continue  # a torn line is the verifier's affair
        if isinstance(record, Event) and query.matches(record):
            yield text, record


def _names_key(event: Event, key: str) -> bool:
    if any(_is_end(resource.arn, key) for resource in event.resources):
        return True
    named = [value for name, value in event.request_parameters.items() if name.lower().endswith(("keyid", "name"))]
    return any(isinstance(value, str) and (_is_end(value, key) or value == key) for value in named)


def _is_end(arn: str, text: str) -> bool:
    """Whether `text` is the ARN, or its last parts."""
    return arn == text or arn.endswith((f"/{text}", f":{text}"))
