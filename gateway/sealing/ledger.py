"""A debug ledger of every seal, so that a test run can prove that no key and nonce pair was ever used twice.

For tests only, and off unless an environment variable names an existing directory, outside the data directory:

- SEALGATE_DEBUG_SEALS: one record for each seal in `<pid>.seals`, 28 bytes: the first 16 of the SHA-256 of the key, and
  the nonce. It gives no key away.
- SEALGATE_DEBUG_LEDGER: the same, and the **keys in clear** (`<pid>.keys`, in lines), so that a test can search the
  stored bytes for them. A warning is logged when it is switched on.

Each record is one write to the kernel, so that a process that is killed has told of all it sealed: about 1.5 us for a
segment of 64 KiB. When off it costs one `is None` for each key, nothing for each segment.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.format import Buffer

SEALS_VARIABLE: Final = "SEALGATE_DEBUG_SEALS"
LEDGER_VARIABLE: Final = "SEALGATE_DEBUG_LEDGER"

_NAME_BYTES: Final = 16  # two keys of a run have one name with a chance of 2^-80 when there are 2^24 of them
_RECORD_BYTES: Final = _NAME_BYTES + 12
_READ_RECORDS: Final = 1 << 16

_log = logging.getLogger(__name__)


class SealingAEAD(Protocol):
    """The sealing half of `AESGCM`."""

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes: ...

    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int: ...


class Ledger(Protocol):
    def seal(self, name: bytes, nonce: bytes) -> None:
        """The key with this name (`key_name`) is about to seal one message under `nonce`."""
        ...

    def key(self, key: bytes) -> None:
        """`key` exists."""
        ...


def key_name(key: bytes) -> bytes:
    """16 bytes that tell keys apart and say nothing of them."""
    return hashlib.sha256(key).digest()[:_NAME_BYTES]


class FileLedger:
    """A ledger in files of this process, for tests over several processes: seals in each of some directories, and
    keys in one, unless None."""

    def __init__(self, seals: Sequence[Path], keys: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._seals = [self._open(directory / f"{os.getpid()}.seals") for directory in seals]
        self._keys = self._open(keys / f"{os.getpid()}.keys") if keys is not None else None
        self._known: set[bytes] = set()

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def seal(self, name: bytes, nonce: bytes) -> None:
        for file in self._seals:
            if os.write(file, name + nonce) != _RECORD_BYTES:
                raise OSError("a record of the ledger was cut short")

    def key(self, key: bytes) -> None:
        if self._keys is None:
            return
        with self._lock:
            if key not in self._known:
                self._known.add(key)
                os.write(self._keys, f"{key.hex()}\n".encode())


class _RecordingAEAD:
    def __init__(self, key: bytes, ledger: Ledger) -> None:
        self._aead = AESGCM(key)
        self._name = key_name(key)
        self._ledger = ledger
        ledger.key(key)

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        self._ledger.seal(self._name, bytes(nonce))
        return self._aead.encrypt(nonce, data, associated_data)

    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int:
        self._ledger.seal(self._name, bytes(nonce))
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


def recorded_seals(directory: Path) -> Iterator[bytes]:
    """Every record of `directory`: a key's name and a nonce. Raises ValueError for a file that is no whole number."""
    for path in directory.glob("*.seals"):
        with path.open("rb") as file:
            while piece := file.read(_READ_RECORDS * _RECORD_BYTES):
                if len(piece) % _RECORD_BYTES:
                    raise ValueError(f"{path.name} ends within a record")
                for start in range(0, len(piece), _RECORD_BYTES):
                    yield piece[start : start + _RECORD_BYTES]


def repeated_seals(directory: Path) -> list[str]:
    """Key names and nonces, in hex, that all `*.seals` files of `directory` have more than once: there must be none."""
    seen: set[bytes] = set()
    repeated: set[bytes] = set()
    for record in recorded_seals(directory):
        (repeated if record in seen else seen).add(record)
    return [f"{record[:_NAME_BYTES].hex()} {record[_NAME_BYTES:].hex()}" for record in sorted(repeated)]


def from_environment(environment: Mapping[str, str]) -> Ledger | None:
    """The ledger that these variables ask for."""
    seals, directory = environment.get(SEALS_VARIABLE), environment.get(LEDGER_VARIABLE)
    if directory:
        _log.warning("%s is set: keys are being written in clear to %s", LEDGER_VARIABLE, directory)
    places = [Path(place) for place in (seals, directory) if place]
    return FileLedger(places, Path(directory) if directory else None) if places else None


set_ledger(from_environment(os.environ))
