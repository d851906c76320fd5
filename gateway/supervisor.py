"""`sealgate serve`: binds the sockets, starts kmsd and the workers by exec, keeps them running, ends them in order.

The supervisor holds no keys, reads no requests, and keeps the listening sockets open while a child restarts. Order of
start: lock of the data directory, sockets, kmsd, workers. Order of the end: workers (after their requests in flight),
then kmsd. If the supervisor itself is killed, its children notice (`gateway.lifeline`) and end. On SIGHUP or SIGUSR2
it hands the gateway on to the program and the settings that are there then (`gateway.handover`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from gateway import handover
from gateway.blob_places import file_roots
from gateway.config import Settings
from gateway.database_files import require_usable
from gateway.generation import END_MARGIN_SECONDS, Generation, Sockets
from gateway.handover import Handover
from gateway.kmsd import follow_moved_tokens
from gateway.orders import ORPHAN_DRAIN_SECONDS
from gateway.processes import Child, StartFailed
from gateway.sockets import BindError, local_address
from gateway.storage.blobs.layout import purge_all_temporary

log = logging.getLogger(__name__)

ORPHAN_POLL_SECONDS = 0.05

CHECK_SECONDS = 60.0
"""How long the program that is to take over may look at the settings; it asks the HSM and the databases."""

TAKEOVER_SECONDS = 60.0
"""How long the children of a successor may take until they serve, and then its kmsd."""


class AlreadyRunning(Exception):
    """Another supervisor serves this data directory; the message says which."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running gateway listens, with the real ports."""

    listen: str
    admin: str
    is_secure: bool

    @property
    def endpoint_url(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.listen}"


class DirectoryLock:
    """An flock on DATA/run/lock, shared with the children, so it is free only when all of them are gone.

    It cannot be left behind by a crash; and when the supervisor alone was killed, the next one waits for the children
    of the last: they may be writing still, and hold the sockets.
    """

    def __init__(self, settings: Settings, fd: int | None = None) -> None:
        """`fd` is the descriptor of a lock that was handed on, and is held."""
        self._settings = settings
        if fd is not None:
            os.set_inheritable(fd, False)
            self.fd = fd
            return
        path = settings.run_directory / "lock"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def acquire(self, wait_seconds: float) -> None:
        """Raises AlreadyRunning, at once if another supervisor lives, else when its children do not end in time."""
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(self.fd, 32, 0).decode("ascii", "replace").strip()
                if is_alive(holder) or time.monotonic() > deadline:
                    raise self._already_running(holder) from None
            await asyncio.sleep(ORPHAN_POLL_SECONDS)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def _already_running(self, holder: str) -> AlreadyRunning:
        return AlreadyRunning(
            f"another sealgate (process {holder or 'unknown'}, or its children) serves "
            f"{self._settings.data_directory}: stop it first, or give this one a data directory of its own"
        )

    def release(self) -> None:
        os.close(self.fd)


