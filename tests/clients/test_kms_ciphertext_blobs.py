"""Changed ciphertext blobs over HTTP: one answer, whatever is changed. All of it is in tests/kms/service."""

from __future__ import annotations

from typing import Any

import pytest

from kms.hsm.provision import find_softhsm
from tests.clients.checks import error_of

CONTEXT = {"purpose": "test"}
INVALID = (400, {"Code": "InvalidCiphertextException", "Message": ""})


def answer(kms: Any, blob: bytes, **named: str) -> tuple[int, dict[str, str]]:
    told = error_of(kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, **named)
    return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]


NEEDS_A_TOKEN = pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed")


@pytest.mark.parametrize("protection", ["software", pytest.param("hsm", marks=[pytest.mark.hsm, NEEDS_A_TOKEN])])
def test_changed_blobs_are_all_answered_alike(kms: Any, protection: str) -> None:
    made = [kms.create_key(CustomKeyStoreId=protection)["KeyMetadata"]["Arn"] for _ in range(2)]
    one, twin, other = (
        kms.encrypt(KeyId=key, Plaintext=b"sixteen bytes it", EncryptionContext=CONTEXT)["CiphertextBlob"]
        for key in (made[0], made[0], made[1])
    )
    changed = [one[:n] + bytes((one[n] ^ 0x40,)) + one[n + 1 :] for n in range(0, len(one), 3)]
    shorter = [one[:length] for length in range(1, len(one), 11)]
    longer = [one + b"\0", one + one, one.ljust(6144, b"\0")]
    mixed = [twin[:54] + one[54:], one[:54] + twin[54:86] + one[86:], one[:86] + twin[86:], other[:86] + one[86:]]
    for blob in (*changed, *shorter, *longer, *mixed):
        assert answer(kms, blob) == INVALID
    for blob in (*changed, *shorter, *longer, *mixed[:-1]):
        assert answer(kms, blob, KeyId=made[0]) == INVALID
    assert answer(kms, mixed[-1], KeyId=made[1]) == INVALID
    opened = kms.decrypt(CiphertextBlob=one, EncryptionContext=CONTEXT)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"sixteen bytes it", made[0])
