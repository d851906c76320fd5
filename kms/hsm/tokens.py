"""Finding the token a URI names, logging in, and reading PINs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pkcs11 import TokenFlag
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.errors import CredentialRejected, RootLost
from kms.hsm.interface import RootMisconfigured
from kms.hsm.module import Module
from kms.hsm.templates import attribute_mapper
from kms.hsm.uri import TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Session, Token

MAX_PIN_SIZE = 255
_HAS_PIN = TokenFlag.TOKEN_INITIALIZED | TokenFlag.USER_PIN_INITIALIZED
"""Either: SoftHSM sets the first as soon as the token has a label, NSS only the second."""


def find_token(module: Module, uri: TokenURI) -> Token:
    """The one token that has a user's PIN, with the URI's label and, if it has one, serial.

    Raises RootLost when there is none (it may be plugged in later), RootMisconfigured when several match.
    """
    return _the_one([token for token in _tokens(module) if token.flags & _HAS_PIN], uri)


def find_any_token(module: Module, uri: TokenURI) -> Token:
    """As `find_token`, among all tokens, also those without PIN."""
    return _the_one(_tokens(module), uri)


def _the_one(tokens: list[Token], uri: TokenURI) -> Token:
    matching, present = [], []
    for token in tokens:
        serial = token_serial(token)
        present.append(f"{token.label!r} (serial {serial})")
        if token.label == uri.token and uri.serial in (None, serial):
            matching.append(token)
    if not matching:
        wanted = f"{uri.token!r}" + (f" (serial {uri.serial})" if uri.serial else "")
        raise RootLost(f"token {wanted} is absent; present: {', '.join(present) or 'none'}")
    if len(matching) > 1:
        raise RootMisconfigured(f"{len(matching)} tokens are labelled {uri.token!r}: add serial to the PKCS#11 URI")
    return matching[0]


def log_in(token: Token, pin: SecretBytes, *, rw: bool = False) -> Session:
    """A session that holds the login for all sessions of this process; closing it logs out all of them.

    One attempt, and none when it could be the last before the token locks. Raises CredentialRejected, PKCS11Error.
    """
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise CredentialRejected(f"the PIN of token {token.label!r} is locked: its security officer must reset it")
    if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
        raise CredentialRejected(
            f"token {token.label!r} locks at the next wrong PIN: log in once with the vendor's tool, then restart"
        )
    try:
        return token.open(rw=rw, user_pin=pin_text(pin), attribute_mapper=attribute_mapper())
    except p11.UserAlreadyLoggedIn:
        # Sessions share the login: another session of this process has it already.
        return token.open(rw=rw, attribute_mapper=attribute_mapper())


def read_pin(path: Path) -> SecretBytes:
    """The PIN in a file of the owner's alone (no access for group and others); one final newline is not part of it.

    Raises RootMisconfigured, without any of the file's content.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_PIN_SIZE + 3)
    except OSError as error:
        raise RootMisconfigured(f"cannot read the PIN file {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RootMisconfigured(f"the PIN file {path} is open to others: chmod 600 it")
    pin = content.removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(pin) <= MAX_PIN_SIZE:
        raise RootMisconfigured(f"the PIN file {path} holds no PIN of 1 to {MAX_PIN_SIZE} bytes")
    return SecretBytes(pin)


def _tokens(module: Module) -> list[Token]:
    tokens = []
    for slot in module.slots():
        try:
            token = slot.get_token()
        except (p11.TokenNotPresent, p11.TokenNotRecognised):
            continue
        tokens.append(token)
    return tokens


def token_serial(token: Token) -> str:
    """CK_TOKEN_INFO.serialNumber without its padding."""
    return token.serial.decode("utf-8", "replace")


def pin_text(pin: SecretBytes) -> str:
    """The PIN as python-pkcs11 wants it. Raises CredentialRejected."""
    try:
        return pin.reveal().decode()
    except UnicodeDecodeError:
        raise CredentialRejected("the PIN is not UTF-8, which PKCS#11 asks for") from None