def supervisor_of(settings: Settings) -> int | None:
    """The process id of the supervisor that holds the lock of this data directory; None if nobody does."""
    try:
        fd = os.open(settings.run_directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        return int(holder) if holder.isdigit() else None
    finally:
        os.close(fd)
    return None


def is_alive(pid: str) -> bool:
    """Whether a process of this number exists; False for what is no number."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


class Supervisor:
    """Runs one gateway. `announce` is called when every worker answers for the first time, and after each handover.

    `handed_on` is a gateway that runs already, and goes on with `settings`; or, if `refusal` says why these do not do,
    without them.
    """

    def __init__(
        self,
        settings: Settings,
        announce: Callable[[Addresses], None],
        *,
        handed_on: Handover | None = None,
        refusal: str = "",
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._handed_on = handed_on
        self._refusal = refusal
        self._stopping = asyncio.Event()
        self._asked = asyncio.Event()
        self._last_number = 0 if handed_on is None else handed_on.last_number
        self._retired: list[Child] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises AlreadyRunning, DatabaseUnusable, BindError, StartFailed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            loop.add_signal_handler(number, self._asked.set)
        handover.take_signals()
        with contextlib.ExitStack() as ending:
            if self._handed_on is None:
                await self._begin(ending)
            else:
                await self._go_on(self._handed_on, ending)

    async def _begin(self, ending: contextlib.ExitStack) -> None:
        lock = self._hold(DirectoryLock(self._settings), ending)
        await lock.acquire(ORPHAN_DRAIN_SECONDS + END_MARGIN_SECONDS)
        require_usable(self._settings)
        # Only from here on are the files in the data directory ours to change.
        self._clean()
        sockets = Sockets.bound(self._settings)
        ending.callback(self._settings.kms.socket.unlink, missing_ok=True)
        generation = Generation.planned(0, self._settings, sockets, lock.fd)
        await self._watch(generation, self._announce_when_ready(generation))

    async def _go_on(self, handed_on: Handover, ending: contextlib.ExitStack) -> None:
        self._hold(DirectoryLock(handed_on.settings, handed_on.lock_fd), ending)
        ending.callback(handed_on.settings.kms.socket.unlink, missing_ok=True)
        generation, self._retired = handover.taken_over(handed_on)
        for child in self._retired:
            self._tasks.add(asyncio.create_task(child.run()))
            child.retire()
        await self._watch(generation, self._take_over(generation))

    def _hold(self, lock: DirectoryLock, ending: contextlib.ExitStack) -> DirectoryLock:
        ending.callback(lock.release)
        self._lock_fd = lock.fd
        return lock

    def _clean(self) -> None:
        """Remove what the processes of an earlier run left: half-written blobs, and their metrics."""
        settings = self._settings
        if follow_moved_tokens(settings):
            log.info("the data directory was moved: SoftHSM's configuration follows")
        for root in file_roots(settings):
            purge_all_temporary(root)
        shutil.rmtree(settings.metrics_directory, ignore_errors=True)
        settings.metrics_directory.mkdir(mode=0o700, parents=True)

    async def _watch(self, generation: Generation, beginning: Coroutine[None, None, None]) -> None:
        """Until told to stop, or until a child does not start; the children have ended when this returns.

        `beginning` runs beside, and nothing is handed on before its end.
        """
        self._generations = [generation]
        self._failed = asyncio.get_running_loop().create_future()
        self._attend(generation)
        serving = asyncio.create_task(self._serve(beginning))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((serving, stopping, self._failed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            stopping.cancel()
            await asyncio.gather(serving, stopping, return_exceptions=True)
            await self._end()
        if self._failed.done():
            self._failed.result()
        if not serving.cancelled():
            serving.result()

    def _attend(self, generation: Generation) -> None:
        """Start its children, and note when one is given up; while it is the only generation, this is the end."""
        generation.start()

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None and self._generations == [generation] and not self._failed.done():
                self._failed.set_exception(error)

        for task in generation.tasks:
            self._tasks.add(task)
            task.add_done_callback(ended)

    async def _end(self) -> None:
        """Workers first, all at once; kmsd when nobody needs a key any more."""
        retired = self._generations[-1].settings.listen.drain_seconds + END_MARGIN_SECONDS
        await asyncio.gather(
            *(generation.end_workers() for generation in self._generations),
            *(child.stop(retired) for child in self._retired),
        )
        await asyncio.gather(*(generation.kmsd.stop(END_MARGIN_SECONDS) for generation in self._generations))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for generation in self._generations:
            generation.sockets.close_but(None)
            generation.rates.close()

    async def _announce_when_ready(self, generation: Generation) -> None:
        for worker in generation.workers:
            await worker.is_ready.wait()
        self._announce_as(generation)

    def _announce_as(self, generation: Generation) -> None:
        sockets = generation.sockets
        is_secure = generation.settings.listen.tls_certificate is not None
        self._announce(Addresses(local_address(sockets.listen[0]), local_address(sockets.admin), is_secure))

    # Handing on

    async def _serve(self, beginning: Coroutine[None, None, None]) -> None:
        await beginning
        while True:
            await self._asked.wait()
            self._asked.clear()
            log.info("asked to take up the settings and the program that are there now")
            self._note_outcome(await self._refused_by_check() or self._hand_on())

    async def _refused_by_check(self) -> str:
        """Why the program that is installed now would not go on with what runs; empty if it would."""
        fd = handover.write(self._describe())
        try:
            process = await asyncio.create_subprocess_exec(
                *handover.own_command(),
                "--check",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(fd,),
                env=handover.environment_with(fd),
                start_new_session=True,
            )
        except OSError as error:
            return f"the program cannot be started: {error}"
        finally:
            os.close(fd)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                _, told = await process.communicate()
        except TimeoutError:
            return f"the check of the settings did not end within {CHECK_SECONDS:g} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode == 0:
            return ""
        lines = told.decode(errors="replace").strip().splitlines() or [f"status {process.returncode}"]
        return lines[-1].removeprefix("Error: ")

    def _describe(self) -> Handover:
        self._retired = [child for child in self._retired if child.handed_on() is not None]
        return handover.describe(self._generations[-1], self._retired, self._lock_fd, last_number=self._last_number)

    def _hand_on(self) -> str:
        """Become the successor: returns only why that was not possible."""
        described = self._describe()
        fd = handover.write(described)
        try:
            handover.become_successor(described, fd)
        except OSError as error:
            return f"the program cannot be started: {error}"
        finally:
            os.close(fd)
        raise AssertionError("exec does not return")

    def _note_outcome(self, refusal: str) -> None:
        settings = self._generations[-1].settings
        if refusal:
            log.error("not taken up, and everything goes on as before: %s", refusal)
        try:
            handover.note_outcome(settings, refusal)
        except OSError as error:
            log.error("the outcome cannot be noted: %s", error)

    # Taking over

    async def _take_over(self, old: Generation) -> None:
        refusal = self._refusal or await self._succeed(old)
        self._note_outcome(refusal)
        if not refusal:
            self._announce_as(self._generations[-1])

    async def _succeed(self, old: Generation) -> str:
        """Start children for the settings that are there now, and put them in the place of the old ones.

        Or leave these where they are, and say why.
        """
        try:
            sockets = old.sockets.followed(old.settings, self._settings)
        except BindError as error:
            return str(error)
        self._last_number += 1
        new = Generation.planned(self._last_number, self._settings, sockets, self._lock_fd)
        self._generations = [old, new]
        self._attend(new)
        try:
            async with asyncio.timeout(TAKEOVER_SECONDS):
                await new.ready_to_succeed()
        except (StartFailed, TimeoutError) as error:
            await self._give_up(new, old)
            return str(error) or f"the new workers were not ready within {TAKEOVER_SECONDS:g} s"
        new.follow_nobody(self._lock_fd)
        log.info("new workers serve; those of before end with their connections")
        await self._give_up(old, new)
        try:
            async with asyncio.timeout(TAKEOVER_SECONDS):
                await new.kmsd.is_ready.wait()
        except TimeoutError:
            log.error("the new kmsd is not ready after %g s", TAKEOVER_SECONDS)
        return ""

    async def _give_up(self, generation: Generation, kept: Generation) -> None:
        """Its workers serve the connections that they have; its kmsd ends, so that the other one is the only one."""
        ending = [generation.kmsd]
        for worker in generation.workers:
            if worker.is_ready.is_set():
                worker.retire()
                self._retired.append(worker)
            else:
                ending.append(worker)
        await asyncio.gather(*(child.stop(END_MARGIN_SECONDS) for child in ending))
        self._generations = [kept]
        generation.sockets.close_but(kept.sockets)
        generation.rates.close()
