"""`FileRoot`: a root without an HSM, its keys sealed in a file by a passphrase or by a key file.

For machines that have neither an HSM nor SoftHSM2. The keys are in this process's memory while it runs, and whoever
copies the file and knows the passphrase (or copies the key file as well) has them for good. The caller warns loudly.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import stat
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from kms.api.secrets import SecretBytes
from kms.hsm import software_signing
from kms.hsm.check_value import make_check_value, verify_check_value
from kms.hsm.description import RootDescription
from kms.hsm.errors import RootLost
from kms.hsm.interface import (
    HeldKey,
    HeldPrivateKey,
    NotOffered,
    PairKind,
    PrivateKeyType,
    Protection,
    Root,
    RootIdentity,
    RootMisconfigured,
    UnwrapFailed,
    WrappedPair,
)
from kms.hsm.sealed_file import (
    BY_KEY_FILE,
    BY_PASSPHRASE,
    FILE_SIZE,
    KEY_SIZE,
    ROOT_ID_SIZE,
    RootKeys,
    SealingSecret,
    seal,
    unseal,
)
from kms.hsm.uri import DEFAULT_LABEL

log = logging.getLogger(__name__)

PROFILE = "file"
_NO_HSM = "a file root is no HSM: it has no keys of protection hsm"
WRAPPED_SIZE = KEY_SIZE + 8
MAX_RANDOM_BYTES = 1024
MIN_PASSPHRASE_SIZE = 8
MAX_PASSPHRASE_SIZE = 1024


class FileRoot:
    """Implements `kms.hsm.interface.Root` with AES key wrap (RFC 3394) and HMAC-SHA256 in this process."""

    def __init__(self, keys: RootKeys, expected_check_value: bytes | None = None) -> None:
        self._keys = keys
        self._expected_check_value = expected_check_value
        self._identity = RootIdentity(PROFILE, keys.root_id, DEFAULT_LABEL)
        self._closed = False

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        passphrase: SecretBytes | None = None,
        key_file: Path | None = None,
        root_id: bytes | None = None,
    ) -> RootDescription:
        """Make fresh root keys and seal them into a new file of mode 0600, durable when this returns.

        Exactly one of `passphrase` (8 to 1024 bytes) and `key_file` (see `create_key_file`) seals it; the id is random
        unless given. Raises RootMisconfigured, also when `path` exists already: a root is never overwritten.
        """
        secret = _secret(passphrase, key_file)
        keys = RootKeys(
            root_id or os.urandom(ROOT_ID_SIZE),
            SecretBytes(os.urandom(KEY_SIZE)),
            SecretBytes(os.urandom(KEY_SIZE)),
            software_signing.generate_key(),
        )
        _write_new(path, seal(keys, secret))
        root = cls(keys)
        return RootDescription(
            root_id=keys.root_id,
            label=DEFAULT_LABEL,
            mac_label=DEFAULT_LABEL + "-mac",
            profile=PROFILE,
            serial="",
            check_value=make_check_value(root),
            uri="",
            audit_public_key=root.audit_public_key(),
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        passphrase: SecretBytes | None = None,
        key_file: Path | None = None,
        expected_check_value: bytes | None = None,
        makes_missing: bool = False,
    ) -> FileRoot:
        """Unseal the file, which takes about 0.1 s with a passphrase, and prove it to be the expected root.

        With `makes_missing` a file of format 1 is replaced by one of format 2, which has audit-sign as well.

        Raises RootLost while the file is absent, CredentialRejected for a wrong passphrase, RootMisconfigured for lax
        permissions, a foreign root or a file that is none.
        """
        secret = _secret(passphrase, key_file)
        root = cls(unseal(_read_private(path, FILE_SIZE), secret), expected_check_value)
        root.check()
        if makes_missing and root._keys.audit_sign is None:
            root._add_audit_key(path, secret)
        return root

    @property
    def identity(self) -> RootIdentity:
        return self._identity

    @property
    def strict_identity(self) -> RootIdentity | None:
        return None

    def holding(self, root_id: bytes) -> Root:
        return self

    def generate_wrapped_key(self, protection: Protection = Protection.SOFTWARE, size: int = KEY_SIZE) -> bytes:
        return self.wrap_key(SecretBytes(os.urandom(size)), protection)

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        root = self._key(self._keys.root)
        if protection is not Protection.SOFTWARE:
            raise NotOffered(_NO_HSM)
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key to be wrapped has {KEY_SIZE} bytes, not {len(key)}")
        return aes_key_wrap(root, key.reveal())

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        root = self._key(self._keys.root)
        if len(wrapped) != WRAPPED_SIZE:
            raise UnwrapFailed(f"a wrapped key has {WRAPPED_SIZE} bytes, not {len(wrapped)}")
        try:
            return SecretBytes(aes_key_unwrap(root, wrapped))
        except InvalidUnwrap:
            raise UnwrapFailed("the root did not wrap these bytes, or they were changed") from None

    def hold_key(self, wrapped: bytes) -> HeldKey:
        self._key(self._keys.root)
        raise NotOffered(_NO_HSM)

    def generate_wrapped_pair(self, kind: PairKind) -> WrappedPair:
        self._key(self._keys.root)
        raise NotOffered(_NO_HSM)

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        self._key(self._keys.root)
        raise NotOffered(_NO_HSM)

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        self._key(self._keys.root)
        raise NotOffered(_NO_HSM)

    def mac(self, message: bytes) -> bytes:
        return hmac.digest(self._key(self._keys.root_mac), message, "sha256")

    def sign(self, digest: bytes) -> bytes:
        return software_signing.sign(self._audit_key(), digest)

    def audit_public_key(self) -> bytes:
        return software_signing.public_key(self._audit_key())

    def random(self, length: int) -> bytes:
        if not 1 <= length <= MAX_RANDOM_BYTES:
            raise ValueError(f"1 to {MAX_RANDOM_BYTES} random bytes at a time, not {length}")
        self._key(self._keys.root)
        return os.urandom(length)

    def check(self) -> None:
        if self._expected_check_value is not None:
            verify_check_value(self, self._expected_check_value)
        else:
            self.unwrap_key(self.generate_wrapped_key())

    def close(self) -> None:
        """Forget the keys; every later call raises RootLost."""
        self._closed = True
        self._keys = RootKeys(self._keys.root_id, SecretBytes(b""), SecretBytes(b""), None)

    def _key(self, key: SecretBytes) -> bytes:
        if self._closed:
            raise RootLost("the file root was closed")
        return key.reveal()

    def _audit_key(self) -> SecretBytes:
        self._key(self._keys.root)
        if self._keys.audit_sign is None:
            raise NotOffered("this root file is of format 1, which has no key to sign the audit trail with")
        return self._keys.audit_sign

    def _add_audit_key(self, path: Path, secret: SealingSecret) -> None:
        """Replace the file by one that has the key as well. A file that cannot be replaced serves as it is."""
        keys = replace(self._keys, audit_sign=software_signing.generate_key())
        successor = path.with_name(path.name + ".new")
        try:
            with contextlib.suppress(FileNotFoundError):
                successor.unlink()  # left behind by a crash in here, and never in use
            _write_new(successor, seal(keys, secret))
            successor.replace(path)
            _fsync_directory(path.parent)
        except (OSError, RootMisconfigured) as error:
            log.warning("the root file %s stays without a key to sign the audit trail with: %s", path, error)
            return
        self._keys = keys


def create_key_file(path: Path) -> None:
    """Write 32 random bytes to a new file of mode 0600. Raises RootMisconfigured when it exists."""
    _write_new(path, os.urandom(KEY_SIZE))


def _secret(passphrase: SecretBytes | None, key_file: Path | None) -> SealingSecret:
    if (passphrase is None) == (key_file is None):
        raise ValueError("a file root is sealed by a passphrase or by a key file: give one of them")
    if passphrase is not None:
        if not MIN_PASSPHRASE_SIZE <= len(passphrase) <= MAX_PASSPHRASE_SIZE:
            raise RootMisconfigured(f"a passphrase has {MIN_PASSPHRASE_SIZE} to {MAX_PASSPHRASE_SIZE} bytes")
        return SealingSecret(BY_PASSPHRASE, passphrase)
    assert key_file is not None
    value = _read_private(key_file, KEY_SIZE)
    if len(value) != KEY_SIZE:
        raise RootMisconfigured(f"the key file {key_file} does not hold {KEY_SIZE} bytes")
    return SealingSecret(BY_KEY_FILE, SecretBytes(value))


def _read_private(path: Path, size: int) -> bytes:
    """Up to `size` + 1 bytes of a regular file that only its owner may touch."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise RootLost(f"{path} is absent") from None
    except OSError as error:
        raise RootMisconfigured(f"cannot read {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise RootMisconfigured(f"{path} is not a regular file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RootMisconfigured(f"{path} is open to others: chmod 600 it")
        return file.read(size + 1)


def _write_new(path: Path, content: bytes) -> None:
    """Create the file exclusively with mode 0600; it and its name are on disk when this returns."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise RootMisconfigured(f"{path} exists already, and is not overwritten") from None
    except OSError as error:
        raise RootMisconfigured(f"cannot create {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        _fsync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise RootMisconfigured(f"cannot write {path}: {error.strerror}") from error


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
