from __future__ import annotations

import pytest

from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.wraps import WRAPPED_SIZE, local_unwrap, local_wrap
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import key

KEK, DATA_KEY, AAD = key(), key(), b"bound to this"
WRAPPED = local_wrap(KEK, 3, DATA_KEY, AAD)


def test_what_was_wrapped_opens() -> None:
    assert local_unwrap({1: key(), 3: KEK}, WRAPPED, AAD) == DATA_KEY
    assert len(WRAPPED) == WRAPPED_SIZE == 69
    assert DATA_KEY.reveal() not in WRAPPED


def test_each_wrap_is_under_a_key_of_its_own() -> None:
    again = local_wrap(KEK, 3, DATA_KEY, AAD)
    assert again[5:21] != WRAPPED[5:21]
    with pytest.raises(AuthenticationFailed):
        local_unwrap({3: KEK}, again[:21] + WRAPPED[21:], AAD)


def test_any_changed_bit_is_refused() -> None:
    for bit in range(8 * len(WRAPPED)):
        changed = bytearray(WRAPPED)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError if bit < 8 else AuthenticationFailed):
            local_unwrap({3: KEK}, bytes(changed), AAD)


@pytest.mark.parametrize(
    ("kek", "epoch", "wrapped", "aad"),
    [
        (key(), 3, WRAPPED, AAD),
        (KEK, 2, WRAPPED, AAD),
        (KEK, 3, WRAPPED, AAD + b"!"),
        (KEK, 3, WRAPPED, b""),
        (KEK, 3, WRAPPED[:-1], AAD),
        (KEK, 3, WRAPPED + b"\0", AAD),
        (KEK, 3, b"", AAD),
    ],
    ids=["other key", "no such epoch", "other AAD", "no AAD", "cut", "extended", "empty"],
)
def test_everything_else_is_refused_alike(kek: SecretBytes, epoch: int, wrapped: bytes, aad: bytes) -> None:
    with pytest.raises(AuthenticationFailed, match=r"^authentication failed$"):
        local_unwrap({epoch: kek}, wrapped, aad)


def test_only_data_keys_are_wrapped() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        local_wrap(KEK, 1, SecretBytes(bytes(31)), AAD)
