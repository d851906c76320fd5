"""What kmsd is told at its start: one line of JSON on standard input, so that nothing shows in `ps` or /proc.

No secret is among it: PIN or passphrase stay in their file (mode 0600), which kmsd reads itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from kms.audit.trail import TrailSettings
from kms.hsm.interface import Protection
from kms.store.opening import KeyDatabase


class SettingsError(Exception):
    """The order is not one of this release; the message names what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSettings:
    """Where the root is: `kind` "pkcs11" with `uri` (RFC 7512), or "file" with `root_file`.

    `pin_file` holds the token's PIN or the file root's passphrase; for a token the URI's pin-source serves as well.
    `driver_file` is the token's driver profile (kms/hsm/driver.py). `key_file` (32 bytes) opens a file root in place
    of a passphrase. `softhsm_conf` becomes SOFTHSM2_CONF.
    """

    kind: str
    uri: str = ""
    pin_file: Path | None = None
    softhsm_conf: Path | None = None
    root_file: Path | None = None
    key_file: Path | None = None
    driver_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """`keys_path` is the key store, or this node's copy of what is in `key_database`.

    `listen_fd`, an inherited listening Unix socket, or `socket_path`, where to make one: exactly one of them.

    `is_successor`: another kmsd serves still, and ends when this one stands by.

    `protection` is that of keys whose CreateKey does not choose.
    """

    keys_path: Path
    key_database: KeyDatabase | None = None
    epoch_path: Path
    region: str
    other_regions: tuple[str, ...] = ()
    root: RootSettings
    audit: TrailSettings
    protection: str = "software"
    listen_fd: int | None = None
    socket_path: Path | None = None
    is_successor: bool = False
    lease_seconds: float = 300.0
    root_deadline_seconds: float = 5.0
    hang_seconds: float = 60.0
    drain_seconds: float = 10.0
    log_level: str = "info"

    def to_json(self) -> bytes:
        """The order: one line with its newline."""
        return msgspec.json.encode(self, enc_hook=_enc_hook) + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> DaemonSettings:
        """The inverse of `to_json`. Raises SettingsError."""
        try:
            settings = msgspec.json.decode(line, type=cls, dec_hook=_dec_hook)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"the order to kmsd cannot be read: {error}") from None
        if (settings.listen_fd is None) == (settings.socket_path is None):
            raise SettingsError("kmsd listens on either listen_fd or socket_path")
        if settings.protection not in set(Protection):
            raise SettingsError(f"protection {settings.protection!r} is neither software nor hsm")
        if settings.root.kind not in {"pkcs11", "file"}:
            raise SettingsError(f"root kind {settings.root.kind!r} is neither pkcs11 nor file")
        if settings.root.kind == "file" and settings.root.root_file is None:
            raise SettingsError("a file root needs root_file")
        return settings


def _enc_hook(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no setting")


def _dec_hook(kind: type, value: object) -> object:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{kind.__name__} is no setting")
