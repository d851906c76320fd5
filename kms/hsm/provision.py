"""What `sealgate init` does once: find SoftHSM2, make a token, make the root keys in it (or in any PKCS#11 token).

SoftHSM2 reads the file named by SOFTHSM2_CONF at every C_Initialize; without it, the system's own configuration. So
that variable must be in the environment of each process that loads the module, before it does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, TokenFlag
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.check_value import make_check_value
from kms.hsm.description import RootDescription, TokenDescription
from kms.hsm.errors import translate
from kms.hsm.interface import RootMisconfigured
from kms.hsm.module import Module, load
from kms.hsm.pkcs11 import PKCS11Root, find_keys
from kms.hsm.profiles import KEY_SIZE
from kms.hsm.tokens import find_token, log_in, pin_text, token_serial
from kms.hsm.uri import ROOT_ID_SIZE, TokenURI, format_uri

if TYPE_CHECKING:
    from pkcs11.types import Object, Session

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


@dataclass(frozen=True, slots=True)
class _KeyPlan:
    """A root key to be made: its type, what it may do, and by which templates, the best first.

    Templates are constants: a value that python-pkcs11 fails to pack corrupts memory (kms/hsm/profiles.py).
    """

    key_type: KeyType
    capabilities: MechanismFlag
    templates: tuple[dict[Attribute, object], ...]


_KEPT_INSIDE: Final[dict[Attribute, object]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}


def _strict(mechanism: Mechanism) -> dict[Attribute, object]:
    """One mechanism only, and not modifiable: else whoever has the PIN sets CKA_DECRYPT and decrypts wrapped keys."""
    return {**_KEPT_INSIDE, Attribute.MODIFIABLE: False, Attribute.ALLOWED_MECHANISMS: (mechanism,)}


# Vendors may refuse the two attributes that `_strict` adds; then the key is made without them.
_ROOT: Final = _KeyPlan(
    KeyType.AES, MechanismFlag.WRAP | MechanismFlag.UNWRAP, (_strict(Mechanism.AES_KEY_WRAP), _KEPT_INSIDE)
)
_ROOT_MAC: Final = _KeyPlan(
    KeyType.GENERIC_SECRET, MechanismFlag.SIGN | MechanismFlag.VERIFY, (_strict(Mechanism.SHA256_HMAC), _KEPT_INSIDE)
)
_TEMPLATE_REFUSED = (
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.AttributeReadOnly,
    p11.TemplateInconsistent,
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


def provision_root(uri: TokenURI, pin: SecretBytes) -> RootDescription:
    """Make the root key and root-mac in the token the URI names, under a fresh random id that both share.

    The URI's `root_id` is ignored. One id for both makes the pair exact, however many roots a token comes to hold
    under one label. Refuses (RootMisconfigured) when keys of these labels exist; nothing is overwritten, ever.
    """
    module = load(uri.module_path)
    module.ready()
    try:
        with module.calls():
            token = find_token(module, uri)
            session = log_in(token, pin, rw=True)
            try:
                root_id = _make_keys(session, uri)
            finally:
                session.close()
    except p11.PKCS11Error as error:
        raise translate(error, f"making root keys in token {uri.token!r}") from error
    return _describe(replace(uri, serial=token_serial(token), root_id=root_id), pin)


def _describe(uri: TokenURI, pin: SecretBytes) -> RootDescription:
    assert uri.serial is not None
    assert uri.root_id is not None
    root = PKCS11Root.open(uri, pin)
    try:
        return RootDescription(
            root_id=uri.root_id,
            label=uri.label,
            mac_label=uri.mac_label,
            serial=uri.serial,
            check_value=make_check_value(root),
            uri=format_uri(uri),
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


def _make_keys(session: Session, uri: TokenURI) -> bytes:
    for plan, label in ((_ROOT, uri.label), (_ROOT_MAC, uri.mac_label)):
        if find_keys(session, plan.key_type, label, None):
            raise RootMisconfigured(f"token {uri.token!r} holds a key {label!r} already, and it is not overwritten")
    root_id = session.generate_random(ROOT_ID_SIZE * 8)
    root = _generate(session, _ROOT, root_id, uri.label)
    try:
        _generate(session, _ROOT_MAC, root_id, uri.mac_label)
    except p11.PKCS11Error:
        root.destroy()  # it never wrapped anything; left behind it would block the next attempt
        raise
    return root_id


def _generate(session: Session, plan: _KeyPlan, root_id: bytes, label: str) -> Object:
    """Generate a token object by the first template that the token accepts."""
    for template in plan.templates:
        try:
            return session.generate_key(
                plan.key_type,
                KEY_SIZE * 8,
                id=root_id,
                label=label,
                store=True,
                capabilities=plan.capabilities,
                template=template,
            )
        except _TEMPLATE_REFUSED as error:
            refused = error
    raise refused
