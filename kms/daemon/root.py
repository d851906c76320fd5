"""From settings to a root that recovers by itself."""

from __future__ import annotations

import logging
import os

from kms.daemon.settings import RootSettings
from kms.hsm.driver import DEFAULT, read_driver
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import Root, RootMisconfigured
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.recovery import RecoveringRoot
from kms.hsm.tokens import read_pin
from kms.hsm.uri import parse_uri

log = logging.getLogger(__name__)


def recovering_root(settings: RootSettings, check_value: bytes, *, makes_missing: bool = False) -> RecoveringRoot:
    """The root of these settings; nothing is opened or logged in to before the first call.

    With `makes_missing`, for kmsd alone, opening a root of an earlier release adds the keys that it lacks.
    """
    if settings.softhsm_conf is not None:
        # Read by the module when it is loaded, in this very process.
        os.environ["SOFTHSM2_CONF"] = str(settings.softhsm_conf)
    if settings.kind == "file":
        log.warning(
            "the root of all keys is a sealed FILE, not an HSM: whoever copies %s together with its passphrase or key"
            " file can open everything, for good; use a PKCS#11 token for anything but trying out",
            settings.root_file,
        )
        return RecoveringRoot(lambda: _open_file(settings, check_value, makes_missing))
    return RecoveringRoot(lambda: _open_token(settings, check_value, makes_missing))


def _open_token(settings: RootSettings, check_value: bytes, makes_missing: bool) -> Root:
    uri = parse_uri(settings.uri)
    pin_file = settings.pin_file or uri.pin_source
    if pin_file is None:
        raise RootMisconfigured("neither a PIN file nor a pin-source in the PKCS#11 URI says where the PIN is")
    driver = DEFAULT if settings.driver_file is None else read_driver(settings.driver_file)
    return PKCS11Root.open(uri, read_pin(pin_file), check_value, driver=driver, makes_missing=makes_missing)


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
