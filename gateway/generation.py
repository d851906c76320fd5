"""One generation of a gateway's processes: kmsd and the workers that were started together, with one set of settings.

A restart without a pause makes a second one beside the first, on the same listening sockets. While it starts, its kmsd
stands by, and its workers ask the kmsd of the first: there is one key process at a time, and all have its socket.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import gateway
from gateway.blob_places import file_roots
from gateway.config import Settings
from gateway.kmsd import kmsd_command
from gateway.orders import Order, encode_order
from gateway.processes import ATTEMPTS_BEFORE_READY, Child, Command, StartFailed
from gateway.server import metrics
from gateway.server.rate_table import make_table
from gateway.sockets import HAS_BALANCED_REUSEPORT, bind, bind_unix, bind_workers, local_address
from gateway.storage.blobs.layout import purge_temporary

END_MARGIN_SECONDS = 5.0
"""A worker gets this much beyond its drain before it is killed; kmsd gets it as a whole."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """What clients and workers connect to. `listen` are sockets of one address, over which connections are spread."""

    listen: tuple[socket.socket, ...]
    admin: socket.socket
    kms: socket.socket

    @classmethod
    def bound(cls, settings: Settings) -> Sockets:
        """Raises BindError, with nothing left open."""
        opened: list[socket.socket] = []
        try:
            opened += dict.fromkeys(bind_workers(settings.listen.address, settings.worker_count))
            opened += [bind(settings.admin.address)]
            opened += [bind_unix(settings.kms.socket)]
        except OSError:
            _close(opened)
            raise
        return cls(tuple(opened[:-2]), opened[-2], opened[-1])

    def followed(self, old: Settings, new: Settings) -> Sockets:
        """Those of `new`: these where the address stays, others besides. None of these is ever closed by that: what
        waits in it would be lost. Raises BindError, with nothing left open."""
        opened: list[socket.socket] = []
        try:
            if new.listen.address != old.listen.address:
                opened += dict.fromkeys(bind_workers(new.listen.address, new.worker_count))
                listen = tuple(opened)
            else:
                address = local_address(self.listen[0])
                more = new.worker_count - len(self.listen) if HAS_BALANCED_REUSEPORT else 0
                opened += [bind(address, reuse_port=True) for _ in range(more)]
                listen = (*self.listen, *opened)
            admin = self.admin
            if new.admin.address != old.admin.address:
                admin = bind(new.admin.address)
        except OSError:
            _close(opened)
            raise
        return Sockets(listen, admin, self.kms)

    def of_worker(self, number: int, count: int) -> tuple[socket.socket, ...]:
        """Every socket is some worker's, and every worker has one."""
        return self.listen[number::count] or (self.listen[number % len(self.listen)],)

    @property
    def all(self) -> tuple[socket.socket, ...]:
        return (*self.listen, self.admin, self.kms)

    def close_but(self, kept: Sockets | None) -> None:
        """Close those that are not among `kept` as well."""
        _close([sock for sock in self.all if kept is None or sock not in kept.all])


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


class Generation:
    """The children of one set of settings, planned; `start` starts them. `number` counts from 0."""

    def __init__(self, number: int, settings: Settings, sockets: Sockets, rates: IO[bytes], kmsd: Child) -> None:
        self.number = number
        self.settings = settings
        self.sockets = sockets
        self.rates = rates
        self.kmsd = kmsd
        self.workers: list[Child] = []
        self.tasks: list[asyncio.Task[None]] = []

    @classmethod
    def planned(cls, number: int, settings: Settings, sockets: Sockets, lock_fd: int) -> Generation:
        """A new one. But for the first, its kmsd stands by, and none of its children is started twice if it fails."""
        for sock in sockets.all:
            sock.set_inheritable(True)
        is_first = number == 0
        attempts = ATTEMPTS_BEFORE_READY if is_first else 1
        rates = make_table()
        command = _kmsd(settings, sockets, lock_fd, is_successor=not is_first)
        made = cls(number, settings, sockets, rates, Child(command, lambda pid: None, attempts=attempts))
        made.workers = [
            made.child(_worker(made, each, lock_fd, is_successor=not is_first), attempts=attempts)
            for each in range(settings.worker_count)
        ]
        return made

    def child(self, command: Command, **options: object) -> Child:
        """A worker of this generation."""
        settings = self.settings

        def ended(pid: int) -> None:
            metrics.forget_process(pid, str(settings.metrics_directory))
            for root in file_roots(settings):
                purge_temporary(root, command.name)

        return Child(command, ended, **options)  # type: ignore[arg-type]

    def start(self) -> None:
        self.tasks = [asyncio.create_task(child.run()) for child in (self.kmsd, *self.workers)]

    async def ready(self) -> None:
        """Until every worker answers. Raises StartFailed."""
        await self._or_failed(*(worker.is_ready for worker in self.workers))

    async def ready_to_succeed(self) -> None:
        """Until every worker answers, and kmsd stands by. Raises StartFailed."""
        await self._or_failed(*(worker.is_ready for worker in self.workers), self.kmsd.is_standing_by)

    async def _or_failed(self, *events: asyncio.Event) -> None:
        waiting: asyncio.Future[Any] = asyncio.gather(*(event.wait() for event in events))
        watched: list[asyncio.Future[Any]] = [waiting, *self.tasks]
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if waiting not in done:
            for task in self.tasks:
                if task.done():
                    task.result()
            raise StartFailed("it was told to end while it started")

    def follow_nobody(self, lock_fd: int) -> None:
        """From their next start on, no child waits for what its predecessors do."""
        self.kmsd.command = _kmsd(self.settings, self.sockets, lock_fd, is_successor=False)
        for number, worker in enumerate(self.workers):
            worker.command = _worker(self, number, lock_fd, is_successor=False)

    async def end_workers(self) -> None:
        """All at once, after their requests in flight."""
        limits = self.settings.listen
        seconds = limits.unready_seconds + limits.drain_seconds + END_MARGIN_SECONDS
        await asyncio.gather(*(worker.stop(seconds) for worker in self.workers))


def _kmsd(settings: Settings, sockets: Sockets, lock_fd: int, *, is_successor: bool) -> Command:
    return kmsd_command(
        settings,
        sockets.kms.fileno(),
        python("kms.daemon"),
        child_environment(settings),
        kept=(lock_fd,),
        is_successor=is_successor,
    )


def _worker(generation: Generation, number: int, lock_fd: int, *, is_successor: bool) -> Command:
    settings, sockets = generation.settings, generation.sockets
    # Workers of two generations may write at once: each has a name, and by it a place for what is half-written.
    instance = f"worker-{number}" if generation.number == 0 else f"worker-{number}.{generation.number}"
    listen_fds = tuple(sock.fileno() for sock in sockets.of_worker(number, settings.worker_count))
    admin_fd, rates_fd = sockets.admin.fileno(), generation.rates.fileno()
    order = Order(
        settings=settings,
        instance=instance,
        listen_fds=listen_fds,
        admin_fd=admin_fd,
        rates_fd=rates_fd,
        is_successor=is_successor,
    )
    return Command(
        name=instance,
        arguments=python("gateway.worker"),
        order=encode_order(order),
        order_again=encode_order(replace(order, served_before=True)),
        descriptors=(*listen_fds, admin_fd, rates_fd, lock_fd),
        environment=child_environment(settings),
    )


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
