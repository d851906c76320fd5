"""`python -m kms.daemon`: reads its order, serves until SIGTERM, SIGINT or the end of standard input, then drains.

Standard input: one line (`DaemonSettings.to_json`), then silence; its end means that the supervisor died. Standard
output: the line "ready" once the socket answers, sealed or not; a successor writes "standing by" before, when there is
nothing left but to wait for its predecessor's end. Exit status: 0 after an orderly end, 2 for an order
it does not understand, 3 when the key store or the epoch cannot be used, 4 when calls of the HSM hang for good: whoever
starts it again gives the HSM's library a process that it has not hung in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator

import uvloop

from database.threads import started_threads
from kms.audit.trail import AuditTrail
from kms.daemon.hardening import harden
from kms.daemon.root import roots_of
from kms.daemon.server import KMSServer
from kms.daemon.settings import DaemonSettings, SettingsError
from kms.epoch import EpochLocked, SharedEpoch
from kms.hsm.roots import Roots
from kms.service.core import ServiceSettings
from kms.service.service import EmbeddedKeyService
from kms.store.interface import ROOT_CHECK_VALUE, StoreError
from kms.store.opening import open_key_store
from kms.store.sqlite import SQLiteKeyStore

log = logging.getLogger("kms.daemon")

BACKLOG = 128
SUCCESSION_PAUSE_SECONDS = 0.02
_MAX_ORDER_BYTES = 64 * 1024
_CLOSE_ROOT_SECONDS = 2.0

DEFAULT_THREADS = 2
"""Of asyncio's own pool, which the end of the audit trail alone uses."""


class StartFailed(Exception):
    """kmsd cannot serve with what it found; an operator must act."""


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="kmsd %(levelname)s %(name)s: %(message)s")
    try:
        settings = DaemonSettings.from_json(_read_order(0))
    except (SettingsError, EOFError) as error:
        log.error("%s", error)
        return 2
    logging.getLogger().setLevel(settings.log_level.upper())
    harden()
    try:
        is_given_up = uvloop.run(_serve(settings))
    except (StartFailed, StoreError, EpochLocked, OSError) as error:
        log.error("%s", error)
        return 3
    return 4 if is_given_up else 0


async def _serve(settings: DaemonSettings) -> bool:
    """Until told to stop; or, then True, until the root hangs for good."""
    stop, hang = asyncio.Event(), asyncio.Event()

    def give_up() -> None:
        hang.set()
        stop.set()

    loop = asyncio.get_running_loop()
    loop.set_default_executor(started_threads(DEFAULT_THREADS, "kmsd"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _watch_supervisor(loop, stop)
    _require_key_store(settings)
    if settings.is_successor:
        print("standing by", flush=True)
        if not await _predecessor_ended(settings, stop):
            return False
    with contextlib.closing(_epoch(settings)) as epoch, _key_store(settings, epoch) as store:
        root = roots_of(settings.root, store, settings.keys_path.parent, makes_missing=True)
        service_settings = ServiceSettings(
            region=settings.region,
            other_regions=settings.other_regions,
            lease_seconds=settings.lease_seconds,
            protection=settings.protection,
            root_deadline_seconds=settings.root_deadline_seconds,
            hang_seconds=settings.hang_seconds,
            node=f"{socket.gethostname()}:{settings.keys_path.parent}",
        )
        async with (
            AuditTrail(settings.audit, root, lambda: epoch.value) as trail,
            EmbeddedKeyService(store, root, epoch, service_settings, trail=trail, give_up=give_up) as service,
        ):
            server = KMSServer(service, request_seconds=settings.root_deadline_seconds + 2.0)
            await server.listen(_listener(settings))
            print("ready", flush=True)
            health = await service.health()
            log.info("serving; the root is %s: %s", health.state.value, health.detail)
            await stop.wait()
            log.info("draining")
            await server.drain(settings.drain_seconds)
            await server.close()
        _close_root(root)
        if settings.socket_path is not None:
            settings.socket_path.unlink(missing_ok=True)
    return hang.is_set()


def _require_key_store(settings: DaemonSettings) -> None:
    if settings.key_database is None and not settings.keys_path.exists():
        raise StartFailed(f"there is no key store at {settings.keys_path}; `sealgate init` makes one")


@contextlib.contextmanager
def _key_store(settings: DaemonSettings, epoch: SharedEpoch) -> Iterator[SQLiteKeyStore]:
    """The key store, which knows its root; what other nodes change there raises this node's epoch."""
    store = open_key_store(settings.keys_path, settings.key_database, on_change=epoch.advance)
    try:
        if store.meta(ROOT_CHECK_VALUE) is None:
            raise StartFailed(f"the key store {settings.keys_path} knows no root; `sealgate init` has not finished")
        yield store
    finally:
        store.close()


async def _predecessor_ended(settings: DaemonSettings, stop: asyncio.Event) -> bool:
    """Wait for it; False if this one was told to stop before. Workers' calls wait meanwhile in the socket."""
    while not stop.is_set():
        try:
            _epoch(settings).close()
        except EpochLocked:
            await asyncio.sleep(SUCCESSION_PAUSE_SECONDS)  # a lock of another process: nothing to wait on
        else:
            return True
    return False


def _epoch(settings: DaemonSettings) -> SharedEpoch:
    return SharedEpoch.open_writer(settings.epoch_path)


def _listener(settings: DaemonSettings) -> socket.socket:
    if settings.listen_fd is not None:
        listener = socket.socket(fileno=settings.listen_fd)
        listener.setblocking(False)
        return listener
    assert settings.socket_path is not None
    # The epoch's lock proves that no other kmsd lives: a socket that is there was left behind.
    settings.socket_path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(settings.socket_path))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _close_root(root: Roots) -> None:
    """Log out and finalise, but not at any price: a token that hangs is left to the end of the process."""
    closing = threading.Thread(target=root.close, daemon=True)
    closing.start()
    closing.join(_CLOSE_ROOT_SECONDS)


def _read_order(descriptor: int) -> bytes:
    """The first line, and not a byte more, for what follows is the supervisor's lifeline."""
    line = bytearray()
    while (byte := os.read(descriptor, 1)) != b"\n":
        line += byte
        if not byte or len(line) > _MAX_ORDER_BYTES:
            raise EOFError("no complete order came on standard input")
    return bytes(line)


def _watch_supervisor(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    os.set_blocking(0, False)

    def readable() -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(0, 4096):
                loop.remove_reader(0)
                log.warning("the supervisor is gone")
                stop.set()

    loop.add_reader(0, readable)


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    # Not sys.exit: it would wait for threads, and one may hang in a PKCS#11 module whose token is gone.
    os._exit(status)
