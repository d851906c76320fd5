"""Every range of every small object is the slice of its body: exhaustively, in every mode, by the whole path of GET.

With segments of four bytes, which the format does not have but its arithmetic does, all ranges there are can be asked
for. `test_border_ranges.py` has those around the borders of real segments, in a module of its own: the segments are
small here as long as this one runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sealing.stream import BlobSealer
from tests.properties.encryption import MODES
from tests.properties.in_process import Store, parts_of_any_size, running_store
from tests.properties.ranges import put, sizes, upload

TINY_LOG2 = 2
TINY = 1 << TINY_LOG2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A gateway whose segments have four bytes, read one at a time by streams, with every blob in a file."""
    with pytest.MonkeyPatch.context() as patch, parts_of_any_size():
        patch.setitem(BlobSealer.__init__.__kwdefaults__, "seg_log2", TINY_LOG2)
        patch.setattr("gateway.sealing.format.MIN_SEG_LOG2", TINY_LOG2)
        for module in ("download", "object.get"):
            patch.setattr(f"gateway.operations.{module}.BATCH_BYTES", TINY)
        with running_store(tmp_path_factory.mktemp("tiny"), inline_limit_bytes=0) as made:
            yield made


def all_ranges(size: int, beyond: int = 1) -> Iterator[tuple[int | None, int | None]]:
    """With both ends, up to `beyond` bytes after the body; without an end; of the last bytes."""
    for first in range(size + beyond + 1):
        yield first, None
        for last in range(first, size + beyond + 1):
            yield first, last
    for length in range(size + beyond + 1):
        yield None, length


def blob_files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("store/blobs/*/*/*") if path.is_file()]


def test_the_tiny_segments_are_there(tmp_path_factory: pytest.TempPathFactory, tiny: Store) -> None:
    """Else the tests below would show less than they say."""
    before = {path.name for path in blob_files(tmp_path_factory.getbasetemp())}
    put(tiny, tiny.new_bucket(), "AES256", 2 * TINY)
    (made,) = (path for path in blob_files(tmp_path_factory.getbasetemp()) if path.name not in before)
    assert made.read_bytes()[10] == TINY_LOG2


@pytest.mark.parametrize("encryption", MODES)
def test_every_range_of_a_body(tiny: Store, encryption: str) -> None:
    bucket = tiny.new_bucket()
    for size in sizes(TINY):
        stored = put(tiny, bucket, encryption, size)
        for first, last in all_ranges(size):
            stored.check_range(first, last)
        stored.check_parts()


@pytest.mark.parametrize("encryption", MODES)
def test_every_range_of_two_parts(tiny: Store, encryption: str) -> None:
    bucket = tiny.new_bucket()
    for of in itertools.product(sizes(TINY), repeat=2):
        stored = upload(tiny, bucket, encryption, of)
        for first, last in all_ranges(sum(of), 0):
            stored.check_range(first, last)
        stored.check_parts()


@pytest.mark.parametrize("encryption", MODES)
def test_every_range_of_all_sizes_in_one_object(tiny: Store, encryption: str) -> None:
    stored = upload(tiny, tiny.new_bucket(), encryption, sizes(TINY))
    for first, last in all_ranges(len(stored.data), 0):
        stored.check_range(first, last)
    stored.check_parts()


def test_head_tells_what_get_tells(tiny: Store) -> None:
    """Whatever the mode: HEAD opens no key."""
    bucket = tiny.new_bucket()
    for stored in (put(tiny, bucket, "AES256", TINY + 1), upload(tiny, bucket, "AES256", (TINY, 1, 0))):
        for first, last in all_ranges(len(stored.data)):
            stored.check_range(first, last, "HEAD")
