from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing.batcher import SegmentBatcher
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobOpener, BlobSealer
from tests.gateway.sealing.material import SMALL, body, key


def batches(pieces: list[bytes], **options: int) -> list[bytes]:
    batcher = SegmentBatcher(**options)
    taken = [bytes(batch) for piece in pieces for batch in batcher.feed(piece)]
    return [*taken, bytes(batcher.finish())]


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 3), st.integers(1, 9), st.sampled_from([1, 2, 3]))
def test_any_split_of_a_body_gives_the_same_batches(
    pieces: list[bytes], batch_segments: int, segment_size: int, buffers: int
) -> None:
    taken = batches(pieces, batch_segments=batch_segments, segment_size=segment_size, buffers=buffers)
    whole = b"".join(pieces)
    step = batch_segments * segment_size
    assert taken == ([whole[start : start + step] for start in range(0, len(whole), step)] or [b""])


@pytest.mark.parametrize("length", [0, 1, SMALL - 1, SMALL, SMALL + 1, 4 * SMALL, 4 * SMALL + 1])
@pytest.mark.parametrize("piece_length", [777, SMALL, 100_000])
def test_a_body_of_unknown_length_seals_and_opens(length: int, piece_length: int) -> None:
    plaintext, data_key, blob_id = body(length), key(), new_id()
    sealer = BlobSealer(data_key, blob_id, seg_log2=14)
    batcher = SegmentBatcher(batch_segments=2, segment_size=SMALL)
    out = bytearray(sealer.room_for(batcher.batch_bytes))
    stored = bytearray()
    for start in range(0, length, piece_length):
        for batch in batcher.feed(plaintext[start : start + piece_length]):
            stored += out[: sealer.seal_into(batch, out, final=False)]
    stored += out[: sealer.seal_into(batcher.finish(), out, final=True)]
    opener = BlobOpener(
        data_key, sealer.header, blob_id=blob_id, commitment=sealer.commitment, plain_length=sealer.plain_length
    )
    assert opener.open(0, stored) == plaintext


def test_a_batch_stays_valid_while_the_others_turn() -> None:
    batcher = SegmentBatcher(batch_segments=1, segment_size=4, buffers=3)
    taken = []
    for piece in (b"aaaa", b"bbbb", b"cccc", b"dddd"):
        for batch in batcher.feed(piece):
            taken.append(batch)
            assert [bytes(batch) for batch in taken] == [b"aaaa", b"bbbb", b"cccc"][: len(taken)]
    assert bytes(batcher.finish()) == b"dddd"
    assert [bytes(batch) for batch in taken] == [b"dddd", b"bbbb", b"cccc"]


def test_memory_is_bounded_by_the_buffers() -> None:
    batcher = SegmentBatcher(batch_segments=2, segment_size=SMALL, buffers=2)
    for _ in range(50):
        for _ in batcher.feed(bytes(10_000)):
            pass
    assert sum(len(buffer) for buffer in batcher._buffers) == 2 * batcher.batch_bytes


def test_a_small_body_takes_a_small_buffer() -> None:
    batcher = SegmentBatcher()
    assert list(batcher.feed(bytes(1000))) == []
    assert sum(len(buffer) for buffer in batcher._buffers) <= 8192
    assert len(batcher.finish()) == 1000


def test_a_body_ends_once() -> None:
    batcher = SegmentBatcher()
    assert len(batcher.finish()) == 0
    with pytest.raises(RuntimeError, match="ended"):
        batcher.finish()
    with pytest.raises(RuntimeError, match="ended"):
        list(batcher.feed(b"x"))


@pytest.mark.parametrize("options", [{"batch_segments": 0}, {"buffers": 0}])
def test_there_is_something_to_fill(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        SegmentBatcher(**options)
