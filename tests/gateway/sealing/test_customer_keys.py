from __future__ import annotations

import os

import pytest

from gateway.sealing.customer_keys import (
    CUSTOMER_WRAPPED_SIZE,
    WrongCustomerKey,
    check_customer_key,
    customer_unwrap,
    customer_wrap,
)
from gateway.sealing.errors import AuthenticationFailed, FormatError
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import ACCOUNT, key

CUSTOMER_KEY, DATA_KEY, AAD, BUCKET = key(), key(), b"bound to this", os.urandom(16)
WRAPPED = customer_wrap(CUSTOMER_KEY, DATA_KEY, AAD, account_id=ACCOUNT, bucket_id=BUCKET)


def unwrap(
    wrapped: bytes = WRAPPED,
    *,
    by: SecretBytes = CUSTOMER_KEY,
    aad: bytes = AAD,
    account_id: str = ACCOUNT,
    bucket_id: bytes = BUCKET,
) -> SecretBytes:
    return customer_unwrap(by, wrapped, aad, account_id=account_id, bucket_id=bucket_id)


def test_what_was_wrapped_opens() -> None:
    assert unwrap() == DATA_KEY
    check_customer_key(CUSTOMER_KEY, WRAPPED, account_id=ACCOUNT, bucket_id=BUCKET)
    assert len(WRAPPED) == CUSTOMER_WRAPPED_SIZE == 113
    assert DATA_KEY.reveal() not in WRAPPED
    assert CUSTOMER_KEY.reveal() not in WRAPPED


def test_each_wrap_has_salt_key_and_commitment_of_its_own() -> None:
    """So two objects do not tell that they are under the same key."""
    again = customer_wrap(CUSTOMER_KEY, DATA_KEY, AAD, account_id=ACCOUNT, bucket_id=BUCKET)
    for part in (slice(1, 33), slice(33, 65), slice(65, 113)):
        assert again[part] != WRAPPED[part]


def test_any_changed_bit_is_refused() -> None:
    """As damage behind the commitment, as another key before: the row vouches for all of it."""
    for bit in range(8 * len(WRAPPED)):
        changed = bytearray(WRAPPED)
        changed[bit // 8] ^= 1 << bit % 8
        expected = FormatError if bit < 8 else WrongCustomerKey if bit < 8 * 65 else AuthenticationFailed
        with pytest.raises(expected):
            unwrap(bytes(changed))


@pytest.mark.parametrize(
    "wrong",
    [
        key(),
        SecretBytes(b""),
        SecretBytes(CUSTOMER_KEY.reveal()[:31]),
        SecretBytes(CUSTOMER_KEY.reveal() + b"\0"),
        SecretBytes(bytes(32)),
    ],
    ids=["other", "none", "shorter", "longer", "zeros"],
)
def test_another_key_is_told_as_such(wrong: SecretBytes) -> None:
    with pytest.raises(WrongCustomerKey):
        unwrap(by=wrong)
    with pytest.raises(WrongCustomerKey):
        check_customer_key(wrong, WRAPPED, account_id=ACCOUNT, bucket_id=BUCKET)


def test_a_key_opens_nothing_of_another_bucket_or_account() -> None:
    with pytest.raises(WrongCustomerKey):
        unwrap(bucket_id=bytes(16))
    with pytest.raises(WrongCustomerKey):
        unwrap(account_id="210987654321")


@pytest.mark.parametrize("wrapped", [b"", WRAPPED[:-1], WRAPPED + b"\0"], ids=["empty", "cut", "extended"])
def test_a_wrap_of_another_length_is_damaged(wrapped: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        unwrap(wrapped)
    with pytest.raises(AuthenticationFailed):
        check_customer_key(CUSTOMER_KEY, wrapped, account_id=ACCOUNT, bucket_id=BUCKET)


def test_a_wrap_is_bound_to_its_row() -> None:
    with pytest.raises(AuthenticationFailed):
        unwrap(aad=AAD + b"!")


@pytest.mark.parametrize(("customer_bytes", "data_bytes"), [(31, 32), (33, 32), (32, 31)])
def test_nothing_is_wrapped_by_or_for_a_key_of_another_length(customer_bytes: int, data_bytes: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        customer_wrap(
            SecretBytes(bytes(customer_bytes)),
            SecretBytes(bytes(data_bytes)),
            AAD,
            account_id=ACCOUNT,
            bucket_id=BUCKET,
        )
