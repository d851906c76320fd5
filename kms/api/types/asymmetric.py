"""What asymmetric and HMAC keys do: signatures, MACs, public keys, key agreement, data key pairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kms.api.secrets import SecretBytes
from kms.api.types.encryption import Ciphertext
from kms.api.types.keys import KeyMetadata
from kms.api.types.request import PAIR_SECONDS, EncryptionContext, Request


@dataclass(frozen=True, slots=True)
class Signature:
    signature: bytes
    key_arn: str


@dataclass(frozen=True, slots=True)
class Sign(Request[Signature]):
    """`message` is 1..4096 bytes; `message_type` RAW, DIGEST or EXTERNAL_MU says what it is."""

    key_id: str
    message: SecretBytes
    signing_algorithm: str
    message_type: str = "RAW"
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Verify(Request[str]):
    """Answers the key's ARN; a signature that is not one of the message is KMSInvalidSignatureException."""

    key_id: str
    message: SecretBytes
    signature: bytes
    signing_algorithm: str
    message_type: str = "RAW"
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`public_key` is a SubjectPublicKeyInfo, DER."""

    metadata: KeyMetadata
    public_key: bytes


@dataclass(frozen=True, slots=True)
class GetPublicKey(Request[PublicKey]):
    key_id: str
    grant_tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mac:
    mac: bytes
    key_arn: str


@dataclass(frozen=True, slots=True)
class GenerateMac(Request[Mac]):
    """`message` is 1..4096 bytes."""

    key_id: str
    message: SecretBytes
    mac_algorithm: str
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class VerifyMac(Request[str]):
    """Answers the key's ARN; a MAC that is not the message's is KMSInvalidMacException."""

    key_id: str
    message: SecretBytes
    mac: bytes
    mac_algorithm: str
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SharedSecret:
    shared_secret: SecretBytes
    metadata: KeyMetadata


@dataclass(frozen=True, slots=True)
class DeriveSharedSecret(Request[SharedSecret]):
    """`public_key` is the peer's SubjectPublicKeyInfo, DER, on the same curve as the key."""

    key_id: str
    key_agreement_algorithm: str
    public_key: bytes
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DataKeyPair:
    """A fresh key pair: the private key (PKCS#8, DER) in the clear and as ciphertext, the public key as SPKI, DER."""

    private_key: SecretBytes
    public_key: bytes
    ciphertext: Ciphertext


@dataclass(frozen=True, slots=True)
class SealedDataKeyPair:
    public_key: bytes
    ciphertext: Ciphertext


@dataclass(frozen=True, slots=True)
class GenerateDataKeyPair(Request[DataKeyPair]):
    extra_seconds: ClassVar[float] = PAIR_SECONDS
    key_id: str
    key_pair_spec: str
    encryption_context: EncryptionContext = field(default_factory=dict)
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GenerateDataKeyPairWithoutPlaintext(Request[SealedDataKeyPair]):
    extra_seconds: ClassVar[float] = PAIR_SECONDS
    key_id: str
    key_pair_spec: str
    encryption_context: EncryptionContext = field(default_factory=dict)
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False
