"""Making the keys of a root that is to succeed another, and destroying those of one that nobody needs any more.

The successor's id is chosen and written down before its keys are made, so that making them again after a crash
completes what is there and leaves no orphans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.description import RootDescription
from kms.hsm.driver import Driver
from kms.hsm.errors import translate
from kms.hsm.module import Module, load
from kms.hsm.provision import describe_root
from kms.hsm.rehearsal import find_profile
from kms.hsm.root_keys import complete_root_keys, destroy_root_keys, make_missing_keys
from kms.hsm.tokens import find_token, log_in, token_serial
from kms.hsm.uri import TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Session


def make_successor(uri: TokenURI, pin: SecretBytes, root_id: bytes, driver: Driver) -> RootDescription:
    """Make the root's keys under `root_id` in the token the URI names, those that are not there yet.

    Keys of other ids may have the same labels. Raises RootError.
    """

    def make(session: Session, module: Module) -> None:
        profile = find_profile(session, module.cryptoki, driver)
        complete_root_keys(session, uri, root_id, profile.plan)
        make_missing_keys(session, uri, root_id, driver)

    serial = _in_token(uri, pin, driver, make, f"making root keys in token {uri.token!r}")
    return describe_root(replace(uri, serial=serial, root_id=root_id), pin, driver)


def destroy_root(uri: TokenURI, pin: SecretBytes, driver: Driver) -> int:
    """Destroy all keys of the URI's id, which it must have; how many there were. For good: nothing brings them back.

    Twice is the same as once. Raises RootError.
    """
    root_id, destroyed = uri.root_id, list[int]()
    assert root_id is not None

    def destroy(session: Session, _: Module) -> None:
        destroyed.append(destroy_root_keys(session, uri, root_id))

    _in_token(uri, pin, driver, destroy, f"destroying root keys in token {uri.token!r}")
    return sum(destroyed)


def _in_token(
    uri: TokenURI, pin: SecretBytes, driver: Driver, work: Callable[[Session, Module], None], doing: str
) -> str:
    """Do `work` in a read-write session; the token's serial."""
    module = load(uri.module_path, driver)
    module.ready()
    try:
        with module.calls():
            token = find_token(module, uri)
            session = log_in(token, pin, rw=True)
            try:
                work(session, module)
            finally:
                session.close()
            return token_serial(token)
    except p11.PKCS11Error as error:
        raise translate(error, doing) from error
