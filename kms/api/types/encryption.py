"""Encrypt, Decrypt, ReEncrypt."""

from __future__ import annotations

from dataclasses import dataclass, field

from kms.api.secrets import SecretBytes
from kms.api.types.request import EncryptionContext, Request

IGNORE_CIPHERTEXT = "IGNORE_CIPHERTEXT"
"""The modifier of a dry run that leaves out the ciphertext, and so asks for permission alone."""


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A ciphertext blob, with the key (and the version of its material) that made it."""

    ciphertext_blob: bytes
    key_arn: str
    key_version: int
    key_material_id: str


@dataclass(frozen=True, slots=True)
class Plaintext:
    plaintext: SecretBytes
    key_arn: str
    key_version: int
    key_material_id: str


@dataclass(frozen=True, slots=True)
class ReEncrypted:
    ciphertext: Ciphertext
    source_key_arn: str
    source_key_material_id: str


@dataclass(frozen=True, slots=True)
class Encrypt(Request[Ciphertext]):
    key_id: str
    plaintext: SecretBytes
    encryption_context: EncryptionContext = field(default_factory=dict)
    encryption_algorithm: str = "SYMMETRIC_DEFAULT"
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decrypt(Request[Plaintext]):
    """`key_id` None means: the key that the blob names, which only a symmetric key's blob does.

    `dry_run_modifiers` count with `dry_run` alone. `ciphertext_blob` is empty where they ignore it.
    """

    ciphertext_blob: bytes
    key_id: str | None = None
    encryption_context: EncryptionContext = field(default_factory=dict)
    encryption_algorithm: str = "SYMMETRIC_DEFAULT"
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False
    dry_run_modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReEncrypt(Request[ReEncrypted]):
    """`source_key_id`, `dry_run_modifiers` and `ciphertext_blob` are as in Decrypt."""

    ciphertext_blob: bytes
    destination_key_id: str
    source_key_id: str | None = None
    source_encryption_context: EncryptionContext = field(default_factory=dict)
    destination_encryption_context: EncryptionContext = field(default_factory=dict)
    source_encryption_algorithm: str = "SYMMETRIC_DEFAULT"
    destination_encryption_algorithm: str = "SYMMETRIC_DEFAULT"
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False
    dry_run_modifiers: tuple[str, ...] = ()
