"""Data keys wrapped by a customer's key (docs/formats/object.md, "Wrap under a customer's key").

The customer's key is never kept, nor its MD5. What is kept beside a wrap is a commitment, from which nothing can be
learnt of the key, and which tells a wrong key from damaged bytes.
"""

from __future__ import annotations

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.format import COMMITMENT_SIZE, KEY_SIZE, SALT_SIZE, TAG_SIZE, lp
from gateway.sealing.ledger import note_key, sealing_aead
from gateway.sealing.segment import ZERO_NONCE
from kms.api.secrets import SecretBytes

_LABEL = b"sealgate/v1/sse-c"
_VERSION: Final = 1
_COMMITMENT_START: Final = 1 + SALT_SIZE
_SEALED_START: Final = _COMMITMENT_START + COMMITMENT_SIZE
CUSTOMER_WRAPPED_SIZE: Final = _SEALED_START + KEY_SIZE + TAG_SIZE  # 113


class WrongCustomerKey(Exception):
    """The key is not the one that the data key was wrapped by: the client's fault, nothing is damaged."""


def customer_wrap(
    customer_key: SecretBytes, data_key: SecretBytes, aad: bytes, *, account_id: str, bucket_id: bytes
) -> bytes:
    """Wrap a 32-byte data key: 113 bytes. Each wrap has a key of its own, so nothing limits their number."""
    salt = os.urandom(SALT_SIZE)
    return _wrap(customer_key, data_key, aad, account_id=account_id, bucket_id=bucket_id, salt=salt)


def _wrap(
    customer_key: SecretBytes, data_key: SecretBytes, aad: bytes, *, account_id: str, bucket_id: bytes, salt: bytes
) -> bytes:
    if len(customer_key) != KEY_SIZE or len(data_key) != KEY_SIZE:
        raise ValueError("a customer's key and a data key have 32 bytes")
    note_key(customer_key.reveal())
    wrapping_key, commitment = _derive(customer_key, salt, account_id, bucket_id)
    sealed = sealing_aead(wrapping_key).encrypt(ZERO_NONCE, data_key.reveal(), aad)
    return b"".join((bytes((_VERSION,)), salt, commitment, sealed))


def customer_unwrap(
    customer_key: SecretBytes, wrapped: bytes, aad: bytes, *, account_id: str, bucket_id: bytes
) -> SecretBytes:
    """The data key.

    Raises WrongCustomerKey for another key (of whatever length), AuthenticationFailed for a wrap that was changed or
    is bound to something else, FormatError for another version.
    """
    wrapping_key = _checked_wrapping_key(customer_key, wrapped, account_id, bucket_id)
    try:
        return SecretBytes(AESGCM(wrapping_key).decrypt(ZERO_NONCE, wrapped[_SEALED_START:], aad))
    except InvalidTag:
        raise AuthenticationFailed from None


def check_customer_key(customer_key: SecretBytes, wrapped: bytes, *, account_id: str, bucket_id: bytes) -> None:
    """Whether the key is the one of the wrap, without opening it. Raises as `customer_unwrap`."""
    _checked_wrapping_key(customer_key, wrapped, account_id, bucket_id)


def _checked_wrapping_key(customer_key: SecretBytes, wrapped: bytes, account_id: str, bucket_id: bytes) -> bytes:
    if len(wrapped) != CUSTOMER_WRAPPED_SIZE:
        raise AuthenticationFailed
    if wrapped[0] != _VERSION:
        raise FormatError(f"customer wrap version {wrapped[0]}; this program knows {_VERSION}")
    wrapping_key, commitment = _derive(customer_key, wrapped[1:_COMMITMENT_START], account_id, bucket_id)
    if not hmac.compare_digest(commitment, wrapped[_COMMITMENT_START:_SEALED_START]):
        raise WrongCustomerKey
    return wrapping_key


def _derive(customer_key: SecretBytes, salt: bytes, account_id: str, bucket_id: bytes) -> tuple[bytes, bytes]:
    """The wrapping key and the commitment: HKDF-SHA256 (RFC 5869), 64 bytes of output."""
    prk = hmac.digest(salt, customer_key.reveal(), "sha256")
    info = _LABEL + lp((account_id.encode(), bucket_id))
    wrapping_key = hmac.digest(prk, info + b"\1", "sha256")
    return wrapping_key, hmac.digest(prk, wrapping_key + info + b"\2", "sha256")
