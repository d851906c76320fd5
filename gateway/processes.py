"""A child process that is kept running: started by exec, watched, started again with a growing pause.

Knows nothing of what the child does. The child gets its order as one line on standard input, which stays open as its
lifeline (`gateway.lifeline`), and reports "ready" on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
"""Connections wait in the backlog of a worker that is down, so the pause between attempts stays short."""

STEADY_SECONDS = 30.0
"""A child that lived this long failed for a new reason: the pause begins anew."""

ATTEMPTS_BEFORE_READY = 3
"""A child that never got ready in this many attempts will not: the start as a whole has failed."""


class StartFailed(Exception):
    """A child ended again and again before it was ever ready; the message names it and its last end."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a child. `order` is written to its standard input; it may hold paths but is logged nowhere."""

    name: str
    arguments: Sequence[str]
    order: bytes
    descriptors: Sequence[int]
    environment: dict[str, str] = field(repr=False)


class Child:
    """Keeps one child running until `stop`. `on_end` is called with the process id after each end."""

    def __init__(self, command: Command, on_end: Callable[[int], None]) -> None:
        self.command = command
        self.is_ready = asyncio.Event()
        self.restarts = 0
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._was_ready = False
        self._stop = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Start and start again. Returns after `stop`; raises StartFailed if the child never gets ready."""
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            began = time.monotonic()
            ended = await self._run_once()
            if self._stop.is_set():
                return
            self.restarts += 1
            if not self._was_ready and self.restarts >= ATTEMPTS_BEFORE_READY:
                raise StartFailed(f"{self.command.name} does not start: it {ended}, {self.restarts} times")
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - began > STEADY_SECONDS else pause
            log.error("%s %s: starting it again in %.1f s", self.command.name, ended, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> str:
        """One life of the process; a clause that says how it ended."""
        command = self.command
        try:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=command.descriptors,
                env=command.environment,
                # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which ends all in order.
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started ({error})"
        self._process = process
        if self._stop.is_set():
            process.terminate()
        try:
            await self._attend(process)
            code = await process.wait()
        finally:
            self.is_ready.clear()
            self._process = None
            self._on_end(process.pid)
        return _end_clause(code)

    async def _attend(self, process: asyncio.subprocess.Process) -> None:
        """Give the order and note "ready", until the child closes its standard output (as a rule by ending)."""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(self.command.order)
            await process.stdin.drain()
        while line := await process.stdout.readline():
            if line.strip() == b"ready":
                self._was_ready = True
                self.is_ready.set()

    async def stop(self, seconds: float) -> None:
        """End the child by SIGTERM and, after `seconds`, by SIGKILL."""
        self._stop.set()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            log.error("%s did not end within %g s: killing it", self.command.name, seconds)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _end_clause(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
