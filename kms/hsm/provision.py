"""What `sealgate init` does once: find SoftHSM2, make a token, make the root keys in it (or in any PKCS#11 token).

SoftHSM2 reads the file named by SOFTHSM2_CONF at every C_Initialize; without it, the system's own configuration. So
that variable must be in the environment of each process that loads the module, before it does.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pkcs11 import TokenFlag
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.check_value import make_check_value
from kms.hsm.description import RootDescription, TokenDescription, audit_public_key_or_none
from kms.hsm.driver import DEFAULT, Driver
from kms.hsm.errors import translate
from kms.hsm.interface import RootMisconfigured
from kms.hsm.module import Module, load
from kms.hsm.pkcs11 import PKCS11Root
from kms.hsm.rehearsal import find_profile
from kms.hsm.root_keys import make_missing_keys, make_root_keys
from kms.hsm.tokens import find_token, log_in, pin_text, token_serial
from kms.hsm.uri import TokenURI, format_uri

SOFTHSM_ENVIRONMENT = "SOFTHSM2_CONF"
MODULE_ENVIRONMENT = "SEALGATE_SOFTHSM_MODULE"
TOKEN_LABEL_SIZE = 32

_SOFTHSM_PATHS = (
    "/usr/lib/softhsm/libsofthsm2.so",  # Debian, Ubuntu
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",  # Fedora, RHEL
    "/usr/lib64/softhsm/libsofthsm.so",  # openSUSE
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",  # built from source; Homebrew on Intel
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",  # Homebrew on Apple silicon
)


def find_softhsm() -> Path | None:
    """The SoftHSM2 module: what SEALGATE_SOFTHSM_MODULE names, if it is set, or where packages put it."""
    override = os.environ.get(MODULE_ENVIRONMENT)
    candidates = (override,) if override else _SOFTHSM_PATHS
    return next((Path(path) for path in candidates if Path(path).is_file()), None)


def write_softhsm_config(directory: Path) -> Path:
    """Write `directory`/softhsm2.conf for tokens in `directory`/tokens; return its absolute path.

    The paths inside are absolute, as SoftHSM wants them: call again after the directory was moved.
    """
    directory = directory.resolve()
    tokens, config = directory / "tokens", directory / "softhsm2.conf"
    if any(character in str(tokens) for character in "\n\r#"):
        raise RootMisconfigured(f"SoftHSM's configuration cannot name the directory {str(directory)!r}")
    for private in (directory, tokens):
        private.mkdir(mode=0o700, exist_ok=True)
        private.chmod(0o700)
    temporary = config.with_suffix(".new")
    temporary.write_text(
        "# Written by sealgate init. Named by SOFTHSM2_CONF in the environment of the key process.\n"
        f"directories.tokendir = {tokens}\n"
        "objectstore.backend = file\n"
        "log.level = ERROR\n"
        "slots.removable = false\n"
        "library.reset_on_fork = true\n"  # as hardware behaves: a forked child must not share sessions
    )
    temporary.chmod(0o600)
    temporary.replace(config)
    return config


def create_softhsm_token(
    directory: Path, label: str, so_pin: SecretBytes, pin: SecretBytes, module: Path
) -> TokenDescription:
    """Make a token in a SoftHSM of its own below `directory`, and point this process's SOFTHSM2_CONF to it.

    Refuses (RootMisconfigured) when a token of that label is there already. Not atomic: a failure may leave a token
    without PIN, in a directory that the caller then removes.
    """
    config = write_softhsm_config(directory)
    os.environ[SOFTHSM_ENVIRONMENT] = str(config)
    loaded = load(module)
    loaded.suspect(loaded.generation)  # the module may have been initialised with another configuration
    loaded.ready()
    serial = initialise_token(loaded, label, so_pin, pin)
    return TokenDescription(label=label, serial=serial, module=module, config=config)


def initialise_token(module: Module, label: str, so_pin: SecretBytes, pin: SecretBytes) -> str:
    """Initialise the first slot that holds an uninitialised token, set both PINs; return the new token's serial.

    Never touches an initialised token. Raises RootMisconfigured.
    """
    if not 1 <= len(label.encode()) <= TOKEN_LABEL_SIZE or label != label.strip():
        raise RootMisconfigured(f"a token's label has 1 to {TOKEN_LABEL_SIZE} bytes and no space around it")
    try:
        with module.calls():
            module.init_token(_free_slot(module, label), so_pin.reveal(), label)
        # Modules list a new token reliably only after they were initialised anew.
        module.suspect(module.generation)
        module.ready()
        with module.calls():
            token = find_token(module, TokenURI(module.path, label))
            session = token.open(rw=True, so_pin=pin_text(so_pin))
            try:
                session.init_pin(pin_text(pin))
            finally:
                session.close()
            return token_serial(token)
    except p11.PKCS11Error as error:
        raise translate(error, f"initialising token {label!r}") from error


def provision_root(uri: TokenURI, pin: SecretBytes, driver: Driver = DEFAULT) -> RootDescription:
    """Make the root's keys (kms/hsm/root_keys.py) in the token the URI names, under a fresh random id that all share.

    How it wraps is what the token does best, or what the driver profile says, in either case tried first with keys that
    are not stored. The URI's `root_id` is ignored.

    Refuses (RootMisconfigured) when keys of these labels exist; nothing is overwritten, ever.
    """
    module = load(uri.module_path, driver)
    module.ready()
    try:
        with module.calls():
            token = find_token(module, uri)
            session = log_in(token, pin, rw=True)
            try:
                profile = find_profile(session, module.cryptoki, driver)
                root_id = make_root_keys(session, uri, profile.plan)
                make_missing_keys(session, uri, root_id, driver)
            finally:
                session.close()
    except p11.PKCS11Error as error:
        raise translate(error, f"making root keys in token {uri.token!r}") from error
    return describe_root(replace(uri, serial=token_serial(token), root_id=root_id), pin, driver)


def describe_root(uri: TokenURI, pin: SecretBytes, driver: Driver) -> RootDescription:
    """Open the root that was just made, at a URI with serial and id, and make its check value. Raises RootError."""
    assert uri.serial is not None
    assert uri.root_id is not None
    root = PKCS11Root.open(uri, pin, driver=driver)
    try:
        return RootDescription(
            root_id=uri.root_id,
            label=uri.label,
            mac_label=uri.mac_label,
            profile=root.identity.profile,
            serial=uri.serial,
            check_value=make_check_value(root),
            uri=format_uri(uri),
            audit_public_key=audit_public_key_or_none(root),
        )
    finally:
        root.close()


def _free_slot(module: Module, label: str) -> int:
    """The first slot whose token is not initialised."""
    free = []
    for slot in module.slots():
        try:
            token = slot.get_token()
        except (p11.TokenNotPresent, p11.TokenNotRecognised):
            continue
        if not token.flags & TokenFlag.TOKEN_INITIALIZED:
            free.append(slot.slot_id)
        elif token.label == label:
            raise RootMisconfigured(f"a token labelled {label!r} exists already, and is not overwritten")
    if not free:
        raise RootMisconfigured("the module has no slot with a token that could be initialised")
    return free[0]
