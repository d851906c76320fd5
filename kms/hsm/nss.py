"""NSS softokn as a PKCS#11 token: a database in a directory, for tests and for machines that have NSS and no HSM.

softokn differs from other modules in three ways: it is told where its database is when it is initialised, by a string
in C_Initialize's arguments; its token exists as soon as the database does, without a PIN; and the officer's PIN that
sets the user's is empty.
"""

from __future__ import annotations

import os
from pathlib import Path

from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.description import TokenDescription
from kms.hsm.driver import Driver
from kms.hsm.errors import translate
from kms.hsm.interface import RootMisconfigured
from kms.hsm.module import load
from kms.hsm.tokens import find_any_token, pin_text, token_serial
from kms.hsm.uri import TokenURI

MODULE_ENVIRONMENT = "SEALGATE_NSS_MODULE"
TOKEN_LABEL_SIZE = 32

_PATHS = (
    "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",  # Debian, Ubuntu: libnss3
    "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
    "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
    "/usr/lib/aarch64-linux-gnu/nss/libsoftokn3.so",
    "/usr/lib64/libsoftokn3.so",  # Fedora, RHEL: nss-softokn
    "/usr/lib/libsoftokn3.so",
    "/opt/homebrew/lib/libsoftokn3.dylib",
)


def find_nss() -> Path | None:
    """The softokn module: what SEALGATE_NSS_MODULE names, if it is set, or where packages put it."""
    override = os.environ.get(MODULE_ENVIRONMENT)
    candidates = (override,) if override else _PATHS
    return next((Path(path) for path in candidates if Path(path).is_file()), None)


def nss_parameters(directory: Path, label: str) -> str:
    """LibraryParameters for a database in `directory` whose token is labelled so. Raises RootMisconfigured."""
    text = str(directory.resolve())
    if not text.isprintable() or any(character in text + label for character in "'\"\\"):
        raise RootMisconfigured(f"softokn's parameters cannot name {text!r} and {label!r}")
    return (
        f"configdir='sql:{text}' certPrefix='' keyPrefix='' secmod='secmod.db'"
        f" dbTokenDescription='{label}' dbSlotDescription='{label}' flags="
    )


def create_nss_token(directory: Path, label: str, pin: SecretBytes, module: Path, driver: Driver) -> TokenDescription:
    """Make a database with its user's PIN in `directory`, which is made if need be.

    `driver` has `nss_parameters` of the same directory and label. Raises RootMisconfigured, also when the token has a
    PIN already.
    """
    if not 1 <= len(label.encode()) <= TOKEN_LABEL_SIZE or label != label.strip():
        raise RootMisconfigured(f"a token's label has 1 to {TOKEN_LABEL_SIZE} bytes and no space around it")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    loaded = load(module, driver)
    loaded.ready()
    try:
        with loaded.calls():
            token = find_any_token(loaded, TokenURI(module, label))
            session = token.open(rw=True, so_pin="")
            try:
                session.init_pin(pin_text(pin))
            finally:
                session.close()
            return TokenDescription(label=label, serial=token_serial(token), module=module, config=None)
    except p11.PKCS11Error as error:
        raise translate(error, f"setting the PIN of token {label!r}") from error
