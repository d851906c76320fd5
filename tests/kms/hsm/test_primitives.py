"""AES key wrap, HKDF and HMAC of the roots by Wycheproof's vectors; Argon2id, of which it has none, by libsodium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nacl.pwhash import argon2id

from kms.api.secrets import SecretBytes
from kms.hsm import sealed_file, software_signing
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import Protection, UnwrapFailed
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.sealed_file import BY_KEY_FILE, BY_PASSPHRASE, RootKeys, SealingSecret
from tests.vectors.wycheproof import vectors

KEY_SIZE = 32


def test_key_wrap_of_a_file_root() -> None:
    """RFC 3394 by AES-256. A file root wraps 32 bytes and nothing else."""
    wrong, tried = [], 0
    for vector in vectors("aes_wrap"):
        if vector.members["keySize"] != 256:
            continue
        keys = RootKeys(bytes(16), SecretBytes(vector["key"]), SecretBytes(bytes(32)), software_signing.generate_key())
        root = FileRoot(keys)
        is_ours = vector.is_valid and len(vector["msg"]) == KEY_SIZE
        try:
            opened: bytes | None = root.unwrap_key(vector["ct"]).reveal()
        except UnwrapFailed:
            opened = None
        if opened != (vector["msg"] if is_ours else None):
            wrong.append(vector)
        if is_ours:
            assert root.wrap_key(SecretBytes(vector["msg"])) == vector["ct"], vector
            tried += 1
    assert wrong == []
    assert tried >= 2


def test_hkdf_of_a_key_file(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    for vector in vectors("hkdf_sha256"):
        if not vector.is_valid:
            continue
        monkeypatch.setattr(sealed_file, "_KEY_FILE_LABEL", vector["info"])
        secret = SealingSecret(BY_KEY_FILE, SecretBytes(vector["ikm"]))
        size = min(KEY_SIZE, vector.members["size"])
        assert sealed_file._sealing_key(secret, vector["salt"], 0, 0, 0)[:size] == vector["okm"][:size], vector
        tried += 1
    assert tried >= 80


@pytest.mark.parametrize("passphrase", [b"password", b"\0" * 8, "пароль, and a long one".encode() * 40])
def test_argon2id_of_a_passphrase(passphrase: bytes) -> None:
    """libsodium knows one lane only."""
    salt = bytes(range(16))
    for memory_kib, iterations in ((64, 1), (1024, 3)):
        expected = argon2id.kdf(KEY_SIZE, passphrase, salt, iterations, memory_kib * 1024)
        secret = SealingSecret(BY_PASSPHRASE, SecretBytes(passphrase))
        assert sealed_file._sealing_key(secret, salt, memory_kib, iterations, 1) == expected


@pytest.mark.hsm
@pytest.mark.parametrize("bits", [256, 384, 512])
def test_hmac_inside_a_token(opened: Callable[[], PKCS11Root], bits: int) -> None:
    """Keys of protection hsm: wrapped, held, and used where they are."""
    root = opened()
    tried = 0
    for vector in vectors(f"hmac_sha{bits}"):
        if vector.members["keySize"] != bits or not vector["msg"]:
            continue
        held = root.hold_key(root.wrap_key(SecretBytes(vector["key"]), Protection.HSM))
        tag = held.mac(vector["msg"], f"sha{bits}")
        held.close()
        assert (tag[: len(vector["tag"])] == vector["tag"]) == vector.is_valid, vector
        tried += 1
    assert tried >= 100
