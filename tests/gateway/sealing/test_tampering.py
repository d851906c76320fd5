"""Nothing but the bytes that were written opens."""

from __future__ import annotations

import pytest

from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.format import Header, pack_core, pack_header
from gateway.sealing.ids import new_id
from gateway.sealing.segment import LayerKeys, commitment_of, layer_keys, segment_nonce
from gateway.sealing.stream import BlobOpener, BlobSealer
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import SMALL, SealedBlob, body, key, sealed_blob

STEP = SMALL + 16
BLOB = sealed_blob(3 * SMALL + 100)
OTHER = sealed_blob(3 * SMALL + 100, label="other")
SEGMENTS = [BLOB.segments[start : start + STEP] for start in range(0, len(BLOB.segments), STEP)]


def refused(blob: SealedBlob, segments: bytes, first_segment: int = 0) -> AuthenticationFailed:
    out = bytearray(b"\xaa" * (len(blob.plaintext) + STEP))
    with pytest.raises(AuthenticationFailed) as caught:
        blob.opener().open_into(first_segment, segments, out)
    assert str(caught.value) == "authentication failed"
    assert caught.value.blob_id == blob.blob_id
    for start in range(0, len(blob.plaintext), SMALL):
        assert blob.plaintext[start : start + 16] not in out
    return caught.value


