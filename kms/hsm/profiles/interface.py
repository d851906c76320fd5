"""What a wrapping profile is: how 32 bytes go into and out of a root, and what it is given to do so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pkcs11 import Mechanism, MechanismFlag, ObjectClass

from kms.hsm.cryptoki import Cryptoki
from kms.hsm.key_plan import KeyPlan

if TYPE_CHECKING:
    from pkcs11 import Attribute, KeyType
    from pkcs11.types import Object, PrivateKey, SecretKey, Session

MAC_SIZE = 32


class WrappingKey(Protocol):
    """A wrapping key as python-pkcs11 shows it: a class made at run time from what the key may do."""

    def wrap_key(self, key: SecretKey | PrivateKey, *, mechanism: Mechanism) -> bytes: ...

    def unwrap_key(
        self,
        object_class: ObjectClass,
        key_type: KeyType,
        key_data: bytes,
        *,
        mechanism: Mechanism,
        store: bool,
        capabilities: MechanismFlag,
        template: dict[Attribute, bool],
    ) -> Object: ...


class SigningKey(Protocol):
    """A key for signatures or HMACs as python-pkcs11 shows it."""

    def sign(self, data: bytes, *, mechanism: Mechanism, buffer_size: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RootSession:
    """A session with the root keys found in it. One thread at a time.

    `root` is of whatever class the profile's plan makes: a profile knows its own.
    """

    session: Session
    cryptoki: Cryptoki
    root: Any
    root_mac: SigningKey
    root_strict: WrappingKey | None = None
    audit_sign: SigningKey | None = None
    root_strict_private: WrappingKey | None = None
    root_strict_agreement: WrappingKey | None = None

    @property
    def handle(self) -> int:
        """CK_SESSION_HANDLE, which python-pkcs11's stubs do not tell of."""
        handle: int = self.session.handle  # type: ignore[attr-defined]
        return handle

    def mac(self, message: bytes) -> bytes:
        return self.root_mac.sign(message, mechanism=Mechanism.SHA256_HMAC, buffer_size=MAC_SIZE)

    def random(self, length: int) -> bytes:
        value: bytes = self.session.generate_random(length * 8)
        return value


class WrappingProfile(Protocol):
    """`name` and `mechanism` are stored in every record; `plan` is how its root key is made."""

    name: str
    mechanism: int
    plan: KeyPlan

    def generate(self, at: RootSession) -> bytes:
        """Make a key of 32 bytes from the token's random source and return it wrapped. Raises PKCS11Error."""
        ...

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        """Wrap 32 bytes that were made elsewhere. Raises PKCS11Error."""
        ...

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        """Read the key inside `wrapped`. Raises UnwrapFailed, PKCS11Error."""
        ...
