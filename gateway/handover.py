"""How a supervisor hands a running gateway on to its successor, a program that takes its place in the same process.

Theory of operation. On SIGHUP the supervisor has the program that is installed now look at the settings that are there
now (`serve --check`), in a process beside. If it is content, the supervisor becomes that program by exec: its process
id, its listening sockets, the lock of the data directory and its children stay; what the successor must know of them is
a `Handover`, in a file of no name that it inherits. The successor starts its own children beside those of before. Only
once these serve do the old workers retire and does the old kmsd end; until then, whatever fails leaves the old ones
serving.

A program of another release refuses in `--check` what it could not share with the old children for a while: stores
that it would migrate, another dialect of kmsd's socket, settings that say where everything is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.config import Settings
from gateway.generation import Generation, Sockets
from gateway.orders import decode_path
from gateway.private_files import write_private
from gateway.processes import Child, Command, HandedOn
from kms.wire import dialect

FORMAT: Final = 1

_VARIABLE = "_SEALGATE_HANDOVER_FD"
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2})
_MAX_BYTES = 16 << 20

LASTING = (
    "data_directory",
    "region",
    "kms.socket",
    "kms.store",
    "storage.index",
    "storage.identities",
    "storage.blobs",
    "database.schema",
)
"""Settings that two generations must have in common, since both write."""


class CannotTakeOver(Exception):
    """What was handed on cannot be gone on with by this program and these settings; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A child: how to start it again, and the process if one runs. `environment` is what differs from our own."""

    name: str
    arguments: tuple[str, ...]
    order: bytes
    descriptors: tuple[int, ...]
    environment: dict[str, str]
    running: HandedOn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A running gateway: generation `number`, and workers of others that have connections still (`retired`).

    `last_number` is the highest number that a generation ever had, be it one that failed to start.
    """

    format: int = FORMAT
    dialect: str
    number: int
    last_number: int
    settings: Settings
    lock_fd: int
    listen_fds: tuple[int, ...]
    admin_fd: int
    kms_fd: int
    rates_fd: int
    kmsd: Record
    workers: tuple[Record, ...]
    retired: tuple[Record, ...]


def describe(generation: Generation, retired: Sequence[Child], lock_fd: int, *, last_number: int) -> Handover:
    sockets = generation.sockets
    return Handover(
        dialect=dialect(),
        number=generation.number,
        last_number=last_number,
        settings=generation.settings,
        lock_fd=lock_fd,
        listen_fds=tuple(sock.fileno() for sock in sockets.listen),
        admin_fd=sockets.admin.fileno(),
        kms_fd=sockets.kms.fileno(),
        rates_fd=generation.rates.fileno(),
        kmsd=_record(generation.kmsd),
        workers=tuple(map(_record, generation.workers)),
        retired=tuple(map(_record, retired)),
    )


def _record(child: Child) -> Record:
    command = child.command
    return Record(
        name=command.name,
        arguments=tuple(command.arguments),
        order=command.order,
        descriptors=tuple(command.descriptors),
        environment={name: value for name, value in command.environment.items() if os.environ.get(name) != value},
        running=child.handed_on(),
    )


def taken_over(handover: Handover) -> tuple[Generation, list[Child]]:
    """The generation, and the retired workers, as they run; belongs to the running event loop."""
    sockets = Sockets(
        tuple(socket.socket(fileno=fd) for fd in handover.listen_fds),
        socket.socket(fileno=handover.admin_fd),
        socket.socket(fileno=handover.kms_fd),
    )
    rates = os.fdopen(handover.rates_fd, "r+b", buffering=0)
    kmsd = Child(_command(handover.kmsd), lambda pid: None, taken_over=handover.kmsd.running)
    generation = Generation(handover.number, handover.settings, sockets, rates, kmsd)
    generation.workers = [_worker(generation, record) for record in handover.workers]
    return generation, [_worker(generation, record) for record in handover.retired]


def _worker(generation: Generation, record: Record) -> Child:
    return generation.child(_command(record), taken_over=record.running)


def _command(record: Record) -> Command:
    environment = {**os.environ, **record.environment}
    return Command(record.name, record.arguments, record.order, record.descriptors, environment)


def require_compatible(handover: Handover, settings: Settings) -> None:
    """Raises CannotTakeOver unless this program, with `settings`, can serve beside what was handed on."""
    if handover.dialect != dialect():
        raise CannotTakeOver("this release speaks to its key process otherwise: stop the gateway, and start it")
    for name in LASTING:
        if _setting(handover.settings, name) != _setting(settings, name):
            raise CannotTakeOver(f"{name} was changed, which needs a stop and a start")


def _setting(settings: Settings, name: str) -> object:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


# From one program to the next


def write(handover: Handover) -> int:
    """A descriptor of a file without a name that holds it. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("sealgate-handover")
    else:
        fd, path = tempfile.mkstemp(prefix="sealgate-handover-")
        Path(path).unlink()
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(msgspec.json.encode(handover, enc_hook=str))
    return fd


def received() -> Handover | None:
    """What was handed on to this process; None if it was started as any other. Raises CannotTakeOver.

    No child of this one finds it.
    """
    number = os.environ.pop(_VARIABLE, None)
    if number is None:
        return None
    with os.fdopen(int(number), "rb") as file:
        content = os.pread(file.fileno(), _MAX_BYTES, 0)
    try:
        # The format first: a later one may have other fields.
        if msgspec.json.decode(content, type=_Any).format == FORMAT:
            return msgspec.json.decode(content, type=Handover, dec_hook=decode_path)
    except msgspec.DecodeError as error:
        raise CannotTakeOver(f"what the running gateway handed on cannot be read: {error}") from error
    raise CannotTakeOver("the running gateway is of a release that hands on otherwise: stop it, and start this one")


@dataclass(frozen=True, slots=True)
class _Any:
    format: int


def own_command() -> list[str]:
    """The command that this process was started with: a script is found anew, with the interpreter that it names."""
    script = sys.argv[0]
    if not script.endswith(".py") and os.access(script, os.X_OK):
        return [script, *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


def environment_with(fd: int) -> dict[str, str]:
    """That of a process to which `fd` is handed on."""
    return {**os.environ, _VARIABLE: str(fd)}


def become_successor(handover: Handover, fd: int) -> None:
    """Exec: does not return. Raises OSError, with nothing changed.

    Signals that arrive before the successor can take them wait for it (`take_signals`).
    """
    running = [record.running for record in (handover.kmsd, *handover.workers, *handover.retired) if record.running]
    pipes = [fd for each in running for fd in (each.stdin_fd, each.stdout_fd)]
    for each in (*pipes, handover.lock_fd, handover.rates_fd, fd):
        os.set_inheritable(each, True)
    command = own_command()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        os.execve(command[0], command, environment_with(fd))  # noqa: S606  # our own command line
    finally:
        take_signals()


def take_signals() -> None:
    """Once handlers are set."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


# What whoever asked for it is told


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the newest attempt; `attempt` counts them. `refusal` is empty if it was handed over."""

    attempt: int
    refusal: str = ""


def outcome_path(settings: Settings) -> Path:
    return settings.run_directory / "handover"


def newest_outcome(settings: Settings) -> Outcome:
    """Raises OSError."""
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(outcome_path(settings).read_bytes(), type=Outcome)
    return Outcome(0)


def note_outcome(settings: Settings, refusal: str) -> None:
    """Raises OSError."""
    outcome = Outcome(newest_outcome(settings).attempt + 1, refusal)
    write_private(outcome_path(settings), msgspec.json.encode(outcome).decode())