@pytest.mark.parametrize("two_layers", [False, True])
def test_every_bit_of_the_header_counts(two_layers: bool) -> None:
    blob = sealed_blob(10, two_layers=two_layers)
    for bit in range(8 * 128):
        header = bytearray(blob.header)
        header[bit // 8] ^= 1 << bit % 8
        expected = FormatError if bit // 8 in {8, 9} else AuthenticationFailed
        with pytest.raises(AuthenticationFailed) as caught:
            blob.opener(header=bytes(header))
        assert type(caught.value) is expected, bit
        assert caught.value.blob_id == blob.blob_id


@pytest.mark.parametrize(
    "offset", [0, 1, SMALL - 1, SMALL, STEP - 1, STEP, 3 * STEP, 3 * STEP + 99, 3 * STEP + 115, -1]
)
@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_flipped_bit_at_an_edge_is_refused(offset: int, mask: int) -> None:
    changed = bytearray(BLOB.segments)
    changed[offset] ^= mask
    index = (offset % len(changed)) // STEP
    assert refused(BLOB, bytes(changed)).segment == index
    assert refused(BLOB, bytes(changed[index * STEP :][:STEP]), index).segment == index


def test_every_bit_of_a_short_body_counts() -> None:
    blob = sealed_blob(3)
    for bit in range(8 * len(blob.segments)):
        changed = bytearray(blob.segments)
        changed[bit // 8] ^= 1 << bit % 8
        refused(blob, bytes(changed))


@pytest.mark.parametrize(
    ("order", "bad_segment"),
    [
        ((1, 0, 2, 3), 0),
        ((0, 2, 1, 3), 1),
        ((0, 0, 2, 3), 1),
        ((0, 1, 1, 3), 2),
        ((0, 1, 2, 2), None),  # a full segment where a short one belongs
        ((0, 1, 3), None),
        ((0, 2, 3), None),
        ((1, 2, 3), None),
        ((1, 2, 2, 3), 0),
        ((0, 1, 2, 3, 3), None),
        ((0, 1, 2, 3, 0), None),
    ],
    ids=str,
)
def test_swapped_duplicated_and_dropped_segments_are_refused(order: tuple[int, ...], bad_segment: int | None) -> None:
    error = refused(BLOB, b"".join([SEGMENTS[index] for index in order]))
    if bad_segment is not None:
        assert error.segment == bad_segment


@pytest.mark.parametrize("index", range(4))
def test_a_segment_spliced_from_another_blob_is_refused(index: int) -> None:
    foreign = OTHER.segments[index * STEP : (index + 1) * STEP]
    spliced = [*SEGMENTS[:index], foreign, *SEGMENTS[index + 1 :]]
    assert refused(BLOB, b"".join(spliced)).segment == index


def test_a_segment_spliced_from_a_blob_of_the_same_data_key_is_refused() -> None:
    twin = BlobSealer(BLOB.data_key, BLOB.blob_id, seg_log2=14)
    segments = twin.seal(BLOB.plaintext)
    assert refused(BLOB, segments[:STEP]).segment == 0


@pytest.mark.parametrize("length", [0, 1, 15, 16, STEP - 1, STEP + 1, 3 * STEP + 115, 3 * STEP + 117])
def test_cut_and_extended_reads_are_refused(length: int) -> None:
    refused(BLOB, (BLOB.segments + bytes(STEP))[:length])


@pytest.mark.parametrize(
    "plain_length", [0, 1, SMALL, 2 * SMALL, 3 * SMALL, 3 * SMALL + 99, 3 * SMALL + 101, 4 * SMALL]
)
def test_a_body_truncated_at_a_segment_is_refused(plain_length: int) -> None:
    """A row that lies about the length: what is then the last segment carries no final mark, or the wrong length."""
    opener = BLOB.opener(plain_length=plain_length)
    count = -(-plain_length // SMALL) or 1
    wanted = (BLOB.segments + bytes(STEP))[: plain_length + 16 * count]
    with pytest.raises(AuthenticationFailed) as caught:
        opener.open(0, wanted)
    assert caught.value.segment == min(count, 4) - 1


def test_a_final_segment_is_none_elsewhere() -> None:
    """Same key, same index, same length: a full segment that is last is none that is not, and the other way round."""
    blob = sealed_blob(2 * SMALL)
    twin = BlobSealer(blob.data_key, blob.blob_id, seg_log2=14, salt=blob.header[32:64])
    final = twin.seal(blob.plaintext[:SMALL])
    assert refused(blob, final + blob.segments[STEP:]).segment == 0
    with pytest.raises(AuthenticationFailed):
        blob.opener(plain_length=SMALL).open(0, blob.segments[:STEP])
    assert blob.opener(plain_length=SMALL).open(0, final) == blob.plaintext[:SMALL]


def test_two_layers_refuse_a_change_to_either() -> None:
    blob = sealed_blob(100, two_layers=True)
    for offset in (0, 99, 100, 115, 116, 131):
        changed = bytearray(blob.segments)
        changed[offset] ^= 4
        refused(blob, bytes(changed))


@pytest.mark.parametrize("field", ["blob_id", "commitment", "data_key", "plain_length", "second_key"])
def test_row_and_header_must_agree(field: str) -> None:
    row: dict[str, object] = {
        "data_key": BLOB.data_key,
        "blob_id": BLOB.blob_id,
        "commitment": BLOB.commitment,
        "plain_length": len(BLOB.plaintext),
    }
    BlobOpener(header=BLOB.header, **row)  # type: ignore[arg-type]
    other = {
        "blob_id": OTHER.blob_id,
        "commitment": OTHER.commitment,
        "data_key": OTHER.data_key,
        "plain_length": -1,
        "second_key": OTHER.data_key,
    }
    with pytest.raises(AuthenticationFailed):
        BlobOpener(header=BLOB.header, **{**row, field: other[field]})  # type: ignore[arg-type]


def test_a_header_with_the_commitment_of_another_blob_is_refused() -> None:
    """The whole header of another blob, and the row made to match it, still do not open under this data key."""
    with pytest.raises(AuthenticationFailed):
        BlobOpener(
            BLOB.data_key,
            OTHER.header,
            blob_id=OTHER.blob_id,
            commitment=OTHER.commitment,
            plain_length=len(OTHER.plaintext),
        )


def test_a_ciphertext_made_for_two_keys_is_refused_by_the_commitment() -> None:
    """Without a commitment AES-GCM accepts one ciphertext under two keys (Dodis et al., "Fast Message Franking").

    The forger controls the bytes of the header, so it may commit to one of its keys only: the other one is refused
    before any segment is looked at, even where the segment itself would open under both.
    """
    first, second, blob_id, salt = key(), key(), new_id(), bytes(32)
    core = pack_core(blob_id, 14, two_layers=False)
    ciphertext = two_key_ciphertext(LayerKeys(first, salt, core, 0), LayerKeys(second, salt, core, 0))
    for committed, other in ((first, second), (second, first)):
        commitment = commitment_of(layer_keys(committed, None, salt, core))
        header = pack_header(core, salt, commitment)

        def opener(data_key: SecretBytes, header: bytes = header, commitment: bytes = commitment) -> BlobOpener:
            return BlobOpener(data_key, header, blob_id=blob_id, commitment=commitment, plain_length=32)

        assert len(opener(committed).open(0, ciphertext)) == 32
        with pytest.raises(AuthenticationFailed) as caught:
            opener(other)
        assert caught.value.segment is None


def two_key_ciphertext(first: LayerKeys, second: LayerKeys) -> bytes:
    """Two blocks and a tag that AES-GCM accepts under both segment keys, found by solving GHASH for the second block.

    With H = AES_K(0), E = AES_K(nonce || 1) and blocks c1, c2, the tag is c1 H^3 + c2 H^2 + L H + E (NIST SP 800-38D).
    Equal tags under two keys: one linear equation for c2 over GF(2^128).
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    nonce = segment_nonce(0, True)
    length = 256
    c1 = int.from_bytes(body(16), "big")
    values = []
    for layer in (first, second):
        encryptor = Cipher(algorithms.AES256(layer.segment_key()), modes.ECB()).encryptor()
        blocks = encryptor.update(bytes(16) + nonce + b"\0\0\0\1")
        values.append((int.from_bytes(blocks[:16], "big"), int.from_bytes(blocks[16:], "big")))
    (h1, e1), (h2, e2) = values

    def cube(h: int) -> int:
        return multiply(multiply(h, h), h)

    right = multiply(c1, cube(h1) ^ cube(h2)) ^ multiply(length, h1 ^ h2) ^ e1 ^ e2
    c2 = multiply(right, inverse(multiply(h1, h1) ^ multiply(h2, h2)))
    tag = multiply(c1, cube(h1)) ^ multiply(c2, multiply(h1, h1)) ^ multiply(length, h1) ^ e1
    return b"".join([value.to_bytes(16, "big") for value in (c1, c2, tag)])


def multiply(left: int, right: int) -> int:
    """In GCM's field: bit 0 is the leftmost, the polynomial is 1 + x + x^2 + x^7 + x^128."""
    product = 0
    for bit in range(127, -1, -1):
        if right >> bit & 1:
            product ^= left
        left = left >> 1 ^ (0xE1 << 120 if left & 1 else 0)
    return product


def inverse(value: int) -> int:
    """value ^ (2^128 - 2)."""
    result, power = 1 << 127, value
    for _ in range(127):
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def test_the_two_key_ciphertext_really_opens_under_both_keys_without_a_commitment() -> None:
    core = pack_core(new_id(), 14, two_layers=False)
    layers = [LayerKeys(key(), bytes(32), core, 0) for _ in range(2)]
    ciphertext = two_key_ciphertext(layers[0], layers[1])
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    opened = [AESGCM(layer.segment_key()).decrypt(segment_nonce(0, True), ciphertext, None) for layer in layers]
    assert opened[0] != opened[1]


def test_keys_of_a_blob_are_all_different() -> None:
    header = Header.parse(sealed_blob(1, two_layers=True).header)
    layers = layer_keys(BLOB.data_key, BLOB.data_key, header.salt, header.core)
    derived = [key for layer in layers for key in (layer.segment_key(), layer.commitment(), layer.footer_key())]
    assert len(set(derived)) == 6
