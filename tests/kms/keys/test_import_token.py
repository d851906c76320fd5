from __future__ import annotations

from dataclasses import replace

import pytest

from kms.api.secrets import SecretBytes
from kms.keys.import_token import ALGORITHMS, ImportTerms, InvalidToken, make_token, open_token
from tests.kms.roots import MemoryRoot

TERMS = ImportTerms(bytes(range(16)), "eu-central-1", "RSA_AES_KEY_WRAP_SHA_256", 1_800_000_000_000_000)
PKCS8 = SecretBytes(b"a private key")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_comes_back_as_made(algorithm: str) -> None:
    root, terms = MemoryRoot(), replace(TERMS, algorithm=algorithm)
    assert open_token(root, make_token(root, terms, PKCS8)) == (terms, PKCS8)


def test_the_private_key_is_sealed_and_no_two_tokens_share_a_key() -> None:
    root = MemoryRoot()
    one, other = make_token(root, TERMS, PKCS8), make_token(root, TERMS, PKCS8)
    assert PKCS8.reveal() not in one
    body = slice(-32 - 16 - len(PKCS8), -32)
    assert one[body] != other[body]


def test_every_changed_byte_is_refused_before_the_root_unwraps() -> None:
    root = MemoryRoot()
    token = make_token(root, TERMS, PKCS8)
    unwraps = root.calls["unwrap_key"]
    for position in range(len(token)):
        changed = bytearray(token)
        changed[position] ^= 1
        with pytest.raises(InvalidToken):
            open_token(root, bytes(changed))
    assert root.calls["unwrap_key"] == unwraps


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 100])
def test_what_is_short_is_no_token(size: int) -> None:
    root = MemoryRoot()
    with pytest.raises(InvalidToken):
        open_token(root, make_token(root, TERMS, PKCS8)[:size])


def test_a_token_of_another_root_or_with_more_behind_is_refused() -> None:
    root = MemoryRoot()
    token = make_token(root, TERMS, PKCS8)
    for other, given in ((MemoryRoot(), token), (root, token + b"\0")):
        with pytest.raises(InvalidToken):
            open_token(other, given)


def test_a_mac_of_another_kind_is_none_of_a_token() -> None:
    root = MemoryRoot()
    body = make_token(root, TERMS, PKCS8)[:-32]
    with pytest.raises(InvalidToken):
        open_token(root, body + root.mac(b"sealgate/v1/cmk-record" + body))
