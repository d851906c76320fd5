from __future__ import annotations

import os
import threading

import pytest

from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import MAX_PLAIN_BYTES, SEGMENT_SIZE, sealed_length
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobOpener, BlobSealer
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import SMALL, body, envelope, key, sealed_blob


def sealer(**options: object) -> BlobSealer:
    return BlobSealer(key(), new_id(), **{"seg_log2": 14, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("two_layers", [False, True])
@pytest.mark.parametrize("length", [0, 1, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, 3 * SMALL + 7])
def test_what_was_sealed_opens(length: int, two_layers: bool) -> None:
    blob = sealed_blob(length, two_layers=two_layers)
    assert blob.opener().open(0, blob.segments) == blob.plaintext
    assert blob.plaintext[:64] not in blob.stored or length < 8


@pytest.mark.parametrize("batch_segments", [1, 2, 3, 5])
@pytest.mark.usefixtures("unrecorded")
def test_batches_give_the_same_bytes_as_one_call(batch_segments: int) -> None:
    data_key, blob_id, salt = key(), new_id(), os.urandom(32)
    plaintext = body(5 * SMALL + 3)
    whole = BlobSealer(data_key, blob_id, seg_log2=14, salt=salt).seal(plaintext)
    batched = BlobSealer(data_key, blob_id, seg_log2=14, salt=salt)
    step = batch_segments * SMALL
    out = bytearray(batched.room_for(step))
    pieces = b""
    for start in range(0, len(plaintext), step):
        piece = memoryview(plaintext)[start : start + step]
        written = batched.seal_into(piece, out, final=start + step >= len(plaintext))
        pieces += out[:written]
    assert pieces == whole
    assert batched.plain_length == len(plaintext)


def test_the_default_segment_is_64_kib() -> None:
    blob = BlobSealer(key(), new_id())
    assert blob.segment_size == SEGMENT_SIZE == 65536
    assert len(blob.header) + blob.room_for(100_000) == sealed_length(100_000)


def test_the_same_part_twice_gives_unrelated_ciphertexts() -> None:
    data_key, blob_id, plaintext = key(), new_id(), body(1000)
    first, second = BlobSealer(data_key, blob_id), BlobSealer(data_key, blob_id)
    assert first.commitment != second.commitment
    one, two = first.seal(plaintext), second.seal(plaintext)
    same = sum(left == right for left, right in zip(one, two, strict=True))
    assert same < 40  # 1016 random bytes agree in 4 places on average


def test_two_layers_are_under_two_keys() -> None:
    blob = sealed_blob(100, two_layers=True)
    assert len(blob.commitment) == 64
    assert blob.commitment[:32] != blob.commitment[32:]
    for second_key in (None, blob.data_key, key()):
        with pytest.raises(AuthenticationFailed):
            BlobOpener(
                blob.data_key,
                blob.header,
                blob_id=blob.blob_id,
                commitment=blob.commitment,
                plain_length=100,
                second_key=second_key,
            )


def test_a_sealer_refuses_after_the_final_segment() -> None:
    blob = sealer()
    blob.seal(b"x")
    with pytest.raises(RuntimeError, match="used once"):
        blob.seal(b"x")
    blob.footer(envelope(), b"{}")
    with pytest.raises(RuntimeError, match="ended"):
        blob.footer(envelope(), b"{}")


def test_a_footer_follows_the_final_segment() -> None:
    blob = sealer()
    with pytest.raises(RuntimeError, match="open"):
        blob.footer(envelope(), b"{}")
    blob.seal(bytes(SMALL), final=False)
    with pytest.raises(RuntimeError, match="open"):
        blob.footer(envelope(), b"{}")


@pytest.mark.parametrize("length", [SMALL + 1, 1, 0])
def test_a_sealer_refuses_a_ragged_batch_and_everything_after_it(length: int) -> None:
    blob = sealer()
    with pytest.raises(ValueError, match=r"segment|empty"):
        blob.seal(bytes(length), final=False)
    with pytest.raises(RuntimeError, match="broken"):
        blob.seal(b"x")


def test_only_a_whole_body_is_empty() -> None:
    blob = sealer()
    blob.seal(bytes(SMALL), final=False)
    with pytest.raises(ValueError, match="empty"):
        blob.seal(b"", final=True)


def test_an_output_that_is_too_small_breaks_the_sealer() -> None:
    blob = sealer()
    with pytest.raises(ValueError, match="too small"):
        blob.seal_into(b"abc", bytearray(18), final=True)
    with pytest.raises(RuntimeError, match="broken"):
        blob.seal(b"x")


def test_a_blob_ends_at_a_tebibyte() -> None:
    blob = sealer()
    blob._plain_length = MAX_PLAIN_BYTES - SMALL
    blob.seal(bytes(SMALL), final=False)
    with pytest.raises(ValueError, match="at most"):
        blob.seal(b"x")


def test_a_blob_ends_at_two_to_the_32_segments() -> None:
    blob = sealer()
    blob._segments = (1 << 32) - 1
    blob.seal(bytes(SMALL), final=False)
    with pytest.raises(ValueError, match="at most"):
        blob.seal(b"x")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_data_keys_and_salts_have_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        BlobSealer(SecretBytes(bytes(length)), new_id())
    with pytest.raises(ValueError, match="32 bytes"):
        BlobSealer(key(), new_id(), second_key=SecretBytes(bytes(length)))
    with pytest.raises(ValueError, match="32 bytes"):
        BlobSealer(key(), new_id(), salt=bytes(length))


def test_seal_into_takes_and_fills_any_buffer() -> None:
    plaintext = body(3 * SMALL)
    for source in (plaintext, bytearray(plaintext), memoryview(plaintext)):
        blob_id, data_key = new_id(), key()
        blob = BlobSealer(data_key, blob_id, seg_log2=14)
        out = memoryview(bytearray(blob.room_for(len(plaintext)) + 5))
        written = blob.seal_into(source, out, final=True)
        assert written == len(out) - 5
        assert bytes(out[written:]) == bytes(5)
        opener = BlobOpener(
            data_key, blob.header, blob_id=blob_id, commitment=blob.commitment, plain_length=len(plaintext)
        )
        opened = bytearray(len(plaintext) + 3)
        assert opener.open_into(0, out[:written], opened) == len(plaintext)
        assert opened == plaintext + bytes(3)


def test_open_into_wants_room() -> None:
    blob = sealed_blob(10)
    with pytest.raises(ValueError, match="too small"):
        blob.opener().open_into(0, blob.segments, bytearray(9))


def test_an_opener_knows_its_shape() -> None:
    opener = sealed_blob(SMALL + 1, two_layers=True).opener()
    assert (opener.seg_log2, opener.two_layers) == (14, True)
    assert opener.plain_size(0, SMALL + 32) == SMALL
    assert opener.plain_size(1, 1 + 32) == 1
    with pytest.raises(AuthenticationFailed):  # an empty segment after a full last one: the sums alone would agree
        sealed_blob(SMALL).opener().plain_size(0, SMALL + 16 + 16)
    for outside in (-1, 2):
        with pytest.raises(ValueError, match="2 segments"):
            opener.plain_size(outside, 33)


@pytest.mark.parametrize("two_layers", [False, True])
def test_threads_share_an_opener(two_layers: bool) -> None:
    blob = sealed_blob(8 * SMALL, two_layers=two_layers)
    opener = blob.opener()
    step = SMALL + (32 if two_layers else 16)
    opened: dict[int, bytes] = {}

    def open_one(index: int) -> None:
        opened[index] = opener.open(index, blob.segments[index * step : (index + 1) * step])

    threads = [threading.Thread(target=open_one, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b"".join([opened[index] for index in range(8)]) == blob.plaintext


def test_keys_do_not_show() -> None:
    blob = sealed_blob(10)
    secret = blob.data_key.reveal()
    shown = repr([blob, blob.opener(), BlobSealer(blob.data_key, new_id())])
    assert repr(secret)[2:-1] not in shown
    assert secret.hex() not in shown
