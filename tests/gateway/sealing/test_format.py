from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.format import (
    Header,
    lp,
    pack_core,
    sealed_length,
    segment_count,
    segment_span,
    segment_spans,
)
from tests.gateway.sealing.material import SMALL, sealed_blob

EDGES = (0, 1, 2, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL - 1, 2 * SMALL, 2 * SMALL + 1, 3 * SMALL, 3 * SMALL + 5)


@pytest.mark.parametrize("two_layers", [False, True])
def test_header_parse_is_the_inverse_of_pack(two_layers: bool) -> None:
    blob = sealed_blob(3, two_layers=two_layers)
    header = Header.parse(blob.header)
    assert header.pack() == blob.header
    assert (header.blob_id, header.seg_log2, header.two_layers) == (blob.blob_id, 14, two_layers)
    assert header.commitment == blob.commitment
    assert len(header.commitment) == (64 if two_layers else 32)


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (0, b"X", AuthenticationFailed),  # magic
        (8, b"\x02", FormatError),  # version
        (9, b"\x02", FormatError),  # suite
        (10, b"\x0d", AuthenticationFailed),  # seg_log2 13
        (10, b"\x15", AuthenticationFailed),  # seg_log2 21
        (11, b"\x02", AuthenticationFailed),  # an unknown flag
        (12, b"\x01", AuthenticationFailed),  # zeros
        (15, b"\x01", AuthenticationFailed),
        (96, b"\x01", AuthenticationFailed),  # a second commitment of one layer
        (127, b"\x01", AuthenticationFailed),
    ],
)
def test_header_fields_are_checked(offset: int, value: bytes, error: type[Exception]) -> None:
    header = bytearray(sealed_blob(0).header)
    header[offset : offset + 1] = value
    with pytest.raises(error):
        Header.parse(header)


@pytest.mark.parametrize("length", [0, 127, 129])
def test_header_has_128_bytes(length: int) -> None:
    with pytest.raises(AuthenticationFailed):
        Header.parse(sealed_blob(0).stored[:length])


@pytest.mark.parametrize(("blob_id", "seg_log2"), [(bytes(15), 14), (bytes(17), 14), (bytes(16), 13), (bytes(16), 21)])
def test_core_refuses_what_no_reader_takes(blob_id: bytes, seg_log2: int) -> None:
    with pytest.raises(ValueError, match=r"16 bytes|seg_log2"):
        pack_core(blob_id, seg_log2, two_layers=False)


@pytest.mark.parametrize(
    ("plain_length", "segments"), [(0, 1), (1, 1), (SMALL - 1, 1), (SMALL, 1), (SMALL + 1, 2), (2 * SMALL, 2)]
)
def test_segment_count_and_sealed_length(plain_length: int, segments: int) -> None:
    assert segment_count(plain_length, 14) == segments
    assert sealed_length(plain_length, seg_log2=14) == 128 + plain_length + 16 * segments
    assert sealed_length(plain_length, seg_log2=14, two_layers=True) == 128 + plain_length + 32 * segments
    for two_layers in (False, True):
        blob = sealed_blob(plain_length, two_layers=two_layers)
        assert len(blob.header + blob.segments) == sealed_length(plain_length, seg_log2=14, two_layers=two_layers)


@pytest.mark.parametrize("two_layers", [False, True])
@pytest.mark.parametrize("plain_length", [0, 1, SMALL, SMALL + 1, 3 * SMALL, 3 * SMALL + 5])
def test_every_range_between_edges_equals_the_slice(plain_length: int, two_layers: bool) -> None:
    blob = sealed_blob(plain_length, two_layers=two_layers)
    edges = [edge for edge in EDGES if edge <= plain_length]
    for start, end in itertools.combinations_with_replacement(edges, 2):
        span = segment_span(start, end, plain_length, seg_log2=14, two_layers=two_layers)
        assert blob.read(span) == blob.plaintext[start:end]


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_every_range_of_a_short_body_equals_the_slice(length: int) -> None:
    blob = sealed_blob(length)
    for start, end in itertools.combinations_with_replacement(range(length + 1), 2):
        assert blob.read(segment_span(start, end, length, seg_log2=14)) == blob.plaintext[start:end]


LONG_BLOB = sealed_blob(5 * SMALL + 11)


@given(st.data(), st.integers(1, 7))
def test_batches_of_a_range_join_to_the_slice(data: st.DataObject, batch_segments: int) -> None:
    length = len(LONG_BLOB.plaintext)
    start = data.draw(st.integers(0, length))
    end = data.draw(st.integers(start, length))
    spans = list(segment_spans(start, end, length, seg_log2=14, batch_segments=batch_segments))
    assert b"".join([LONG_BLOB.read(span) for span in spans]) == LONG_BLOB.plaintext[start:end]
    assert all(span.stored_length <= batch_segments * (SMALL + 16) for span in spans)
    sizes = [LONG_BLOB.opener().plain_size(span.first_segment, span.stored_length) for span in spans]
    assert max(sizes) == sizes[0]
    for before, after in itertools.pairwise(spans):
        assert after.stored_offset == before.stored_offset + before.stored_length


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (2, 1), (0, 11), (11, 11)])
def test_a_range_lies_inside_its_body(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="inside"):
        segment_span(start, end, 10)


def test_a_batch_has_a_segment() -> None:
    with pytest.raises(ValueError, match="at least one"):
        next(segment_spans(0, 1, 1, batch_segments=0))


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_lp_is_unambiguous(left: list[bytes], right: list[bytes]) -> None:
    assert (lp(left) == lp(right)) == (left == right)


def test_lp_of_splits_that_concatenation_confuses() -> None:
    lists = [[b"a", b"bc"], [b"ab", b"c"], [b"abc"], [b"abc", b""], [b"", b"abc"], [b"\0\0\0\1a"], [b"a"], [], [b""]]
    assert len({lp(fields) for fields in lists}) == len(lists)


@pytest.mark.parametrize("length", [0, 1, 255, 256, 1024, 1025, 70_000])
def test_lp_length_field(length: int) -> None:
    assert lp([bytes(length)]) == length.to_bytes(4, "big") + bytes(length)
