"""What a disk may hold after power loss, by a real process's log: what was synced is there, the rest as luck has it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.disk import MISSING, Disk, Operation, Place, Step
from tests.crash.replay import Luck, Replay
from tests.hsm_faults.build import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason=MISSING)

Run = Callable[[str], int]

BEGIN = """
import os
os.chdir(os.environ["CRASH_DISK_ROOT"])
def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
def write(path, data, offset=0, synced=False):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(fd, data, offset)
    if synced:
        os.fsync(fd)
    os.close(fd)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def disk(tmp_path: Path, root: Path) -> Disk:
    return Disk(tmp_path / "disk", root, keeps_log=True)


@pytest.fixture
def run(disk: Disk) -> Run:
    """Runs Python code in the directory, with `sync` and `write`; how it ended."""
    environment = {**os.environ, **disk.environment, "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(code: str) -> int:
        command = [sys.executable, "-c", BEGIN + code]
        return subprocess.run(command, env=environment, timeout=30, check=False).returncode

    return run


def left(disk: Disk, root: Path, luck: Luck, seed: int = 0) -> dict[str, bytes]:
    """Files on the disk after the power was lost at the end."""
    after = root.with_name(f"after-{luck.name}-{seed}")
    after.mkdir()
    Replay(disk.records(), root.stat().st_ino).write(after, luck, random.Random(seed))
    return {str(path.relative_to(after)): path.read_bytes() for path in after.rglob("*") if path.is_file()}


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


CHANGES = """
os.mkdir("d")
write("d/a", b"one")
write("d/a", b"two!", offset=2)
fd = os.open("d/a", os.O_RDWR); os.ftruncate(fd, 5); os.close(fd)
with open("d/b", "wb") as file: file.write(b"x" * 3000)
with open("d/b", "ab") as file: file.write(b"y")
with open("d/b", "r+b") as file: file.write(b"z")
os.rename("d/b", "c")
os.link("c", "e")
write("gone", b"gone"); os.unlink("gone")
os.mkdir("f"); os.rmdir("f")
"""


def test_with_luck_the_disk_is_what_the_processes_saw(disk: Disk, root: Path, run: Run) -> None:
    assert run(CHANGES) == 0
    assert left(disk, root, Luck.KEPT) == files(root)
    assert set(files(root)) == {"d/a", "c", "e"}


def test_what_was_not_synced_is_lost(disk: Disk, root: Path, run: Run) -> None:
    assert run(CHANGES) == 0
    assert left(disk, root, Luck.LOST) == {}


def test_a_synced_file_needs_its_name_synced_too(disk: Disk, root: Path, run: Run) -> None:
    assert run('write("a", b"bytes", synced=True)') == 0
    assert left(disk, root, Luck.LOST) == {}
    assert run('sync(".")') == 0
    assert left(disk, root, Luck.LOST, seed=1) == {"a": b"bytes"}


def test_a_synced_name_says_nothing_of_bytes(disk: Disk, root: Path, run: Run) -> None:
    assert run('write("a", b"bytes"); sync(".")') == 0
    assert left(disk, root, Luck.LOST) == {"a": b""}


def test_a_rename_lasts_from_the_sync_of_its_directory_on(disk: Disk, root: Path, run: Run) -> None:
    assert run('os.mkdir("d"); sync("."); write("a", b"new", synced=True); write("d/b", b"old", synced=True)') == 0
    assert run('sync("d"); sync("."); os.rename("a", "d/b")') == 0
    assert left(disk, root, Luck.LOST) == {"a": b"new", "d/b": b"old"}
    assert run('sync("d")') == 0
    assert left(disk, root, Luck.LOST, seed=1) == {"d/b": b"new"}


def test_each_change_is_lost_or_kept_or_torn_by_itself(disk: Disk, root: Path, run: Run) -> None:
    assert run('write("a", b"1" * 4096); sync("."); sync("a"); write("a", b"2" * 4096); write("b", b"3")') == 0
    found = [left(disk, root, Luck.TORN, seed) for seed in range(40)]
    assert {"b" in each for each in found} == {True, False}
    assert {b"1" * 4096, b"2" * 4096} < {each["a"] for each in found}
    for each in found:
        sectors = [each["a"][start : start + 512] for start in range(0, 4096, 512)]
        assert all(len(set(sector)) == 1 for sector in sectors) and len(each["a"]) == 4096


@pytest.mark.parametrize("is_after", [False, True])
def test_a_process_ends_at_the_step_it_is_told(disk: Disk, root: Path, run: Run, is_after: bool) -> None:
    disk.kill_at(Step(Operation.MKDIR, Place.OTHER, is_after), 2)
    assert run('os.mkdir("a"); os.mkdir("b"); os.mkdir("c")') == -9
    assert disk.has_killed
    assert {path.name for path in root.iterdir()} == ({"a", "b"} if is_after else {"a"})


NO_RING = 77

WRITING = """
import asyncio
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.io_uring import Ring

async def main():
    store = FileBlobStore("store", "worker-0", io_uring={io_uring})
    writer = await store.create(bytes(5) + b"\\1" + bytes(10))
    await writer.write(b"x" * 300_000)
    await writer.write(b"y" * 1000)
    await writer.commit()
    has_ring = store._ring is not None
    await store.close()
    raise SystemExit(0 if has_ring == {io_uring} else {no_ring})

Ring.start = {start}
asyncio.run(main())
"""


def write_blob(run: Run, *, io_uring: bool, start: str = "Ring.start") -> None:
    ended = run(WRITING.format(io_uring=io_uring, no_ring=NO_RING, start=start))
    if ended == NO_RING:
        pytest.skip("the kernel does not let us use io_uring")
    assert ended == 0


@pytest.mark.parametrize("io_uring", [True, False])
def test_a_blob_that_was_committed_survives_whoever_wrote_it(disk: Disk, root: Path, run: Run, io_uring: bool) -> None:
    write_blob(run, io_uring=io_uring)
    blob = {f"store/blobs/0000/0000/{bytes(5).hex()}01{bytes(10).hex()}": b"x" * 300_000 + b"y" * 1000}
    assert left(disk, root, Luck.LOST) == blob
    written = [record.operation for record in disk.records() if record.operation in (Operation.WRITE, Operation.RENAME)]
    assert written[-1] is Operation.RENAME
    assert set(written[:-1]) == {Operation.WRITE}


def test_what_a_ring_did_not_sync_is_lost(disk: Disk, root: Path, run: Run) -> None:
    """The counterpart: the log sees what the kernel is given, and only that."""
    fsync, fadvise = 3, 24
    unsynced = f"""lambda ring, *operations, start=Ring.start: start(ring, *(
        each._replace(opcode={fadvise}) if each.opcode == {fsync} else each for each in operations))"""
    write_blob(run, io_uring=True, start=unsynced)
    assert left(disk, root, Luck.LOST) == {}
    [content] = left(disk, root, Luck.KEPT).values()
    assert len(content) == 301_000
