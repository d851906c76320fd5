"""GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom; WrapDataKey, UnwrapDataKey, which AWS has not."""

from __future__ import annotations

from dataclasses import dataclass, field

from kms.api.secrets import SecretBytes
from kms.api.types.encryption import Ciphertext, Plaintext
from kms.api.types.request import EncryptionContext, Request


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh data key: in the clear, and as the ciphertext blob to be stored."""

    plaintext: SecretBytes
    ciphertext: Ciphertext


@dataclass(frozen=True, slots=True)
class GenerateDataKey(Request[DataKey]):
    """A fresh data key under `key_id`. `number_of_bytes` is 1..1024; the face turns AES_128/AES_256 into 16/32.

    `alias/aws/s3` with `caller.via_service` set creates the account's AWS-managed key at its first use.
    """

    key_id: str
    number_of_bytes: int
    encryption_context: EncryptionContext = field(default_factory=dict)
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GenerateDataKeyWithoutPlaintext(Request[Ciphertext]):
    """As GenerateDataKey, for what is to be opened later only."""

    key_id: str
    number_of_bytes: int
    encryption_context: EncryptionContext = field(default_factory=dict)
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class WrapDataKey(Request[Ciphertext]):
    """A data key that exists, 1..1024 bytes, sealed under `key_id` just as GenerateDataKey seals a fresh one.

    For a service that acts for a caller (`caller.via_service`) and keeps what the data key has encrypted: S3 copies an
    object without reading it. The caller must be allowed kms:GenerateDataKey, as for a copy with a data key of its own,
    and the service has made sure that it may open the data key. No client can ask for it: the HTTP face has no such
    operation, and without a service in between it is refused.
    """

    key_id: str
    plaintext: SecretBytes
    encryption_context: EncryptionContext = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnwrapDataKey(Request[Plaintext]):
    """A data key that GenerateDataKey once made under the present version of `key_id`, to be used for writing again.

    For a service that acts for a caller and keeps the data key to itself: S3 goes on with a bucket key, instead of
    making another one. The caller must be allowed kms:GenerateDataKey, which is all that it would need for a new one.
    Raises IncorrectKeyException if `key_id` now means another key, or the key has another version of material: then a
    new one is due. No client can ask for it, as with WrapDataKey.
    """

    key_id: str
    ciphertext_blob: bytes
    encryption_context: EncryptionContext = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenerateRandom(Request[SecretBytes]):
    """`number_of_bytes` is 1..1024, from the root's own random source; no key store makes any itself."""

    number_of_bytes: int
    custom_key_store_id: str | None = None
