"""A worker process: serves HTTP on sockets that the supervisor bound.

Started as `python -m gateway.worker` with an order (one line of JSON) on standard input, which stays open as the
lifeline to the supervisor. Writes "ready" to standard output once it accepts connections. Ends on SIGTERM, or when the
supervisor is gone, after the requests in flight; it is not ready any more from the signal on. SIGUSR1 retires it:
others accept on its sockets from then on, it serves the connections that it has and ends with the last of them. Exit
status: 0 after an orderly end, 3 when index or blobs cannot be used, as kmsd's is for the key store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from database.threads import started_threads
from gateway import logs
from gateway.allocator import keep_large_buffers, settle_collector
from gateway.app import Application, open_application
from gateway.config import ListenSettings
from gateway.database_files import DatabaseUnusable, require_usable
from gateway.lifeline import read_line, watch_supervisor
from gateway.orders import ORPHAN_DRAIN_SECONDS, Order, decode_order
from gateway.outage import Outage
from gateway.server import metrics
from gateway.server.access_log import AccessLog
from gateway.server.health import AdminHandler
from gateway.server.listener import Listener, Observer
from gateway.server.rate_table import RateTable
from gateway.server.tls import ReloadingTLS
from gateway.storage.errors import StorageUnavailable

log = logging.getLogger("gateway.worker")  # also where this module is __main__

READY = b"ready\n"
METRICS_SECONDS = 0.25

ADMIN_RETIRE_SECONDS = 5.0
"""Who asks for health and metrics on a kept-alive connection of a retired worker has this long to ask again."""

EXHAUSTED_SECONDS = 5.0
"""What a worker without memory gets to end, beyond its drain."""

REOPEN_SECONDS = 1.0
"""Between two attempts to open index and blobs, while requests are refused."""

REFUSED_SECONDS = 1.0
"""For requests on connections that were taken by who refuses, when it ends to do so."""

DEFAULT_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""As many as asyncio's own pool has."""

_ADMIN_LIMITS = ListenSettings(max_connections=64, header_bytes=8192, idle_seconds=30, header_seconds=5)


