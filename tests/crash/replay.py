"""What a disk may hold after its power was lost: from the log of `disk.c`, for any moment.

What was synced is there. Of everything else each change may have reached the disk or not, in any order, and a
write in part. POSIX promises no more than that: fsync of a file makes its bytes durable, not its name; fsync of a
directory makes its names durable, not the bytes of what they name. A rename is one change.
https://pubs.opengroup.org/onlinepubs/9799919799/functions/fsync.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.crash.disk import Operation, Record

SECTOR_BYTES = 512
"""What a disk writes whole; a write that power was lost in is cut between two."""


class Luck(StrEnum):
    """What becomes of changes that were not synced."""

    LOST = "all lost"
    KEPT = "all kept"
    PREFIX = "kept in order up to a moment"
    SOME = "each lost or kept"
    TORN = "each lost, kept or torn"
    NAMES = "names kept, bytes lost"
    BYTES = "bytes kept, names lost"


@dataclass(slots=True)
class Change:
    """`moment`: its place in the log. Either of bytes (`data` at `offset`, or a new length) or of names."""

    moment: int
    offset: int = 0
    data: memoryview | None = None
    removed: tuple[Node, str] | None = None
    added: tuple[Node, str, Node] | None = None
    is_durable: bool = False


@dataclass(slots=True, eq=False)
class Node:
    """A file or a directory. `names` is what the processes see in it, changes are all of its own so far."""

    is_directory: bool
    mode: int
    names: dict[str, Node] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


class Replay:
    """The disk after the first `moment` records of a log, before which `root` was an empty directory."""

    def __init__(self, records: Iterable[Record], root_inode: int) -> None:
        self.root = Node(True, 0o700)
        self._nodes = {root_inode: self.root}
        self._syncs: dict[int, tuple[Node, int]] = {}
        self._names: list[Change] = []
        self.moment = 0
        for self.moment, record in enumerate(records, 1):
            self._take(record)

    def _take(self, record: Record) -> None:
        match record.operation:
            case Operation.OPEN | Operation.MKDIR:
                node = Node(record.operation is Operation.MKDIR, record.offset)
                self._nodes[record.inode] = node
                self._name(added=(*self._at(record.path), node))
            case Operation.WRITE:
                self._nodes[record.inode].changes.append(Change(self.moment, record.offset, record.data))
            case Operation.TRUNCATE:
                self._nodes[record.inode].changes.append(Change(self.moment, record.offset))
            case Operation.SYNC:
                node = self._nodes[record.inode]
                self._syncs[record.offset] = node, len(node.changes)
            case Operation.SYNCED:
                node, count = self._syncs.pop(record.offset)
                for change in node.changes[:count]:
                    change.is_durable = True
            case Operation.RENAME:
                directory, name = self._at(record.path)
                self._name(removed=(directory, name), added=(*self._at(record.other_path), directory.names[name]))
            case Operation.LINK:
                directory, name = self._at(record.path)
                self._name(added=(*self._at(record.other_path), directory.names[name]))
            case Operation.UNLINK | Operation.RMDIR:
                self._name(removed=self._at(record.path))

    def _at(self, path: str) -> tuple[Node, str]:
        *directories, name = path.split("/")
        node = self.root
        for each in directories:
            node = node.names[each]
        return node, name

    def _name(self, removed: tuple[Node, str] | None = None, added: tuple[Node, str, Node] | None = None) -> None:
        change = Change(self.moment, removed=removed, added=added)
        self._names.append(change)
        if removed is not None:
            del removed[0].names[removed[1]]
            removed[0].changes.append(change)
        if added is not None:
            added[0].names[added[1]] = added[2]
            if removed is None or added[0] is not removed[0]:
                added[0].changes.append(change)

    def write(self, directory: Path, luck: Luck, randoms: random.Random) -> None:
        """Make in `directory`, which is empty, what a disk may hold after the power was lost now."""
        last = randoms.randrange(self.moment + 1)

        def survives(change: Change) -> bool:
            if change.is_durable or luck is Luck.KEPT:
                return True
            if luck is Luck.PREFIX:
                return change.moment <= last
            if luck in (Luck.NAMES, Luck.BYTES):
                is_name = change.added is not None or change.removed is not None
                return is_name == (luck is Luck.NAMES)
            return luck in (Luck.SOME, Luck.TORN) and randoms.random() < 0.5

        names = self._surviving_names(survives)
        _write_directory(self.root, names, directory, lambda node: _content(node.changes, survives, luck, randoms))

    def _surviving_names(self, survives: Callable[[Change], bool]) -> dict[Node, dict[str, Node]]:
        names: dict[Node, dict[str, Node]] = {}
        for change in self._names:
            if not survives(change):
                continue
            if change.removed is not None:
                directory, name = change.removed
                names.setdefault(directory, {}).pop(name, None)
            if change.added is not None:
                directory, name, node = change.added
                names.setdefault(directory, {})[name] = node
        return names


def _write_directory(
    node: Node, names: dict[Node, dict[str, Node]], directory: Path, content: Callable[[Node], bytes]
) -> None:
    for name, child in names.get(node, {}).items():
        path = directory / name
        if child.is_directory:
            path.mkdir(mode=child.mode)
            _write_directory(child, names, path, content)
        elif not name.endswith("-shm"):  # memory of SQLite's that only looks like a file
            path.write_bytes(content(child))
            path.chmod(child.mode)


def _content(
    changes: Sequence[Change], survives: Callable[[Change], bool], luck: Luck, randoms: random.Random
) -> bytes:
    content = bytearray()
    for change in changes:
        if not survives(change):
            continue
        if change.data is None:
            del content[change.offset :]
            content.extend(bytes(change.offset - len(content)))
            continue
        data, offset = change.data, change.offset
        if luck is Luck.TORN and not change.is_durable and randoms.random() < 0.5:
            first, last = sorted(randoms.randrange(len(data) // SECTOR_BYTES + 2) for _ in range(2))
            offset, data = offset + first * SECTOR_BYTES, data[first * SECTOR_BYTES : last * SECTOR_BYTES]
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data
    return bytes(content)
