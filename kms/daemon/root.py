"""From settings to a root that recovers by itself."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from kms.api.secrets import SecretBytes
from kms.daemon.root_location import places_of, resolve_location
from kms.daemon.settings import RootSettings
from kms.hsm.driver import DEFAULT, Driver, read_driver
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import Root, RootMisconfigured, RootUnavailable
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.recovery import WAIT_SECONDS, RecoveringRoot, RootState
from kms.hsm.roots import Roots
from kms.hsm.tokens import read_pin
from kms.hsm.uri import TokenURI, parse_uri
from kms.store.interface import ROOT_CHECK_VALUE, StoreError
from kms.store.records import RootUse
from kms.store.sqlite import SQLiteKeyStore

log = logging.getLogger(__name__)


def roots_of(
    configured: RootSettings,
    store: SQLiteKeyStore,
    directory: Path,
    *,
    makes_missing: bool = False,
    wait_seconds: float = WAIT_SECONDS,
) -> Roots:
    """The roots of the key store in `directory`: the current one, and older ones by id.

    Before the first rotation the configuration names the only one; afterwards the key store knows which there are.
    `wait_seconds` is how long a call waits for a root that another one is just opening.
    """

    def current_id() -> bytes | None:
        try:
            return store.current_root_id()
        except StoreError as error:
            raise RootUnavailable(f"which root is the current one cannot be read: {error}") from error

    def open_root(root_id: bytes | None) -> RecoveringRoot | None:
        if root_id is None:
            check_value = store.meta(ROOT_CHECK_VALUE)
            assert check_value is not None, "kmsd and commands start with a store that knows its root"
            return recovering_root(configured, check_value, makes_missing=makes_missing, wait_seconds=wait_seconds)
        for known in store.roots():
            if known.root_id == root_id and known.check_value is not None and known.state is not RootUse.RETIRED:
                settings = resolve_location(known.settings, configured, directory)
                return recovering_root(
                    settings, known.check_value, makes_missing=makes_missing, wait_seconds=wait_seconds
                )
        return None

    return Roots(current_id, open_root)


@contextlib.contextmanager
def ready_roots(configured: RootSettings, store: SQLiteKeyStore, directory: Path) -> Iterator[Roots]:
    """For commands: the roots of a key store while the block lasts, the current one ready. Raises RootError."""
    with contextlib.closing(roots_of(configured, store, directory)) as roots:
        status = roots.probe()
        if status.state is not RootState.READY:
            raise RootUnavailable(f"the root in use does not answer: {status.detail}")
        yield roots


@contextlib.contextmanager
def found_root(
    configured: RootSettings, root_id: bytes, label: str, check_value: bytes
) -> Iterator[tuple[RecoveringRoot, RootSettings]]:
    """For commands: the root of this id, looked for where the configuration says roots are, and where that is.

    Raises RootUnavailable, saying what was found instead, unless its check value proves it.
    """
    details = []
    for place in places_of(configured, root_id, label):
        with contextlib.closing(recovering_root(place, check_value)) as root:
            status = root.probe()
            if status.state is RootState.READY and root.identity.root_id == root_id:
                yield root, place
                return
        details.append(status.detail)
    where = "token (kms.uri)" if configured.kind == "pkcs11" else "file (kms.root_file)"
    reason = "; ".join(details) or f"there is no file {configured.root_file}"
    raise RootUnavailable(f"root {label!r} with id {root_id.hex()} is not in the configured {where}: {reason}")


def recovering_root(
    settings: RootSettings, check_value: bytes, *, makes_missing: bool = False, wait_seconds: float = WAIT_SECONDS
) -> RecoveringRoot:
    """The root of these settings; nothing is opened or logged in to before the first call.

    With `makes_missing`, for kmsd alone, opening a root of an earlier release adds the keys that it lacks.
    """
    name_softhsm_conf(settings)
    if settings.kind == "file":
        log.warning(
            "the root of all keys is a sealed FILE, not an HSM: whoever copies %s together with its passphrase or key"
            " file can open everything, for good; use a PKCS#11 token for anything but trying out",
            settings.root_file,
        )
        return RecoveringRoot(lambda: _open_file(settings, check_value, makes_missing), wait_seconds=wait_seconds)
    return RecoveringRoot(lambda: _open_token(settings, check_value, makes_missing), wait_seconds=wait_seconds)


def name_softhsm_conf(settings: RootSettings) -> None:
    """Name SoftHSM's configuration to the module, which reads it when it is initialised, in this very process."""
    if settings.softhsm_conf is not None:
        os.environ["SOFTHSM2_CONF"] = str(settings.softhsm_conf)


def pin_of(settings: RootSettings, uri: TokenURI) -> SecretBytes:
    """The token's PIN, from its file. Raises RootMisconfigured."""
    pin_file = settings.pin_file or uri.pin_source
    if pin_file is None:
        raise RootMisconfigured("neither a PIN file nor a pin-source in the PKCS#11 URI says where the PIN is")
    return read_pin(pin_file)


def driver_of(settings: RootSettings) -> Driver:
    """The token's driver profile. Raises RootMisconfigured."""
    return DEFAULT if settings.driver_file is None else read_driver(settings.driver_file)


def _open_token(settings: RootSettings, check_value: bytes, makes_missing: bool) -> Root:
    uri = parse_uri(settings.uri)
    pin, driver = pin_of(settings, uri), driver_of(settings)
    return PKCS11Root.open(uri, pin, check_value, driver=driver, makes_missing=makes_missing)


def _open_file(settings: RootSettings, check_value: bytes, makes_missing: bool) -> Root:
    assert settings.root_file is not None
    passphrase = None
    if settings.key_file is None:
        if settings.pin_file is None:
            raise RootMisconfigured("neither a passphrase file nor a key file says how to unseal the file root")
        passphrase = read_pin(settings.pin_file)
    return FileRoot.open(
        settings.root_file,
        passphrase=passphrase,
        key_file=settings.key_file,
        expected_check_value=check_value,
        makes_missing=makes_missing,
    )