class Worker:
    """The parts of a running worker, started in order and ended in reverse."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._settings = order.settings
        self._stopping = asyncio.Event()
        self._retiring = asyncio.Event()
        self._told = asyncio.Event()
        self._orphaned = asyncio.Event()
        self._request_metrics = metrics.RequestMetrics()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(started_threads(DEFAULT_THREADS, "worker"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._tell, self._stopping)
        loop.add_signal_handler(signal.SIGUSR1, self._tell, self._retiring)
        watch_supervisor(loop, 0, self._lost)
        async with contextlib.AsyncExitStack() as ending:
            rates = RateTable(self._order.rates_fd)
            os.close(self._order.rates_fd)
            application = await self._opened(rates)
            if application is None:
                return
            ending.push_async_callback(application.close)
            if self._order.is_successor and not await self._unsealed(application):
                return
            listener = await self._listen(application, self._order.listen_fds, ending)
            admin = await self._listen_admin(application, self._order.admin_fd, ending)
            await self._run_beside(self._tell_metrics(listener), ending)
            settle_collector()
            os.write(1, READY)
            await self._told.wait()
            if not self._stopping.is_set():
                await self._retire(listener, admin)
            if self._stopping.is_set():
                await self._drain(listener)
            else:
                await listener.close(0)

    async def _opened(self, rates: RateTable) -> Application | None:
        """Index and blobs opened; None if told to end before.

        Where clients are that an earlier one served, requests are refused and it is tried again. Otherwise raises
        StorageUnavailable.
        """
        outage: Outage | None = None
        async with contextlib.AsyncExitStack() as refusing:
            while not self._told.is_set():
                try:
                    if self._order.served_before:  # else the supervisor has looked, and SQLite makes what is missing
                        await asyncio.to_thread(require_usable, self._settings)
                    return await open_application(self._settings, self._order.instance, rates)
                except (StorageUnavailable, DatabaseUnusable) as error:
                    if not self._order.served_before:
                        raise
                    if outage is None:
                        outage = await self._refuse(rates, refusing)
                    outage.note(str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), REOPEN_SECONDS)
        return None

    async def _refuse(self, rates: RateTable, refusing: contextlib.AsyncExitStack) -> Outage:
        """Serve refusals on the sockets, and what they say, until `refusing` is closed."""
        outage = Outage(self._settings, rates)
        refusing.push_async_callback(outage.close)
        listener = await self._listen(outage, [os.dup(fd) for fd in self._order.listen_fds], refusing)
        admin = await self._listen_admin(outage, os.dup(self._order.admin_fd), refusing)
        for refusal in (listener, admin):  # who is connected already has the answer before it ends
            refusing.push_async_callback(refusal.retire, REFUSED_SECONDS, self._told)
        return outage

    def _tell(self, event: asyncio.Event) -> None:
        event.set()
        self._told.set()

    def _out_of_memory(self) -> None:
        """After it, nobody knows what else could not be done: the supervisor starts a new worker in our place."""
        if not self._stopping.is_set():
            # Should something wait for ever that could not be done: the default of SIGALRM is to end the process.
            limits = self._settings.listen
            signal.setitimer(signal.ITIMER_REAL, limits.unready_seconds + limits.drain_seconds + EXHAUSTED_SECONDS)
            self._tell(self._stopping)
            log.error("out of memory: ending, to be started again")

    def _lost(self) -> None:
        log.warning("the supervisor is gone: ending")
        self._orphaned.set()
        self._tell(self._stopping)

    async def _unsealed(self, application: Application) -> bool:
        """Wait for it; False if told to end before."""
        unsealing = asyncio.create_task(application.is_unsealed.wait())
        told = asyncio.create_task(self._told.wait())
        await asyncio.wait((unsealing, told), return_when=asyncio.FIRST_COMPLETED)
        for task in (unsealing, told):
            task.cancel()
        return not self._told.is_set()

    async def _retire(self, listener: Listener, admin: Listener) -> None:
        seconds = self._settings.listen.retire_seconds
        log.info("retiring: %d connections may go on for %g s", listener.connection_count, seconds)
        # Health is asked of who serves.
        await asyncio.gather(
            listener.retire(seconds, self._stopping), admin.retire(ADMIN_RETIRE_SECONDS, self._stopping)
        )

    async def _drain(self, listener: Listener) -> None:
        limits = self._settings.listen
        if not self._retiring.is_set() and limits.unready_seconds:
            log.info("not ready any more: draining begins in %g s", limits.unready_seconds)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._orphaned.wait(), limits.unready_seconds)
        log.info("draining")
        longest = ORPHAN_DRAIN_SECONDS if self._orphaned.is_set() else limits.drain_seconds
        await listener.close(min(limits.drain_seconds, longest))

    async def _ready(self, application: Application | Outage) -> tuple[bool, list[str]]:
        is_ready, reasons = await application.ready()
        return (False, ["ending", *reasons]) if self._stopping.is_set() else (is_ready, reasons)

    async def _listen(
        self, application: Application | Outage, fds: Sequence[int], ending: contextlib.AsyncExitStack
    ) -> Listener:
        limits = self._settings.listen
        observers: list[Observer] = [self._request_metrics.observe]
        ending.callback(self._request_metrics.flush)
        if self._settings.log.access_log:
            access_log = AccessLog(self._settings.log.access_log)
            access_log.start()
            ending.callback(access_log.close)
            observers.append(access_log.write)
        tls = None
        if limits.tls_certificate is not None:
            reloading = ReloadingTLS(limits.tls_certificate, limits.tls_key)
            tls = reloading.context
            await self._run_beside(reloading.watch(), ending)
        listener = Listener(application.handle, limits, observers=observers, tls=tls, out_of_memory=self._out_of_memory)
        for fd in fds:
            await listener.start(_inherited(fd))
        ending.push_async_callback(listener.close, 0)
        return listener

    async def _listen_admin(
        self, application: Application | Outage, fd: int, ending: contextlib.AsyncExitStack
    ) -> Listener:
        handler = AdminHandler(partial(self._ready, application), self._request_metrics.flush)
        admin = Listener(handler.handle, _ADMIN_LIMITS)
        await admin.start(_inherited(fd))
        ending.push_async_callback(admin.close, 0)
        return admin

    async def _tell_metrics(self, listener: Listener) -> None:
        while True:
            metrics.IN_FLIGHT.set(listener.in_flight)
            metrics.CONNECTIONS.set(listener.connection_count)
            self._request_metrics.flush()
            await asyncio.sleep(METRICS_SECONDS)

    async def _run_beside(self, work: Any, ending: contextlib.AsyncExitStack) -> None:
        """Run a coroutine that never ends until the worker does; that it ends earlier is logged."""
        task = asyncio.create_task(work)
        task.add_done_callback(_report_end)

        async def cancel() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        ending.push_async_callback(cancel)


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended", task.get_coro(), exc_info=error)


def _inherited(fd: int) -> socket.socket:
    """A socket of our own for an inherited descriptor: closing it leaves the supervisor's open."""
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def main() -> int:
    keep_large_buffers()
    order = decode_order(read_line(0))
    logs.configure(order.settings.log.level, order.instance)
    try:
        _run(Worker(order))
    except StorageUnavailable as error:
        log.error("the worker cannot go on: %s", error)
        return 3
    except Exception:
        log.exception("the worker cannot go on")
        return 1
    return 0


def _run(worker: Worker) -> None:
    try:
        import uvloop  # noqa: PLC0415  # absent where it does not exist (Windows)
    except ImportError:
        asyncio.run(worker.run())
    else:
        uvloop.run(worker.run())


if __name__ == "__main__":
    sys.exit(main())
