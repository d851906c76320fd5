"""No blob but the one that was made opens: through Decrypt and ReEncrypt, whatever kind of key it names.

`tests/kms/keys/test_ciphertext.py` has the same of the format alone; this is what a caller is answered.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.keys.ciphertext import (
    COMMITMENT_OFFSET,
    HEADER_BYTES,
    IDENTITY_BYTES,
    KEY_ID_BYTES,
    MAX_BLOB_BYTES,
    TAG_BYTES,
)
from kms.service.protection import TAG_KEY
from kms.service.service import EmbeddedKeyService
from tests.conformance.key_service import CONTEXT, account_caller, encrypt
from tests.kms.roots import MemoryRoot
from tests.kms.service.material import put

pytestmark = pytest.mark.usefixtures("one_wrapping_key")

KINDS = [
    "software",
    "hsm",
    "imported",
    "imported hsm",
    "rotated",
    "rotated hsm",
    "rotated imported",
    "rotated imported hsm",
    "multi-Region",
]
KEY_ID_END = 2 + KEY_ID_BYTES
INVALID = ("InvalidCiphertextException", "")
"""Code and message."""
PLAINTEXT = b"0123456789abcdef"
FIELDS = {
    "version and algorithm": slice(0, 2),
    "key id": slice(2, KEY_ID_END),
    "key version": slice(KEY_ID_END, IDENTITY_BYTES),
    "salt": slice(IDENTITY_BYTES, COMMITMENT_OFFSET),
    "commitment": slice(COMMITMENT_OFFSET, HEADER_BYTES),
    "identity": slice(0, IDENTITY_BYTES),
    "header": slice(0, HEADER_BYTES),
    "ciphertext": slice(HEADER_BYTES, -TAG_BYTES),
    "tag": slice(-TAG_BYTES, None),
    "body": slice(HEADER_BYTES, None),
}


@dataclass(frozen=True)
class Blobs:
    """A key service with one caller, and what it answers to a blob."""

    service: EmbeddedKeyService
    caller: Caller

    async def key(self, kind: str = "software") -> str:
        """The id of a key, with its first version."""
        request = t.CreateKey(
            origin="EXTERNAL" if "imported" in kind else "AWS_KMS",
            tags=(t.Tag(TAG_KEY, "hsm" if "hsm" in kind else "software"),),
            multi_region=kind == "multi-Region",
        )
        key_id = (await self.service.call(self.caller, request)).key_id
        if "imported" in kind:
            await put(self.service, self.caller, key_id, os.urandom(32))
        return key_id

    async def rotate(self, kind: str, key_id: str) -> None:
        if kind.startswith("rotated imported"):
            await put(self.service, self.caller, key_id, os.urandom(32), import_type="NEW_KEY_MATERIAL")
        if kind.startswith("rotated"):
            await self.service.call(self.caller, t.RotateKeyOnDemand(key_id))

    async def seal(self, key_id: str, plaintext: bytes = PLAINTEXT) -> bytes:
        return (await self.service.call(self.caller, encrypt(key_id, plaintext, CONTEXT))).ciphertext_blob

    async def sealed(self, kind: str) -> tuple[str, bytes]:
        """A key of that kind and a blob of it: of the second of three versions, if the key is rotated."""
        key_id = await self.key(kind)
        await self.rotate(kind, key_id)
        blob = await self.seal(key_id)
        await self.rotate(kind, key_id)
        return key_id, blob

    async def open(self, blob: bytes, key_id: str | None = None) -> bytes:
        return (await self.service.call(self.caller, t.Decrypt(blob, key_id, CONTEXT))).plaintext.reveal()

    async def refusal(self, request: t.Request[object]) -> tuple[str, str]:
        """Code and message. A fault of the program would be a code of its own, KMSInternalException."""
        with pytest.raises(KMSError) as caught:
            await self.service.call(self.caller, request)
        return caught.value.code, caught.value.message

    async def assert_invalid(self, blob: bytes, *named: str | None) -> None:
        for key_id in named:
            assert await self.refusal(t.Decrypt(blob, key_id, CONTEXT)) == INVALID, blob.hex()


@pytest.fixture
def blobs(service: EmbeddedKeyService, root: MemoryRoot) -> Blobs:
    root.offer_hsm()
    return Blobs(service, account_caller())


@pytest.mark.parametrize("kind", KINDS)
async def test_every_flipped_bit_is_an_invalid_ciphertext(blobs: Blobs, kind: str) -> None:
    key_id, blob = await blobs.sealed(kind)
    assert await blobs.open(blob) == await blobs.open(blob, key_id) == PLAINTEXT
    for position, bit in itertools.product(range(len(blob)), range(8)):
        changed = bytearray(blob)
        changed[position] ^= 1 << bit
        await blobs.assert_invalid(bytes(changed), None, key_id)
    assert await blobs.open(blob) == PLAINTEXT


@pytest.mark.parametrize("kind", KINDS)
async def test_every_other_length_is_an_invalid_ciphertext(blobs: Blobs, kind: str) -> None:
    key_id, blob = await blobs.sealed(kind)
    for length in range(len(blob)):
        await blobs.assert_invalid(blob[:length], None, key_id)
        await blobs.assert_invalid(blob[len(blob) - length :], None, key_id)
    for more in (1, 2, 15, 16, 17, 100, len(blob), MAX_BLOB_BYTES - len(blob), MAX_BLOB_BYTES, 6144 - len(blob)):
        await blobs.assert_invalid(blob + bytes(more), None, key_id)
        await blobs.assert_invalid(bytes(more) + blob, None, key_id)
    for cut in FIELDS.values():
        without = bytearray(blob)
        del without[cut]
        await blobs.assert_invalid(bytes(without), None, key_id)
        await blobs.assert_invalid(blob[: cut.stop] + blob[cut.start :], None, key_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_field_of_another_blob_of_the_same_key_is_an_invalid_ciphertext(blobs: Blobs, kind: str) -> None:
    key_id, one = await blobs.sealed(kind)
    for other in (await blobs.seal(key_id), await blobs.seal(key_id, b"fedcba9876543210")):
        for field in FIELDS:
            await assert_swap_is_invalid(blobs, one, other, field, None, key_id)


@pytest.mark.parametrize(("kind", "other_kind"), [*zip(KINDS, KINDS, strict=True), *itertools.pairwise(KINDS)])
async def test_a_field_of_another_keys_blob_is_an_invalid_ciphertext(blobs: Blobs, kind: str, other_kind: str) -> None:
    """The caller may use both keys, so that nothing but the cipher stands in the way."""
    key_id, one = await blobs.sealed(kind)
    other_id, other = await blobs.sealed(other_kind)
    for field in FIELDS:
        names_the_other = field in {"key id", "identity", "header"}
        await assert_swap_is_invalid(blobs, one, other, field, None, other_id if names_the_other else key_id)
        await assert_swap_is_invalid(blobs, other, one, field, None, key_id if names_the_other else other_id)


async def assert_swap_is_invalid(blobs: Blobs, one: bytes, other: bytes, field: str, *named: str | None) -> None:
    mixed = bytearray(one)
    mixed[FIELDS[field]] = other[FIELDS[field]]
    if bytes(mixed) == one:
        assert await blobs.open(bytes(mixed)) == PLAINTEXT  # the two have this field in common
    else:
        await blobs.assert_invalid(bytes(mixed), *named)


async def test_a_blob_that_names_another_key_than_the_request_is_told_so(blobs: Blobs) -> None:
    """AWS's IncorrectKeyException, if there is such a key: whether the blob is genuine only that key could tell."""
    key_id, blob = await blobs.sealed("software")
    other_id, other = await blobs.sealed("software")
    mixed = blob[:2] + other[2:KEY_ID_END] + blob[KEY_ID_END:]
    for named, asked in ((other, key_id), (mixed, key_id), (blob, other_id)):
        code, _ = await blobs.refusal(t.Decrypt(named, asked, CONTEXT))
        assert code == "IncorrectKeyException"
    nobody = blob[:2] + os.urandom(16) + blob[KEY_ID_END:]
    await blobs.assert_invalid(nobody, None, key_id, other_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_re_encrypt_opens_nothing_else_either(blobs: Blobs, kind: str) -> None:
    key_id, blob = await blobs.sealed(kind)
    target = await blobs.key()
    sizes = range(0, len(blob), 7)
    changed = [blob[:n] + bytes((blob[n] ^ 0xFF,)) + blob[n + 1 :] for n in range(len(blob))]
    for bad, source in itertools.product([*changed, *(blob[:size] for size in sizes), blob + b"\0"], (None, key_id)):
        request = t.ReEncrypt(bad, target, source_key_id=source, source_encryption_context=CONTEXT)
        assert await blobs.refusal(request) == INVALID
    moved = await blobs.service.call(blobs.caller, t.ReEncrypt(blob, target, source_encryption_context=CONTEXT))
    opened = await blobs.service.call(blobs.caller, t.Decrypt(moved.ciphertext.ciphertext_blob))
    assert opened.plaintext == SecretBytes(PLAINTEXT)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_blob_of_a_data_key_is_no_different(blobs: Blobs, kind: str) -> None:
    key_id = await blobs.key(kind)
    made = await blobs.service.call(blobs.caller, t.GenerateDataKey(key_id, 32, CONTEXT))
    blob = made.ciphertext.ciphertext_blob
    assert await blobs.open(blob) == made.plaintext.reveal()
    for position in range(len(blob)):
        changed = bytearray(blob)
        changed[position] ^= 0x80
        await blobs.assert_invalid(bytes(changed), None, key_id)
