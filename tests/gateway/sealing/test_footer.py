from __future__ import annotations

import json
from dataclasses import replace

import pytest
from awscrt.checksums import crc64nvme
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.footer import (
    MAX_DESCRIPTOR_BYTES,
    MAX_ENVELOPE_BYTES,
    TAIL_SIZE,
    Envelope,
    format_envelope,
    open_descriptor,
    parse_envelope,
    parse_footer,
    parse_tail,
)
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobSealer
from tests.gateway.sealing.material import SMALL, SealedBlob, envelope, key, sealed_blob


def read(blob: SealedBlob, stored: bytes, header: bytes | None = None) -> bytes:
    """What an index rebuild does: tail, footer, descriptor."""
    tail = parse_tail(stored[-TAIL_SIZE:])
    header = stored[:128] if header is None else header
    footer = parse_footer(header, stored[-tail.footer_length :], stored_length=len(stored))
    assert footer.plain_length == len(blob.plaintext)
    return open_descriptor(blob.data_key, header, footer, second_key=blob.second_key)


@pytest.mark.parametrize("two_layers", [False, True])
@pytest.mark.parametrize("length", [0, 1, SMALL, SMALL + 1])
def test_a_footer_says_what_was_written(length: int, two_layers: bool) -> None:
    blob = sealed_blob(length, two_layers=two_layers)
    assert read(blob, blob.stored) == b'{"key":"x"}'
    tail = parse_tail(blob.stored[-32:])
    assert tail.footer_length == len(blob.footer)
    summed = replace(envelope(), segments_crc64=crc64nvme(blob.segments).to_bytes(8))
    assert parse_envelope(blob.footer[: tail.envelope_length]) == summed
    assert b'{"key":"x"}' not in blob.stored


def test_every_bit_of_footer_and_header_counts() -> None:
    blob = sealed_blob(0)
    stored = blob.stored
    start = len(stored) - len(blob.footer)
    for bit in [*range(8 * 128), *range(8 * start, 8 * len(stored))]:
        changed = bytearray(stored)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError if bit // 8 in {8, 9} else AuthenticationFailed):
            read(blob, bytes(changed))


@pytest.mark.parametrize("change", ["cut", "extended", "hollow", "empty"])
def test_a_blob_of_the_wrong_length_is_refused(change: str) -> None:
    blob = sealed_blob(SMALL + 5)
    stored = {
        "cut": blob.stored[:-1],
        "extended": blob.stored + b"\0",
        "hollow": blob.header + blob.segments[16:] + blob.footer,
        "empty": b"",
    }[change]
    with pytest.raises(AuthenticationFailed):
        read(blob, stored)


def test_the_footer_of_another_blob_is_refused() -> None:
    one, two = sealed_blob(10), sealed_blob(10)
    with pytest.raises(AuthenticationFailed):
        read(one, one.header + one.segments + two.footer)


def test_a_forged_envelope_is_refused_by_the_descriptor() -> None:
    """The checksum is no MAC: whoever rewrites it still fails at the tag."""
    blob = sealed_blob(10)
    footer = parse_footer(blob.header, blob.footer, stored_length=len(blob.stored))
    forged = replace(footer, envelope=footer.envelope.replace(b"123456789012", b"999999999999"))
    assert forged != footer
    with pytest.raises(AuthenticationFailed) as caught:
        open_descriptor(blob.data_key, blob.header, forged)
    assert caught.value.blob_id == blob.blob_id


def test_a_descriptor_opens_under_its_data_key_only() -> None:
    blob = sealed_blob(10)
    footer = parse_footer(blob.header, blob.footer, stored_length=len(blob.stored))
    with pytest.raises(AuthenticationFailed):
        open_descriptor(key(), blob.header, footer)


wraps = st.builds(
    Wrap, st.sampled_from(Mode), st.binary(max_size=80), st.none() | st.text(), st.none() | st.integers(1)
)


@given(
    st.builds(
        Envelope,
        account_id=st.text(),
        bucket_id=st.binary(min_size=16, max_size=16),
        row_uid=st.binary(min_size=16, max_size=16),
        kind=st.sampled_from(BlobKind),
        mode=st.sampled_from(Mode),
        wraps=st.lists(wraps, max_size=2).map(tuple),
        encryption_context=st.dictionaries(st.text(), st.text(), max_size=3),
        upload_id=st.none() | st.binary(min_size=16, max_size=16),
        part_number=st.none() | st.integers(1, 10_000),
    )
)
def test_envelope_parse_is_the_inverse_of_format(written: Envelope) -> None:
    text = format_envelope(written)
    assert parse_envelope(text) == written
    assert json.loads(text)["version"] == 1


def test_members_that_a_later_release_adds_are_ignored() -> None:
    text = format_envelope(envelope())
    assert parse_envelope(text[:-1] + b',"added":{"later":[1]}}') == envelope()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", AuthenticationFailed),
        (b"[]", AuthenticationFailed),
        (b"{", AuthenticationFailed),
        (b"\xff", AuthenticationFailed),
        (b"{}", FormatError),
        (b'{"version":2}', FormatError),
        (b'{"version":"1"}', FormatError),
        (b'{"version":1}', AuthenticationFailed),
        (format_envelope(envelope()).replace(b'"mode":1', b'"mode":9'), AuthenticationFailed),
        (format_envelope(envelope()) + b"x", AuthenticationFailed),
        (b'{"version":1,"later":' + b"[" * 5000, AuthenticationFailed),
        (format_envelope(envelope()).replace(b"123456789012", b"\xff"), AuthenticationFailed),
    ],
)
def test_what_is_no_envelope_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_envelope(data)


@pytest.mark.parametrize(
    ("envelope_bytes", "descriptor_bytes"), [(MAX_ENVELOPE_BYTES, 0), (0, MAX_DESCRIPTOR_BYTES + 1)]
)
def test_a_footer_is_bounded(envelope_bytes: int, descriptor_bytes: int) -> None:
    sealer = BlobSealer(key(), new_id())
    sealer.seal(b"")
    with pytest.raises(ValueError, match="at most"):
        sealer.footer(envelope(account_id="x" * envelope_bytes), bytes(descriptor_bytes))


def test_a_tail_that_claims_too_much_is_refused() -> None:
    tail = sealed_blob(0).footer[-32:]
    for start, value in ((0, 1 << 41), (8, MAX_ENVELOPE_BYTES + 1), (12, MAX_DESCRIPTOR_BYTES + 17), (12, 15)):
        size = 8 if start == 0 else 4
        with pytest.raises(AuthenticationFailed):
            parse_tail(tail[:start] + value.to_bytes(size, "big") + tail[start + size :])
