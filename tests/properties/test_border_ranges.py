"""Ranges that begin and end around the borders of segments of 64 KiB, in every mode; inline and in files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from gateway.sealing.format import SEGMENT_SIZE
from tests.properties.encryption import MODES
from tests.properties.in_process import Store, parts_of_any_size
from tests.properties.ranges import put, sizes, upload


def border_ranges(size: int) -> Iterator[tuple[int | None, int | None]]:
    borders = (0, SEGMENT_SIZE, 2 * SEGMENT_SIZE, size)
    points = sorted({border + near for border in borders for near in (-1, 0, 1) if 0 <= border + near <= size + 1})
    yield from itertools.combinations_with_replacement(points, 2)
    for point in points:
        yield point, None
        yield None, point


@pytest.mark.parametrize("encryption", MODES)
@pytest.mark.parametrize("size", sizes(SEGMENT_SIZE))
def test_ranges_around_borders_of_real_segments(store: Store, encryption: str, size: int) -> None:
    bucket = store.new_bucket()
    stored = put(store, bucket, encryption, size)
    for first, last in border_ranges(size):
        stored.check_range(first, last)
    stored.check_parts()


@pytest.mark.parametrize("encryption", MODES)
def test_ranges_around_borders_of_parts(store: Store, encryption: str) -> None:
    with parts_of_any_size():
        stored = upload(store, store.new_bucket(), encryption, (SEGMENT_SIZE + 1, 0, SEGMENT_SIZE, 1))
    for first, last in border_ranges(len(stored.data)):
        stored.check_range(first, last)
    stored.check_parts()
