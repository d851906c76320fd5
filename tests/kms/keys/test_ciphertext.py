from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from kms.api.errors import KMSError
from kms.keys import ciphertext
from kms.keys.ciphertext import HEADER_BYTES, MAX_BLOB_BYTES, MIN_BLOB_BYTES, identify_blob, open_blob, seal_blob
from kms.keys.context import EMPTY_CONTEXT, canonical_context
from tests.kms.keys import second_blob
from tests.vectors import make_ciphertext_blob

DOCUMENT = Path(__file__).parents[3] / "docs/formats/ciphertext-blob.md"
VECTORS = json.loads(make_ciphertext_blob.PATH.read_text("utf-8"))

KEY, KEY_ID, SALT = bytes(range(32)), bytes(range(16)), bytes(range(100, 132))
CONTEXT = canonical_context({"aws:s3:arn": "arn:aws:s3:::bucket/key"})


def seal(plaintext: bytes = b"plaintext", *, key: bytes = KEY, version: int = 1, context: bytes = CONTEXT) -> bytes:
    return seal_blob(key, KEY_ID, version, salt=SALT, plaintext=plaintext, context=context)


def assert_refused(blob: bytes, *, key: bytes = KEY, context: bytes = CONTEXT) -> None:
    with pytest.raises(KMSError) as caught:
        open_blob(key, blob, context=context)
    # All cases are one: same code, empty message, no cause to look into.
    assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")
    assert str(caught.value) == "InvalidCiphertextException: "
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors_are_agreed_by_a_second_implementation(vector: dict[str, object]) -> None:
    key, key_id, salt, plaintext, blob = (
        bytes.fromhex(str(vector[name])) for name in ("key", "key_id", "salt", "plaintext", "ciphertext_blob")
    )
    context, version = vector["encryption_context"], vector["key_version"]
    assert isinstance(context, dict)
    assert isinstance(version, int)
    assert second_blob.context_bytes(context).hex() == vector["canonical_context"]
    assert second_blob.seal(key, key_id, version, salt, plaintext, context) == blob
    assert second_blob.open_(key, blob, context) == plaintext
    assert open_blob(key, blob, context=canonical_context(context)) == plaintext
    assert identify_blob(blob) == (key_id, version)


def test_vectors_are_what_the_generator_writes() -> None:
    assert make_ciphertext_blob.vectors() == VECTORS


def test_worked_example_of_the_format_page() -> None:
    block = DOCUMENT.read_text("utf-8").rsplit("```", 2)[1]
    lines = [line.split("=", 1) for line in block.strip().splitlines()]
    example = {name.strip(): value.strip() for name, value in lines}
    context = {"aws:s3:arn": "arn:aws:s3:::bucket/key"}
    blob, key = bytes.fromhex(example["blob"]), bytes.fromhex(example["key"])
    assert second_blob.context_bytes(context).hex() == example["context"]
    assert second_blob.open_(key, blob, context).hex() == example["plaintext"]
    sealed = seal_blob(
        key,
        bytes.fromhex(example["key id"]),
        int(example["key version"]),
        salt=bytes.fromhex(example["salt"]),
        plaintext=bytes.fromhex(example["plaintext"]),
        context=canonical_context(context),
    )
    assert sealed == blob


def test_sizes_of_the_format_page() -> None:
    assert (HEADER_BYTES, MIN_BLOB_BYTES, MAX_BLOB_BYTES, len(seal(bytes(32)))) == (86, 103, 4198, 134)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=4096), st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_opens_what_it_sealed_and_the_second_implementation_agrees(plaintext: bytes, context: dict[str, str]) -> None:
    canonical = canonical_context(context)
    blob = seal(plaintext, context=canonical)
    assert open_blob(bytearray(KEY), blob, context=canonical) == plaintext
    assert second_blob.seal(KEY, KEY_ID, 1, SALT, plaintext, context) == blob


def test_every_flipped_bit_is_refused() -> None:
    blob = seal()
    for position in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[position // 8] ^= 1 << position % 8
        assert_refused(bytes(changed))


def test_every_truncation_and_extension_is_refused() -> None:
    blob = seal()
    for length in range(len(blob)):
        assert_refused(blob[:length])
        assert_refused(blob[len(blob) - length :])
    assert_refused(blob + b"\0")
    assert_refused(bytes(MAX_BLOB_BYTES + 1))


def test_wrong_context_or_key_is_refused() -> None:
    assert_refused(seal(), context=EMPTY_CONTEXT)
    assert_refused(seal(), context=canonical_context({"aws:s3:arn": "arn:aws:s3:::bucket/kez"}))
    assert_refused(seal(context=canonical_context({"a": "bc"})), context=canonical_context({"ab": "c"}))
    assert_refused(seal(), key=bytes(32))


def test_parts_of_another_blob_are_refused() -> None:
    one = seal(b"one message")
    other = seal_blob(KEY, KEY_ID, 1, salt=os.urandom(32), plaintext=b"two message", context=CONTEXT)
    for cut in (54, 86, len(one) - 16):
        assert_refused(one[:cut] + other[cut:])
    assert_refused(seal(version=2)[:22] + one[22:])


def test_commitment_refuses_a_ciphertext_that_gcm_alone_would_open() -> None:
    # What an attacker who knows both keys would want: a blob of key A whose body authenticates under key B.
    blob = seal()
    body_key = ciphertext._expand(ciphertext.derive(bytes(32), ciphertext.derivation_of(blob)))[:32]
    forged = blob[:86] + AESGCM(body_key).encrypt(bytes(12), b"plaintext", blob[:86] + CONTEXT)
    assert_refused(forged, key=bytes(32))
    assert_refused(forged)


def test_same_plaintext_twice_under_two_salts_has_nothing_in_common() -> None:
    one = seal(bytes(64))
    other = seal_blob(KEY, KEY_ID, 1, salt=bytes(32), plaintext=bytes(64), context=CONTEXT)
    assert one[22:54] != other[22:54]
    assert one[54:86] != other[54:86]
    assert one[86:] != other[86:]


@pytest.mark.parametrize("size", [0, 4097])
def test_sizes_beyond_the_format_are_a_fault_of_the_program(size: int) -> None:
    with pytest.raises(AssertionError):
        seal(bytes(size))
