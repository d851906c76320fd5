"""The other side of `disk.c`: it is built and told here what to do, and what it noted is read."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tests.harness import Gateway, wait_until
from tests.hsm_faults.build import find_compiler

SOURCE = Path(__file__).with_name("disk.c")
MISSING = "no C compiler ($CC, cc, gcc, clang or the ziglang package)"
_OPTIONS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


class Operation(IntEnum):
    """As in disk.c; MARK is written by tests alone."""

    OPEN = 0
    WRITE = 1
    TRUNCATE = 2
    SYNC = 3
    SYNC_DIRECTORY = 4
    RENAME = 5
    UNLINK = 6
    MKDIR = 7
    RMDIR = 8
    READ = 9
    SYNCED = 10
    LINK = 11
    MARK = 12


class Place(IntEnum):
    """As in disk.c: the part of the data directory that a file is in."""

    TEMPORARY = 0
    BLOBS = 1
    STORE = 2
    INDEX = 3
    KEYS = 4
    IDENTITIES = 5
    AUDIT = 6
    OTHER = 7


@dataclass(frozen=True, slots=True)
class Step:
    """A point at which a process can be ended: before or after an operation in a place."""

    operation: Operation
    place: Place
    is_after: bool

    def __str__(self) -> str:
        when = "after" if self.is_after else "before"
        return f"{when} {self.operation.name.lower().replace('_', ' ')} in {self.place.name.lower()}"


@dataclass(frozen=True, slots=True)
class Record:
    operation: Operation
    inode: int
    offset: int
    path: str
    other_path: str
    data: memoryview


_HEADING = struct.Struct("=IIQQIII")
_CONTROL = struct.Struct("=8iq")
_KILL, _COUNTDOWN, _FAULT, _FAULTS, _CLOCK = 0, 12, 16, 28, 32


class Disk:
    """What stands between gateways and their data directories in `root`; its own files are in `directory`."""

    def __init__(self, directory: Path, root: Path, *, keeps_log: bool = False) -> None:
        compiler = find_compiler()
        assert compiler is not None, MISSING
        directory.mkdir()
        library, control = directory / "libdisk.so", directory / "control"
        command = [*compiler, *_OPTIONS, "-o", str(library), str(SOURCE), "-ldl", "-lpthread"]
        subprocess.run(command, check=True, timeout=300)
        control.write_bytes(_CONTROL.pack(-1, -1, 0, 0, 0, 0, 0, 0, 0))
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _CONTROL.size)
        self.environment = {
            "LD_PRELOAD": str(library),
            "CRASH_DISK_ROOT": str(root),
            "CRASH_DISK_CONTROL": str(control),
        }
        self.log_path = directory / "log"
        self._log = -1
        if keeps_log:
            self._log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self.environment["CRASH_DISK_LOG"] = str(self.log_path)

    def kill_at(self, step: Step, countdown: int) -> None:
        """The process that comes to `step` for the `countdown`-th time from now, all processes together, ends there."""
        self.spare()
        struct.pack_into("=i", self._memory, _COUNTDOWN, countdown)
        struct.pack_into("=iii", self._memory, _KILL, step.operation, step.place, step.is_after)

    def spare(self) -> None:
        struct.pack_into("=iii", self._memory, _KILL, -1, -1, 0)

    @property
    def has_killed(self) -> bool:
        return int(struct.unpack_from("=i", self._memory, _COUNTDOWN)[0]) <= 0

    def fail(self, error: int, operations: set[Operation], places: set[Place] = frozenset(Place)) -> None:  # type: ignore[assignment]
        """From now on these operations in these places end with `error`, an errno."""
        bits = [sum(1 << each for each in chosen) for chosen in (operations, places)]
        struct.pack_into("=4i", self._memory, _FAULT, 0, bits[1], error, 0)
        struct.pack_into("=i", self._memory, _FAULT, bits[0])

    def heal(self) -> None:
        struct.pack_into("=i", self._memory, _FAULT, 0)

    @property
    def faults(self) -> int:
        """How many operations failed since `fail`."""
        return int(struct.unpack_from("=i", self._memory, _FAULTS)[0])

    def set_clock_ahead(self, seconds: float) -> None:
        """Of every process of the gateway, from now on; behind, if negative."""
        struct.pack_into("=q", self._memory, _CLOCK, round(seconds * 1e9))

    def mark(self, number: int) -> None:
        """Note in the log that something happened here."""
        os.write(self._log, _HEADING.pack(_HEADING.size, Operation.MARK, number, 0, 0, 0, 0))

    def records(self) -> Iterator[Record]:
        """The log from its beginning."""
        with self.log_path.open("rb") as file:
            log = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        at = 0
        while at < len(log):
            size, operation, inode, offset, *lengths = _HEADING.unpack_from(log, at)
            assert size == _HEADING.size + sum(lengths)
            first = at + _HEADING.size
            second, third = first + lengths[0], first + lengths[0] + lengths[1]
            paths = bytes(log[first:second]).decode(), bytes(log[second:third]).decode()
            yield Record(Operation(operation), inode, offset, *paths, log[third : at + size])
            at += size


def make_gateway_on_disk(directory: Path, *, keeps_log: bool = False, **options: object) -> tuple[Gateway, Disk]:
    """A gateway in `directory`, to be initialised, all of whose commands and processes have a Disk beneath."""
    root = directory / "root"
    root.mkdir()
    gateway = Gateway(root / "data", root="file", **options)  # type: ignore[arg-type]
    disk = Disk(directory / "disk", root, keeps_log=keeps_log)
    gateway.environment |= disk.environment
    return gateway, disk


def wait_for_children(gateway: Gateway, workers: int) -> None:
    """That every process that should run does."""
    expected = {"gateway.worker": workers, "kms.daemon": 1}
    wait_until(lambda: {each: len(gateway.children(each)) for each in expected} == expected, "all children run", 60)
