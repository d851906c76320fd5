from __future__ import annotations

import hashlib
import hmac
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.sealing import selftest
from gateway.sealing.ledger import FileLedger, set_ledger
from gateway.sealing.selftest import CHECKS, SelfTestFailed, run_self_test
from gateway.sealing.stream import BlobOpener


def test_the_self_test_passes_and_counts_itself() -> None:
    assert run_self_test() == CHECKS == 14


def test_it_leaves_the_ledger_alone(tmp_path: Path) -> None:
    ledger = FileLedger([tmp_path])
    before = set_ledger(ledger)
    try:
        run_self_test()
        assert set_ledger(ledger) is ledger
    finally:
        set_ledger(before)
    assert all(path.read_bytes() == b"" for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ONE_LAYER_SHA256", "0" * 64),
        ("TWO_LAYERS_SHA256", "0" * 64),
        ("ROW", b""),
        ("WRAPPED", b""),
        ("CUSTOMER_WRAPPED", b""),
        ("CHECKS", 15),
    ],
)
def test_a_wrong_answer_stops_the_program(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setattr(selftest, name, value)
    with pytest.raises(SelfTestFailed, match="self-test of sealing failed"):
        run_self_test()


def test_a_cipher_that_refuses_nothing_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlobOpener, "open", lambda *_: selftest.PLAINTEXT)
    with pytest.raises(SelfTestFailed, match="changed blob was not refused"):
        run_self_test()


def test_a_commitment_that_nobody_compares_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "customer_unwrap", lambda *_, **__: selftest.SECOND_KEY)
    with pytest.raises(SelfTestFailed, match="another customer's key was not refused"):
        run_self_test()


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


@pytest.mark.parametrize("two_layers", [False, True])
def test_the_answers_for_blobs_are_independent(two_layers: bool) -> None:
    """HKDF by hand and segments one by one, from the format document alone."""
    keys = [selftest.KEY.reveal(), selftest.SECOND_KEY.reveal()][: 1 + two_layers]
    core = b"SEALGT\r\n" + bytes([1, 1, 14, two_layers]) + bytes(4) + selftest.BLOB_ID

    def derive(label: bytes, layer: int) -> bytes:
        return mac(mac(selftest.SALT, keys[layer]), b"sealgate/v1/" + label + bytes([layer]) + core + b"\1")

    commitments = b"".join(derive(b"commit", layer) for layer in range(len(keys)))
    stored = core + selftest.SALT + commitments.ljust(64, b"\0")
    for index, piece in enumerate((selftest.PLAINTEXT[:16384], selftest.PLAINTEXT[16384:])):
        nonce = bytes(3) + index.to_bytes(8, "big") + bytes([index])
        sealed = piece
        for layer in range(len(keys)):
            sealed = AESGCM(derive(b"segment", layer)).encrypt(nonce, sealed, None)
        stored += sealed
    answer = selftest.TWO_LAYERS_SHA256 if two_layers else selftest.ONE_LAYER_SHA256
    assert hashlib.sha256(stored).hexdigest() == answer


def test_the_answer_for_customer_keys_is_independent() -> None:
    """HKDF by the library, where the program computes it of HMACs."""
    info = b"sealgate/v1/sse-c" + struct.pack(">I", 12) + b"123456789012" + struct.pack(">I", 16) + selftest.BLOB_ID
    derived = HKDF(SHA256(), 64, selftest.SALT, info).derive(selftest.KEY.reveal())
    sealed = AESGCM(derived[:32]).encrypt(bytes(12), selftest.SECOND_KEY.reveal(), b"aad")
    assert b"\1" + selftest.SALT + derived[32:] + sealed == selftest.CUSTOMER_WRAPPED
