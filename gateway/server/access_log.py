"""The access log: one JSON line for each request.

`Entry` is the mutable record of one request. The listener makes it, dispatch fills in who, what and how, and the
listener writes it once the last byte has gone out. Lines are gathered in memory and written by a thread every
FLUSH_SECONDS and at close, so a slow disk or terminal never blocks the event loop; the price is that a `kill -9` loses
the lines of the last moment (the audit trail of the KMS is another matter, and durable).

Query strings are never logged: those of presigned URLs are credentials.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
import time
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from iam.policy.decisions import Decisions
from iam.quickly_made import quickly_made

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1
MAX_PENDING_LINES = 100_000
"""Beyond this the log's disk hangs, and lines are dropped (and counted) rather than memory filled."""

MAX_CHARACTERS = 2048
"""Of each explanation. An object's ARN has less than 1200 bytes."""

_encode = msgspec.json.Encoder().encode


CUSTOMER_KEY_MODE = "SSE-C"
"""What no header of S3 calls so: other modes are as x-amz-server-side-encryption has them."""


@quickly_made
@dataclass(slots=True)
class Entry:
    """What is logged of one request. Dispatch sets the fields of the second group as it learns them.

    `mode` is the encryption mode of the object ("AES256", "aws:kms", "SSE-C"), `principal` the ARN of the caller,
    `operation` the S3 or KMS operation's name ("PutObject", "kms:Decrypt"). Of `decisions` one is told; `decided_by`
    and `reason` say what else than a policy refused the request, `kms_key` is the ARN of the key that was asked for or
    refused.
    """

    request_id: str
    remote_ip: str
    method: str

    operation: str | None = None
    principal: str | None = None
    bucket: str | None = None
    key: str | None = None
    mode: str | None = None
    error_code: str | None = None
    decisions: Decisions = field(default_factory=Decisions)
    decided_by: str | None = None
    reason: str | None = None
    kms_key: str | None = None

    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    is_aborted: bool = False
    first_byte_seconds: float = 0.0
    total_seconds: float = 0.0

    @property
    def is_explained(self) -> bool:
        """Whether it is known why it was refused."""
        told = self.decisions.told
        return self.decided_by is not None or (told is not None and not told.is_allowed)


current_entry: ContextVar[Entry] = ContextVar("current_entry")
"""The entry of the request that this task serves; set by the listener before it calls the handler."""


class AccessLog:
    """Writes entries to `path` ("-" is standard error), appending; several processes may share the file.

    Call `start` once, `write` from any thread, `close` at the end. A file that was renamed or removed (rotation) is
    opened anew at the next flush.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._inode: tuple[int, int] = (0, 0)
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._is_failing = False
        self._something = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._second = -1
        self._second_text = ""

    def start(self) -> None:
        """Open the log. Raises OSError if it cannot be written."""
        self._reopen_if_moved()
        self._thread.start()

    def write(self, entry: Entry) -> None:
        """Queue the line of `entry`, which is over. Never waits."""
        if len(self._lines) >= MAX_PENDING_LINES:
            self._dropped += 1
            return
        self._lines.append(format_line(entry, self._timestamp()))
        if not self._something.is_set():
            self._something.set()

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._closing = True
        self._something.set()
        self._thread.join()
        if self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def _timestamp(self) -> str:
        """Now, RFC 3339 in UTC with milliseconds; formatted anew once a second."""
        now = time.time_ns() // 1_000_000
        second, millisecond = divmod(now, 1000)
        if second != self._second:
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._second_text}.{millisecond:03d}Z"

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._something.wait()
            if not self._closing:
                time.sleep(FLUSH_SECONDS)
            self._something.clear()
            is_last = self._closing  # what was queued before is there by now; set later, it wakes this thread again
            try:
                self._flush()
                self._is_failing = False
            except OSError as error:
                if not self._is_failing:
                    log.error("the access log cannot be written, lines are lost: %s", error)
                self._is_failing = True

    def _flush(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            log.error("%d lines of the access log were dropped: its disk does not keep up", self._dropped)
            self._dropped = 0
        self._reopen_if_moved()
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            write_all(self._fd, b"".join(lines))
            return
        # A pipe keeps lines of several processes apart only up to PIPE_BUF bytes a write (POSIX write(2)).
        for group in groups(lines, select.PIPE_BUF):
            write_all(self._fd, group)

    def _reopen_if_moved(self) -> None:
        if self._path == "-":
            self._fd = 2
            return
        try:
            found = Path(self._path).stat()
            if self._fd >= 0 and (found.st_dev, found.st_ino) == self._inode:
                return
        except FileNotFoundError:
            pass
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        opened = os.fstat(fd)
        self._inode = (opened.st_dev, opened.st_ino)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd


class _Line(msgspec.Struct):
    """The fields of a line, by their names and in their order (docs/metrics.md): encoded without a dictionary each."""

    time: str
    id: str
    remote_ip: str
    principal: str | None
    method: str
    operation: str | None
    bucket: str | None
    key: str | None
    mode: str | None
    status: int
    error: str | None
    action: str | None
    resource: str | None
    decided_by: str | None
    reason: str | None
    policy: str | None
    kms_key: str | None
    aborted: bool
    bytes_in: int
    bytes_out: int
    first_byte_ms: float
    total_ms: float


def format_line(entry: Entry, timestamp: str) -> bytes:
    """One line of JSON with its newline. What a client sent is escaped as JSON asks; nothing can end the line early."""
    told, subject = entry.decisions.told, entry.decisions.principal
    decided_by, reason = entry.decided_by, entry.reason
    if told is not None and decided_by is None:
        decided_by = told.decided_by
        reason = reason or ("allowed" if told.is_allowed else f"refused {told.because}")
    line = _Line(
        timestamp,
        entry.request_id,
        entry.remote_ip,
        entry.principal or (None if subject is None else subject.arn or subject.principal_id),
        entry.method,
        entry.operation,
        entry.bucket,
        entry.key,
        entry.mode,
        entry.status,
        entry.error_code,
        None if told is None else told.action,
        None if told is None else told.resource_arn[:MAX_CHARACTERS],
        decided_by and decided_by[:MAX_CHARACTERS],
        reason and reason[:MAX_CHARACTERS],
        None if told is None or entry.decided_by is not None else told.policy_digest or None,
        entry.kms_key,
        entry.is_aborted,
        entry.bytes_in,
        entry.bytes_out,
        round(entry.first_byte_seconds * 1000, 3),
        round(entry.total_seconds * 1000, 3),
    )
    try:
        return _encode(line) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, from bytes that were not UTF-8
        fields = msgspec.structs.asdict(line).items()
        return _encode({name: _printable(value) if isinstance(value, str) else value for name, value in fields}) + b"\n"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def groups(lines: list[bytes], limit_bytes: int) -> list[bytes]:
    """Neighbouring lines joined up to `limit_bytes`; a longer line stands alone."""
    joined: list[bytes] = []
    for line in lines:
        if joined and len(joined[-1]) + len(line) <= limit_bytes:
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
