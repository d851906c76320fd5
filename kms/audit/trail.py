"""`AuditTrail`: what the key service tells its events to, from the event loop.

`record` costs the loop an encoding and a future; chaining, writing and syncing happen in threads (`kms.audit.writing`),
signing in another (`kms.audit.checkpoints`). All events of one turn of the loop go over together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kms.audit.checkpoints import STOP, Checkpoints, Position
from kms.audit.event import Event
from kms.audit.journal import Journal
from kms.audit.lines import Checkpoint, encode_record
from kms.audit.signatures import Signer
from kms.audit.writing import AuditUnavailable, Entry, Writer

__all__ = ["AuditTrail", "AuditUnavailable", "TrailSettings"]

MAX_QUEUED_LINES: Final = 16_384
STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailSettings:
    """`is_synced_first`: every line is on the disk before its call is answered, not only the lines of changes.

    `fails_closed`: while lines cannot be written, nothing is answered. `rotate_bytes` and `rotate_seconds` are the size
    and the age at which a new file is begun.
    """

    directory: Path
    is_synced_first: bool = False
    fails_closed: bool = True
    rotate_bytes: int = 64 << 20
    rotate_seconds: float = 86_400.0
    checkpoint_seconds: float = 1.0


class AuditTrail:
    """The open trail of one node; belongs to one event loop, in which it must be made.

    `signer` is the root; it may be away for as long as it likes. `epoch` is noted in checkpoints.
    """

    def __init__(self, settings: TrailSettings, signer: Signer, epoch: Callable[[], int]) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._pending: list[Entry] = []
        self._taken = 0  # counted here, by the loop's thread
        self._settled = 0
        self._refused = 0
        self._refused_told = 0  # counted by the writer's thread
        self._checkpoints = Checkpoints(
            signer,
            settings.directory,
            interval_seconds=settings.checkpoint_seconds,
            epoch=epoch,
            position=self._position,
            deliver=self._deliver,
            gave_up=lambda: self._writer.put([]),
        )
        self._writer = Writer(
            self._open_journal,
            settle=self._settle,
            take_refused=self._take_refused,
            rotated=lambda: self._checkpoints.ask("rotation"),
            advanced=self._checkpoints.notice,
            last_checkpoint=self._last_checkpoint,
        )

    def start(self) -> None:
        """Open the trail, beside; what is recorded meanwhile waits."""
        self._writer.start()
        self._checkpoints.start()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write and sync everything, with a last checkpoint if the HSM signs; bounded in time."""
        self._hand_over()
        await asyncio.to_thread(self._writer.stop, STOP_SECONDS)
        self._checkpoints.end()

    @property
    def trouble(self) -> str | None:
        """Why lines cannot be written at present; None while they can."""
        return self._writer.trouble

    @property
    def unsigned(self) -> str | None:
        """Why checkpoints are not signed at present; None while they are."""
        return self._checkpoints.failure

    def require_writable(self) -> None:
        """Before anything is done that must be told: raises AuditUnavailable while it could not be, if that counts."""
        trouble = self._writer.trouble
        if self._settings.fails_closed and (trouble is not None or self._taken - self._settled >= MAX_QUEUED_LINES):
            self._refused += 1
            raise AuditUnavailable(trouble or "more lines than the audit trail can take")

    def record(self, event: Event, *, is_durable: bool = False) -> asyncio.Future[None]:
        """Add a line. The future is done when it was written, and if `is_durable` synced too.

        It raises AuditUnavailable when that failed, unless the trail fails open; the line is then owed, and written
        when it can be. Cancelling the future takes nothing back.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        self._put(Entry(encode_record(event), future, is_durable or self._settings.is_synced_first))
        return future

    def note(self, event: Event) -> None:
        """As `record`, for whoever has nobody to tell that it failed."""
        self._put(Entry(encode_record(event)))

    def _put(self, entry: Entry) -> None:
        if not self._pending:
            self._loop.call_soon(self._hand_over)
        self._pending.append(entry)
        self._taken += 1

    def _hand_over(self) -> None:
        if self._pending:
            entries, self._pending = self._pending, []
            self._writer.put(entries)

    # What the threads call

    def _open_journal(self) -> Journal:
        settings = self._settings
        return Journal(settings.directory, rotate_bytes=settings.rotate_bytes, rotate_seconds=settings.rotate_seconds)

    def _position(self) -> Position | None:
        return self._writer.position()

    def _settle(self, entries: list[Entry], error: AuditUnavailable | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, entries, error)

    def _tell(self, entries: list[Entry], error: AuditUnavailable | None) -> None:
        self._settled += sum(not entry.is_checkpoint for entry in entries)
        for entry in entries:
            future = entry.waiter
            if future is None or future.done():
                continue
            if error is not None and self._settings.fails_closed:
                future.set_exception(AuditUnavailable(str(error)))
                future.exception()  # nobody may be left to ask
            else:
                future.set_result(None)

    def _take_refused(self) -> int:
        refused = self._refused
        taken, self._refused_told = refused - self._refused_told, refused
        return taken

    def _deliver(self, checkpoint: Checkpoint) -> None:
        self._writer.put([Entry(encode_record(checkpoint), is_checkpoint=True)])

    def _last_checkpoint(self) -> None:
        self._checkpoints.ask(STOP)
