"""A child process that is kept running: started by exec, watched, started again with a growing pause.

Knows nothing of what the child does. The child gets its order as one line on standard input, which stays open as its
lifeline (`gateway.lifeline`), and reports "ready" on standard output; "standing by" before that, if it waits for the
end of another one. A child can be handed on to another program in the place of this one (`Child.handed_on`, exec): its
pipes and its number are all there is to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
"""Connections wait in the backlog of a worker that is down, so the pause between attempts stays short."""

STEADY_SECONDS = 30.0
"""A child that lived this long failed for a new reason: the pause begins anew."""

ATTEMPTS_BEFORE_READY = 3
"""A child that never got ready in this many attempts will not: the start as a whole has failed."""

UNKNOWN_STATUS = 255
"""Of a child whose end somebody else was told."""


class StartFailed(Exception):
    """A child ended again and again before it was ever ready; the message names it and its last end."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a child. `order` is written to its standard input; it may hold paths but is logged nowhere.

    `order_again` is what one is told after another that was ready once, if that is something else.
    """

    name: str
    arguments: Sequence[str]
    order: bytes
    descriptors: Sequence[int]
    environment: dict[str, str] = field(repr=False)
    order_again: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOn:
    """A running child, for who takes it over: descriptors of the ends of its pipes that are ours."""

    pid: int
    stdin_fd: int
    stdout_fd: int
    is_ready: bool


class Process:
    """A process started here or taken over, and its pipes. Belongs to one event loop, in which it must be made."""

    def __init__(self, pid: int, stdin_fd: int, stdout_fd: int) -> None:
        self.pid = pid
        self.stdin_fd = stdin_fd
        self.stdout_fd = stdout_fd
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        for fd in (stdin_fd, stdout_fd):
            os.set_inheritable(fd, False)
        # A thread for each, as asyncio's ThreadedChildWatcher has it: asyncio cannot watch what it did not start.
        threading.Thread(target=self._reap, name=f"wait for {pid}", daemon=True).start()

    @classmethod
    def start(cls, command: Command) -> Process:
        """Raises OSError."""
        started = subprocess.Popen(  # noqa: S603  # our own programs
            command.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=command.descriptors,
            env=command.environment,
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which ends all in order.
            start_new_session=True,
        )
        assert started.stdin is not None
        assert started.stdout is not None
        with started.stdin, started.stdout:
            process = cls(started.pid, os.dup(started.stdin.fileno()), os.dup(started.stdout.fileno()))
        started.returncode = 0  # it is ours to wait for, not Popen's
        return process

    def _reap(self) -> None:
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            code = UNKNOWN_STATUS
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._note_end, code)

    def _note_end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    async def wait(self) -> int:
        """Its exit code, or minus the number of the signal that ended it."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """To a process that has ended already it makes no difference."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            await asyncio.to_thread(_write_all, self.stdin_fd, data)

    @contextlib.asynccontextmanager
    async def _output(self) -> AsyncIterator[asyncio.StreamReader]:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(self.stdout_fd), "rb", buffering=0)
        transport, _ = await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            yield reader
        finally:
            transport.close()

    async def lines(self) -> AsyncIterator[bytes]:
        """What it writes, until it closes its standard output (as a rule by ending)."""
        async with self._output() as reader:
            while line := await reader.readline():
                yield line.strip()

    def close(self) -> None:
        """Give up the pipes, once it has ended."""
        os.close(self.stdin_fd)
        os.close(self.stdout_fd)


def _write_all(fd: int, data: bytes) -> None:
    with os.fdopen(os.dup(fd), "wb", buffering=0) as pipe:
        rest = memoryview(data)
        while rest:
            rest = rest[pipe.write(rest) :]


class Child:
    """Keeps one child running until `stop` or `retire`. `on_end` is called with the process id after each end.

    With `attempts`, a child that was never ready or standing by is started so often. `taken_over` is one that runs.
    """

    def __init__(
        self,
        command: Command,
        on_end: Callable[[int], None],
        *,
        attempts: int = ATTEMPTS_BEFORE_READY,
        taken_over: HandedOn | None = None,
    ) -> None:
        self.command = command
        """What the next start runs."""
        self.is_ready = asyncio.Event()
        self.is_standing_by = asyncio.Event()
        self.restarts = 0
        self._on_end = on_end
        self._attempts = attempts
        self._process: Process | None = None
        self._taken_over = taken_over
        self._was_ready = taken_over is not None
        self._is_retired = False
        self._stop = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def handed_on(self) -> HandedOn | None:
        """What it takes to go on with the running process elsewhere; None if there is none at present."""
        process = self._process
        if process is None:
            return self._taken_over
        return HandedOn(
            pid=process.pid, stdin_fd=process.stdin_fd, stdout_fd=process.stdout_fd, is_ready=self.is_ready.is_set()
        )

    async def run(self) -> None:
        """Start and start again. Returns after `stop`; raises StartFailed if the child never gets ready."""
        pause = FIRST_PAUSE_SECONDS
        while self._taken_over is not None or not self._stop.is_set():
            began = time.monotonic()
            ended = await self._run_once()
            if self._stop.is_set():
                return
            self.restarts += 1
            if not self._was_ready and self.restarts >= self._attempts:
                times = f", {self.restarts} times" if self.restarts > 1 else ""
                raise StartFailed(f"{self.command.name} does not start: it {ended}{times}")
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - began > STEADY_SECONDS else pause
            log.error("%s %s: starting it again in %.1f s", self.command.name, ended, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> str:
        """One life of the process; a clause that says how it ended."""
        handed, self._taken_over = self._taken_over, None
        if handed is not None:
            process = Process(handed.pid, handed.stdin_fd, handed.stdout_fd)
            if handed.is_ready:
                self.is_ready.set()
        else:
            try:
                process = Process.start(self.command)
            except OSError as error:
                return f"cannot be started ({error})"
        self._process = process
        if self._stop.is_set() and not self._is_retired:
            process.send_signal(signal.SIGTERM)
        try:
            if handed is None:
                again = self.command.order_again if self._was_ready else None
                await process.write(again or self.command.order)
            await self._listen(process)
            code = await process.wait()
        finally:
            self.is_ready.clear()
            self.is_standing_by.clear()
            self._process = None
            self._on_end(process.pid)
        process.close()
        return _end_clause(code)

    async def _listen(self, process: Process) -> None:
        async for line in process.lines():
            if line in (b"ready", b"standing by"):
                self._was_ready = True
                (self.is_ready if line == b"ready" else self.is_standing_by).set()

    def retire(self) -> None:
        """Tell the child that others go on in its place: it ends by itself, and is not started again.

        One that was told before it was taken over needs not be told again.
        """
        self._is_retired = True
        self._stop.set()
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)

    async def stop(self, seconds: float) -> None:
        """End the child by SIGTERM and, after `seconds`, by SIGKILL."""
        self._is_retired = False
        self._stop.set()
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            log.error("%s did not end within %g s: killing it", self.command.name, seconds)
            process.send_signal(signal.SIGKILL)
            await process.wait()


def _end_clause(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
