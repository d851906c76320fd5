"""The driver profile: what one kind of token wants, in a TOML file. `sealgate hsm probe --write` makes one.

    wrapping = "gcm"
    gcm_iv = "appended"
    max_sessions = 4

A driver is data about a device, not a secret. What it leaves out is the default, which suits SoftHSM2.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from kms.hsm.interface import RootMisconfigured

MAX_FILE_SIZE = 64 * 1024
MAX_PARAMETERS_SIZE = 2048
MAX_SESSIONS = 8
"""Calls at once, fewer if the token allows fewer sessions. For a local module two would do; a network HSM, which
answers in 1-10 ms, gains by each more."""


class Wrapping(StrEnum):
    """How root-soft wraps: by one of the classes in kms/hsm/profiles."""

    KEY_WRAP = "kw"
    GCM = "gcm"
    CBC_HMAC = "cbc+hmac"
    RSA_OAEP = "rsa-oaep"


class IVMode(StrEnum):
    """Whose IV AES-GCM uses."""

    CALLER = "caller"
    """Ours, from the token's random source."""
    ZERO_WRITEBACK = "zero-writeback"
    """The token's: it wants 12 zero bytes and writes its IV over them (AWS CloudHSM)."""
    APPENDED = "appended"
    """The token's: it wants no IV and appends one of 16 bytes to the ciphertext (Thales Luna in FIPS mode)."""


class StrictRoot(StrEnum):
    """When keys of protection `hsm` are offered."""

    ENFORCED = "enforced"
    """Where the token proves to enforce CKA_UNWRAP_TEMPLATE."""
    UNENFORCED = "unenforced"
    """Also where it does not: the key process never sees such a key, but whoever has PIN and database can read it."""


@dataclass(frozen=True, slots=True)
class Driver:
    """One kind of token. None means: what works is found by doing, in the order of the enum.

    Mechanisms are CK_MECHANISM_TYPE numbers, for vendors with their own; `library_parameters` goes to C_Initialize as
    NSS wants it; without `os_locking` the module is told of one thread, and gets one at a time.
    """

    wrapping: Wrapping | None = None
    gcm_iv: IVMode | None = None
    strict_root: StrictRoot = StrictRoot.ENFORCED
    key_wrap_mechanism: int = 0x2109  # CKM_AES_KEY_WRAP
    gcm_mechanism: int = 0x1087  # CKM_AES_GCM
    cbc_mechanism: int = 0x1082  # CKM_AES_CBC
    max_sessions: int = MAX_SESSIONS
    os_locking: bool = True
    library_parameters: str = ""


DEFAULT: Final = Driver()

_ENUMS: Final[dict[str, type[StrEnum]]] = {"wrapping": Wrapping, "gcm_iv": IVMode, "strict_root": StrictRoot}
_BOUNDS: Final = {
    "key_wrap_mechanism": (1, 2**32 - 1),
    "gcm_mechanism": (1, 2**32 - 1),
    "cbc_mechanism": (1, 2**32 - 1),
    "max_sessions": (1, 64),
}


def read_driver(path: Path) -> Driver:
    """The driver profile in a file. Raises RootMisconfigured, naming the key that is unknown or out of bounds."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise RootMisconfigured(f"cannot read the driver profile {path}: {error.strerror}") from error
    if len(text) > MAX_FILE_SIZE:
        raise RootMisconfigured(f"the driver profile {path} has more than {MAX_FILE_SIZE} bytes")
    try:
        return parse_driver(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RootMisconfigured(f"the driver profile {path} is no TOML: {error}") from error
    except ValueError as error:
        raise RootMisconfigured(f"the driver profile {path}: {error}") from error


def parse_driver(text: str) -> Driver:
    """Raises ValueError (TOMLDecodeError is one)."""
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ValueError("arrays or tables are nested too deeply") from None
    unknown = table.keys() - {field.name for field in fields(Driver)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {name: _value(name, value) for name, value in table.items()}
    return Driver(**values)


def format_driver(driver: Driver) -> str:
    """The inverse of `parse_driver`, without what is the default."""
    lines = []
    for field in fields(Driver):
        value = getattr(driver, field.name)
        if value == field.default:
            continue
        if isinstance(value, bool):
            lines.append(f"{field.name} = {str(value).lower()}")
        elif isinstance(value, int):
            lines.append(f"{field.name} = {value:#x}" if "mechanism" in field.name else f"{field.name} = {value}")
        else:
            quoted = str(value).replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{field.name} = "{quoted}"')
    return "".join(line + "\n" for line in lines)


def _value(name: str, value: object) -> object:
    if name in _ENUMS:
        try:
            return _ENUMS[name](str(value))
        except ValueError:
            raise ValueError(f"{name} is one of {', '.join(_ENUMS[name])}") from None
    if name in _BOUNDS:
        low, high = _BOUNDS[name]
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{name} is a number of {low} to {high}")
        return value
    if name == "os_locking":
        if type(value) is not bool:
            raise ValueError("os_locking is true or false")
        return value
    if type(value) is not str or len(value.encode()) > MAX_PARAMETERS_SIZE or not value.isprintable():
        raise ValueError(f"{name} is a text of at most {MAX_PARAMETERS_SIZE} bytes, on one line")
    return value
