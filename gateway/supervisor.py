"""`sealgate serve`: binds the sockets, starts kmsd and the workers by exec, keeps them running, ends them in order.

The supervisor holds no keys, reads no requests, and keeps the listening sockets open while a child restarts. Order of
start: lock of the data directory, sockets, kmsd, workers. Order of the end: workers (after their requests in flight),
then kmsd. If the supervisor itself is killed, its children notice (`gateway.lifeline`) and end.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gateway
from gateway.blob_places import file_roots
from gateway.config import Settings
from gateway.database_files import require_usable
from gateway.kmsd import follow_moved_tokens, kmsd_command
from gateway.orders import ORPHAN_DRAIN_SECONDS, Order, encode_order
from gateway.processes import Child, Command
from gateway.server import metrics
from gateway.server.rate_table import make_table
from gateway.sockets import bind, bind_unix, bind_workers, local_address
from gateway.storage.blobs.layout import purge_all_temporary, purge_temporary

log = logging.getLogger(__name__)

ORPHAN_POLL_SECONDS = 0.05

END_MARGIN_SECONDS = 5.0
"""A worker gets this much beyond its drain before it is killed; kmsd gets it as a whole."""


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

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
    """Runs one gateway. `announce` is called once, when every worker answers for the first time."""

    def __init__(self, settings: Settings, announce: Callable[[Addresses], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._stopping = asyncio.Event()
        self._workers: list[Child] = []
        self._kmsd: Child | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises AlreadyRunning, DatabaseUnusable, BindError, StartFailed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        lock = DirectoryLock(self._settings)
        with contextlib.ExitStack() as ending:
            ending.callback(lock.release)
            await lock.acquire(ORPHAN_DRAIN_SECONDS + END_MARGIN_SECONDS)
            require_usable(self._settings)
            # Only from here on are the files in the data directory ours to change.
            self._clean()
            await self._watch(self._prepare(lock.fd, ending))

    def _prepare(self, lock_fd: int, ending: contextlib.ExitStack) -> Addresses:
        """Bind the sockets and plan the children; `ending` closes what was bound. Raises BindError."""
        settings = self._settings
        listen = bind_workers(settings.listen.address, settings.worker_count)
        for sock in listen:
            ending.callback(sock.close)
        admin = ending.enter_context(bind(settings.admin.address))
        kms = ending.enter_context(bind_unix(settings.kms.socket))
        ending.callback(settings.kms.socket.unlink, missing_ok=True)
        for sock in (*listen, admin, kms):
            sock.set_inheritable(True)
        rates = ending.enter_context(make_table())
        self._kmsd = self._kmsd_on(kms.fileno(), lock_fd)
        self._workers = [
            self._worker(number, sock.fileno(), admin.fileno(), rates.fileno(), lock_fd)
            for number, sock in enumerate(listen)
        ]
        return Addresses(local_address(listen[0]), local_address(admin), settings.listen.tls_certificate is not None)

    def _clean(self) -> None:
        """Remove what the processes of an earlier run left: half-written blobs, and their metrics."""
        settings = self._settings
        if follow_moved_tokens(settings):
            log.info("the data directory was moved: SoftHSM's configuration follows")
        for root in file_roots(settings):
            purge_all_temporary(root)
        shutil.rmtree(settings.metrics_directory, ignore_errors=True)
        settings.metrics_directory.mkdir(mode=0o700, parents=True)

    def _kmsd_on(self, listen_fd: int, lock_fd: int) -> Child:
        command = kmsd_command(
            self._settings, listen_fd, python("kms.daemon"), child_environment(self._settings), kept=(lock_fd,)
        )
        return Child(command, lambda pid: None)

    def _worker(self, number: int, listen_fd: int, admin_fd: int, rates_fd: int, lock_fd: int) -> Child:
        settings = self._settings
        instance = f"worker-{number}"
        order = Order(settings=settings, instance=instance, listen_fd=listen_fd, admin_fd=admin_fd, rates_fd=rates_fd)
        command = Command(
            name=instance,
            arguments=python("gateway.worker"),
            order=encode_order(order),
            descriptors=(listen_fd, admin_fd, rates_fd, lock_fd),
            environment=child_environment(settings),
        )

        def ended(pid: int) -> None:
            metrics.forget_process(pid, str(settings.metrics_directory))
            for root in file_roots(settings):
                purge_temporary(root, instance)

        return Child(command, ended)

    async def _watch(self, addresses: Addresses) -> None:
        """Until told to stop, or until a child does not start; the children have ended when this returns."""
        assert self._kmsd is not None
        running = [asyncio.create_task(child.run()) for child in (self._kmsd, *self._workers)]
        announcing = asyncio.create_task(self._announce_when_ready(addresses))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((*running, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            announcing.cancel()
            stopping.cancel()
            await self._end()
            await asyncio.gather(announcing, stopping, return_exceptions=True)
        await asyncio.gather(*running)

    async def _announce_when_ready(self, addresses: Addresses) -> None:
        for worker in self._workers:
            await worker.is_ready.wait()
        self._announce(addresses)

    async def _end(self) -> None:
        """Workers first, all at once; kmsd when nobody needs a key any more."""
        seconds = self._settings.listen.drain_seconds + END_MARGIN_SECONDS
        await asyncio.gather(*(worker.stop(seconds) for worker in self._workers))
        if self._kmsd is not None:
            await self._kmsd.stop(END_MARGIN_SECONDS)


def child_environment(settings: Settings) -> dict[str, str]:
    """Our own environment, where to find this very package, and where metrics are added up."""
    environment = dict(os.environ)
    package_parent = str(Path(gateway.__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package_parent, os.environ.get("PYTHONPATH"))))
    environment[metrics.MULTIPROCESS_DIRECTORY] = str(settings.metrics_directory)
    return environment


def python(module: str) -> tuple[str, ...]:
    """The command that runs `module` in a process of its own; -P keeps the working directory off its import path."""
    return (sys.executable, "-P", "-m", module)
