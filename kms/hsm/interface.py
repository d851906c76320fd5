"""What the KMS asks of its root: wrap, unwrap, authenticate, randomness. One interface for HSM and file root.

All methods block (an HSM call may take milliseconds to seconds) and are safe to call from several threads; the
key service calls them off the event loop, with a deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kms.api.secrets import SecretBytes


class RootError(Exception):
    """Base of everything a root raises."""


class RootUnavailable(RootError):
    """The token is absent, was lost, or does not answer; recovery was tried once already. Trying later may help."""


class RootMisconfigured(RootError):
    """Wrong PIN, wrong token, missing or foreign root key: an operator must act; trying again harms (PINs lock)."""


class UnwrapFailed(RootError):
    """The root answered, and the wrapped bytes are not its own, or were changed."""


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """Which root wrapped a record, stored in every record so that a migration is a rewrap and not a flag day.

    `profile` is "kw" (CKM_AES_KEY_WRAP through C_WrapKey) or "file"; `root_id` is the 16-byte CKA_ID of the root
    key; `label` its CKA_LABEL.
    """

    profile: str
    root_id: bytes
    label: str


class Root(Protocol):
    """The root of the key hierarchy: AES-256 wrapping key and HMAC key, neither ever readable."""

    @property
    def identity(self) -> RootIdentity: ...

    def generate_wrapped_key(self) -> bytes:
        """32 fresh bytes from the root's own random source, wrapped (40 bytes); they never leave the HSM in clear."""
        ...

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        """The 32 bytes inside `wrapped`. Raises UnwrapFailed for bytes that this root did not wrap."""
        ...

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA256 under root-mac, 32 bytes. The caller compares in constant time."""
        ...

    def random(self, length: int) -> bytes:
        """`length` (1..1024) random bytes from the root's own source."""
        ...

    def check(self) -> None:
        """Prove by a known answer that the root keys are present and are the ones expected; raises RootError."""
        ...

    def close(self) -> None: ...
