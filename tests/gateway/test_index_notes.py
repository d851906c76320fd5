"""What is kept beside the blobs for a rebuild of the index: written as the index changes, read whole or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.index_notes import NoteKeeper, NotesError, NoteTaking, read_notes
from gateway.storage.index.records import KeyEpochRow
from tests.conformance.index import bucket_row
from tests.fakes import MemoryIndex

EPOCHS = [
    KeyEpochRow("index", 1, b"\0wrapped", 5),
    KeyEpochRow("index", 2, b"\xffwrapped", 6),
    KeyEpochRow("sse-s3", 1, b"other", 7),
]


@pytest.fixture
async def index() -> MemoryIndex:
    made = MemoryIndex()
    for epoch in EPOCHS:
        await made.add_key_epoch(epoch)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index-notes"


async def test_notes_say_what_the_index_says(index: MemoryIndex, path: Path) -> None:
    rows = [bucket_row(f"bucket-{number:03}", sealed=os.urandom(9)) for number in range(250)]
    for row in rows:
        await index.create_bucket(row)
    assert await NoteKeeper(path, index).keep()
    notes = read_notes(path)
    assert notes.epochs == EPOCHS
    assert notes.buckets == rows
    assert await notes.key_epochs("index") == EPOCHS[:2]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_they_are_written_when_something_changed(index: MemoryIndex, path: Path) -> None:
    keeper = NoteKeeper(path, index)
    row = bucket_row()
    for change, expected in (
        (None, []),
        (index.create_bucket(row), [row]),
        (index.update_bucket(replace(row, revision=2, sealed=b"new")), [replace(row, revision=2, sealed=b"new")]),
        (index.delete_bucket(row.bucket_id), []),
    ):
        if change is not None:
            await change
        assert await keeper.keep()
        assert read_notes(path).buckets == expected
        assert not await keeper.keep()
    await index.add_key_epoch(KeyEpochRow("sse-s3", 2, b"newest", 8))
    assert await keeper.keep()
    assert len(read_notes(path).epochs) == 4


async def test_keys_that_the_index_lost_are_kept(index: MemoryIndex, path: Path) -> None:
    await NoteKeeper(path, index).keep()
    before = path.read_bytes()
    lost = MemoryIndex()
    other = MemoryIndex()
    for epoch in EPOCHS:
        await other.add_key_epoch(replace(epoch, wrapped=b"another's"))
    for each in (lost, other):
        await each.create_bucket(bucket_row())
        with pytest.raises(NotesError, match="does not have"):
            await NoteKeeper(path, each).keep()
    assert path.read_bytes() == before


async def test_an_index_without_keys_is_not_noted(path: Path) -> None:
    assert not await NoteKeeper(path, MemoryIndex()).keep()
    assert not path.exists()


async def test_one_of_several_workers_takes_them(index: MemoryIndex, path: Path) -> None:
    first, second = (NoteTaking(NoteKeeper(path, index), path.with_name("lock")) for _ in range(2))
    await first._keep()
    path.unlink()
    await second.close()
    assert not path.exists()  # the first one has noted it, and has the lock
    await index.create_bucket(bucket_row())
    await first.close()
    assert len(read_notes(path).buckets) == 1


async def test_notes_that_were_cut_or_changed_are_refused(index: MemoryIndex, path: Path) -> None:
    await index.create_bucket(bucket_row())
    await NoteKeeper(path, index).keep()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for damaged in (
        b"",
        *(whole[:length] for length in range(0, len(whole) - 1, 7)),
        b"".join(lines[:-1]),
        b"".join(lines[1:]),
        b"".join([*lines[:2], *lines[3:]]),
        whole + b"{}\n",
        whole + lines[-1],
        whole.replace(b'"version":1', b'"version":2'),
        whole.replace(b"index notes", b"other notes"),
        whole.replace(b'"epoch":1', b'"epoch":"1"', 1),
        b"[" * 100_000,
        b"\xff" + whole,
    ):
        path.write_bytes(damaged)
        with pytest.raises(NotesError):
            read_notes(path)
    path.write_bytes(whole)
    assert len(read_notes(path).buckets) == 1
