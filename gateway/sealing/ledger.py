"""A debug ledger of every seal, so that a test run can prove that no key and nonce pair was ever used twice.

For tests only, and off unless the environment variable SEALGATE_DEBUG_LEDGER names an existing directory, outside the
data directory. It then holds **keys in clear** (`<pid>.keys`), so that a test can search the stored bytes for them,
and one line for each seal (`<pid>.seals`: SHA-256 of the key, nonce). A warning is logged when it is switched on.
When off it costs one `is None` for each key, nothing for each segment.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.format import Buffer

ENVIRONMENT_VARIABLE = "SEALGATE_DEBUG_LEDGER"

_log = logging.getLogger(__name__)


class SealingAEAD(Protocol):
    """The sealing half of `AESGCM`."""

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes: ...

    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int: ...


class Ledger(Protocol):
    def seal(self, key: bytes, nonce: bytes) -> None:
        """`key` is about to seal one message under `nonce`."""
        ...

    def key(self, key: bytes) -> None:
        """`key` exists."""
        ...


class FileLedger:
    """A ledger in two files of this process, for tests over several processes. Lines are written at once, whole."""

    def __init__(self, directory: Path) -> None:
        self._lock = threading.Lock()
        self._seals = self._open(directory / f"{os.getpid()}.seals")
        self._keys = self._open(directory / f"{os.getpid()}.keys")
        self._known: set[bytes] = set()

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def seal(self, key: bytes, nonce: bytes) -> None:
        os.write(self._seals, f"{hashlib.sha256(key).hexdigest()} {nonce.hex()}\n".encode())

    def key(self, key: bytes) -> None:
        with self._lock:
            if key not in self._known:
                self._known.add(key)
                os.write(self._keys, f"{key.hex()}\n".encode())


class _RecordingAEAD:
    def __init__(self, key: bytes, ledger: Ledger) -> None:
        self._aead = AESGCM(key)
        self._key = key
        self._ledger = ledger
        ledger.key(key)

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        self._ledger.seal(self._key, bytes(nonce))
        return self._aead.encrypt(nonce, data, associated_data)

    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int:
        self._ledger.seal(self._key, bytes(nonce))
        return self._aead.encrypt_into(nonce, data, associated_data, buf)


_ledger: Ledger | None = None


def set_ledger(ledger: Ledger | None) -> Ledger | None:
    """Switch recording on or off for this process; returns what was there before."""
    global _ledger  # one switch for the process is the point
    before, _ledger = _ledger, ledger
    return before


def sealing_aead(key: bytes) -> SealingAEAD:
    """AES-256-GCM for sealing under `key`: everything that the format encrypts goes through here."""
    if _ledger is None:
        return AESGCM(key)
    return _RecordingAEAD(key, _ledger)


def note_key(key: bytes) -> None:
    """Tell the ledger of a key that seals nothing itself (data keys and wrapping keys feed a derivation)."""
    if _ledger is not None:
        _ledger.key(key)


def repeated_seals(directory: Path) -> list[str]:
    """The lines that occur more than once in all `*.seals` files of `directory`: there must be none."""
    seals = Counter(line for path in directory.glob("*.seals") for line in path.read_text().splitlines())
    return [line for line, times in seals.items() if times > 1]


def _from_environment(environment: Mapping[str, str]) -> Ledger | None:
    directory = environment.get(ENVIRONMENT_VARIABLE)
    if not directory:
        return None
    _log.warning("%s is set: keys are being written in clear to %s", ENVIRONMENT_VARIABLE, directory)
    return FileLedger(Path(directory))


set_ledger(_from_environment(os.environ))
