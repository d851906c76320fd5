"""The root's keys in a token: what each may do, how it is made, found and looked over.

    label                     what                             made
    sealgate-root             root-soft                        with the root
    sealgate-root-mac         root-mac, HMAC-SHA256            with the root
    sealgate-root-audit       audit-sign, EC P-256, a pair     with the root, or when an older root is opened
    sealgate-root-strict      root-strict, AES-256             likewise, where the token enforces unwrap templates
    …-strict-private          the same, for private keys       likewise
    …-strict-agreement        the same, for keys of ECDH       likewise

The root key's CKA_ID is 16 random bytes; those of the others begin with it and end in what their labels end in, so that
the set is exact however many roots a token comes to hold under one label. In tokens of the first release all have the
same CKA_ID, which NSS would take for one key, and overwrite. Nothing is overwritten or changed, ever.
The root key itself is as its wrapping profile plans it (kms/hsm/profiles): an AES key that wraps, in tokens that can.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.util.ec import encode_named_curve_parameters

from kms.hsm.driver import Driver, StrictRoot
from kms.hsm.interface import KEY_SIZE, PrivateKeyType, RootMisconfigured
from kms.hsm.key_plan import KeyPlan, Template, templates, wrapping_plan
from kms.hsm.profiles.key_wrap import as_mechanism, unwraps_only_by_template, unwraps_to_kept
from kms.hsm.profiles.pair_wrap import private_unwraps_only_by_template
from kms.hsm.profiles.refusals import UNSUPPORTED
from kms.hsm.profiles.rsa_oaep import MODULUS_BITS
from kms.hsm.templates import UNWRAPPED_AGREEMENT, UNWRAPPED_PRIVATE, UNWRAPPED_SECRET, PackedTemplate
from kms.hsm.uri import ROOT_ID_SIZE, TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Object, Session

    from kms.hsm.profiles.interface import WrappingKey

log = logging.getLogger(__name__)

_SIGNING: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True}

ROOT_MAC: Final = KeyPlan(
    "-mac",
    ObjectClass.SECRET_KEY,
    KeyType.GENERIC_SECRET,
    MechanismFlag.SIGN | MechanismFlag.VERIFY,
    templates(Mechanism.SHA256_HMAC),
    _SIGNING,
)
AUDIT_SIGN: Final = KeyPlan(
    "-audit",
    ObjectClass.PRIVATE_KEY,
    KeyType.EC,
    MechanismFlag.SIGN | MechanismFlag.VERIFY,
    templates(Mechanism.ECDSA),
    _SIGNING,
)


def strict_plan(driver: Driver) -> KeyPlan:
    """root-strict: what it unwraps, it unwraps by template, to secret keys."""
    return _by_template(driver, "-strict", UNWRAPPED_SECRET)


def strict_private_plan(driver: Driver) -> KeyPlan:
    """root-strict-private: likewise, to private keys."""
    return _by_template(driver, "-strict-private", UNWRAPPED_PRIVATE)


def strict_agreement_plan(driver: Driver) -> KeyPlan:
    """root-strict-agreement: likewise, to private keys for ECDH."""
    return _by_template(driver, "-strict-agreement", UNWRAPPED_AGREEMENT)


def _by_template(driver: Driver, suffix: str, unwrapped: PackedTemplate) -> KeyPlan:
    plan = wrapping_plan(driver.key_wrap_mechanism, suffix)
    by_template = tuple({**template, Attribute.UNWRAP_TEMPLATE: unwrapped.packed} for template in plan.templates)
    if driver.strict_root is StrictRoot.UNENFORCED:
        by_template += plan.templates
    return replace(plan, templates=by_template)


_SUFFIXES: Final = ("", ROOT_MAC.suffix, AUDIT_SIGN.suffix, "-strict", "-strict-private", "-strict-agreement")
"""Of the labels of all keys that a root can have."""

_P256: Final = encode_named_curve_parameters("secp256r1")

_TEMPLATE_REFUSED = (
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.AttributeReadOnly,
    p11.TemplateInconsistent,
    p11.GeneralError,  # NSS, to CKA_ALLOWED_MECHANISMS of a key that is stored
)


def make_root_keys(session: Session, uri: TokenURI, plan: KeyPlan) -> bytes:
    """Make the keys every root has, root-soft by `plan`, under a fresh random id, which is returned.

    The session is read-write.

    Raises RootMisconfigured when keys of these labels exist, PKCS11Error; what was made is gone again then.
    """
    for label in (uri.label, uri.mac_label):
        if list(session.get_objects({Attribute.LABEL: label})):
            raise RootMisconfigured(f"token {uri.token!r} holds a key {label!r} already, and it is not overwritten")
    root_id: bytes = session.generate_random(ROOT_ID_SIZE * 8)
    made = _generate_stored(session, plan, uri, root_id)
    try:
        _generate_stored(session, ROOT_MAC, uri, root_id)
    except p11.PKCS11Error:
        for key in made:
            key.destroy()  # it never wrapped anything; left behind it would block the next attempt
        raise
    return root_id


def complete_root_keys(session: Session, uri: TokenURI, root_id: bytes, plan: KeyPlan) -> None:
    """Make the keys every root has under a known id, root-soft by `plan`, as far as they are not there.

    Raises PKCS11Error.
    """
    for each in (plan, ROOT_MAC):
        if not find_keys(session, each, uri, root_id):
            _generate_stored(session, each, uri, root_id)


def destroy_root_keys(session: Session, uri: TokenURI, root_id: bytes) -> int:
    """Destroy every key of the root of that id; how many objects there were. Raises PKCS11Error."""
    destroyed = 0
    for suffix in _SUFFIXES:
        for key_id in {root_id, root_id + suffix.encode()}:
            template = {Attribute.LABEL: uri.label + suffix, Attribute.ID: key_id}
            for key in list(session.get_objects(template)):
                key.destroy()
                destroyed += 1
    return destroyed


def make_missing_keys(session: Session, uri: TokenURI, root_id: bytes, driver: Driver) -> None:
    """Make audit-sign and root-strict if this root lacks them and the token can; the session is read-write.

    What the token refuses is logged and left: the root serves without it. Raises PKCS11Error for anything else.
    """
    if not find_keys(session, AUDIT_SIGN, uri, root_id):
        try:
            _generate_stored(session, AUDIT_SIGN, uri, root_id)
        except (*UNSUPPORTED, p11.DomainParamsInvalid, p11.GeneralError) as error:
            log.warning("the token makes no P-256 key to sign the audit trail with: %s", type(error).__name__)
    for plan, can in (
        (strict_plan(driver), can_hold),
        (strict_private_plan(driver), partial(can_hold_private, key_type=PrivateKeyType.EC)),
        (strict_agreement_plan(driver), partial(can_hold_private, key_type=PrivateKeyType.EC_AGREEMENT)),
    ):
        if find_keys(session, plan, uri, root_id):
            continue
        try:
            (key,) = _generate_stored(session, plan, uri, root_id)
            if not can(session, cast("WrappingKey", key), driver):
                key.destroy()
                log.info("the token holds no keys of protection hsm under a key %r", uri.label + plan.suffix)
        except (*UNSUPPORTED, p11.GeneralError) as error:
            log.info("the token makes no key %r: %s", uri.label + plan.suffix, type(error).__name__)


def can_hold(session: Session, root_strict: WrappingKey, driver: Driver) -> bool:
    """Whether what this key wraps can be kept inside, as far as the driver asks for that."""
    mechanism = as_mechanism(driver.key_wrap_mechanism)
    if driver.strict_root is StrictRoot.UNENFORCED:
        return unwraps_to_kept(session, root_strict, mechanism)
    return unwraps_only_by_template(session, root_strict, mechanism)


def can_hold_private(session: Session, wrapping_key: WrappingKey, driver: Driver, *, key_type: PrivateKeyType) -> bool:
    """The same of private keys; where nothing is enforced, it shows when one is to be held."""
    if driver.strict_root is StrictRoot.UNENFORCED:
        return True
    mechanism = as_mechanism(driver.key_wrap_mechanism)
    return private_unwraps_only_by_template(session, wrapping_key, mechanism, key_type)


def find_keys(session: Session, plan: KeyPlan, uri: TokenURI, root_id: bytes) -> list[Object]:
    """All keys of that plan that belong to the root of that id. Raises PKCS11Error."""
    label = uri.label + plan.suffix
    for key_id in (_key_id(root_id, plan), root_id):
        keys = _find(session, plan.object_class, plan.key_type, label, key_id)
        if keys:
            return keys
    return []


def find_root(session: Session, uri: TokenURI, root_id: bytes | None) -> Object:
    """root-soft, of whatever type, not looked over. Raises RootMisconfigured for none or several."""
    keys = [
        key
        for object_class, key_type in ((ObjectClass.SECRET_KEY, KeyType.AES), (ObjectClass.PRIVATE_KEY, KeyType.RSA))
        for key in _find(session, object_class, key_type, uri.label, root_id)
    ]
    if len(keys) != 1:
        raise RootMisconfigured(f"the token holds {len(keys) or 'no'} keys {_name(uri.label, root_id)}, one is needed")
    return keys[0]


def find_key(session: Session, plan: KeyPlan, uri: TokenURI, root_id: bytes) -> Object:
    """The one key, looked over. Raises RootMisconfigured for none, several, or one that protects nothing."""
    key = find_key_or_none(session, plan, uri, root_id)
    if key is None:
        raise RootMisconfigured(f"the token holds no keys {_name(uri.label + plan.suffix, root_id)}, one is needed")
    return key


def find_key_or_none(session: Session, plan: KeyPlan, uri: TokenURI, root_id: bytes) -> Object | None:
    """As `find_key`, but None when there is none."""
    label = uri.label + plan.suffix
    keys = find_keys(session, plan, uri, root_id)
    if len(keys) > 1:
        raise RootMisconfigured(f"the token holds {len(keys)} keys {_name(label, root_id)}, one is needed")
    for key in keys:
        require(key, plan, label)
        return key
    return None


def find_root_id(session: Session, uri: TokenURI) -> bytes:
    """The URI's id, or the CKA_ID of the only root with its label."""
    if uri.root_id is not None:
        return uri.root_id
    root_id: bytes = find_root(session, uri, None)[Attribute.ID]
    if len(root_id) != ROOT_ID_SIZE:
        raise RootMisconfigured(f"the CKA_ID of key {uri.label!r} has {len(root_id)} bytes, not {ROOT_ID_SIZE}")
    return root_id


def find_audit_point(session: Session, uri: TokenURI, root_id: bytes) -> bytes:
    """CKA_EC_POINT of audit-sign's public half: a DER OCTET STRING around the point, or from some tokens the point."""
    label = uri.label + AUDIT_SIGN.suffix
    keys = find_keys(session, replace(AUDIT_SIGN, object_class=ObjectClass.PUBLIC_KEY), uri, root_id)
    if len(keys) != 1:
        raise RootMisconfigured(f"the token holds {len(keys) or 'no'} public keys {_name(label, root_id)}")
    point: bytes = keys[0][Attribute.EC_POINT]
    return point


def _find(
    session: Session, object_class: ObjectClass, key_type: KeyType, label: str, key_id: bytes | None
) -> list[Object]:
    template = {Attribute.CLASS: object_class, Attribute.KEY_TYPE: key_type, Attribute.LABEL: label}
    if key_id is not None:
        template[Attribute.ID] = key_id
    return list(session.get_objects(template))


def _key_id(root_id: bytes, plan: KeyPlan) -> bytes:
    return root_id + plan.suffix.encode()


def _name(label: str, key_id: bytes | None) -> str:
    return f"{label!r}" + (f" with id {key_id.hex()}" if key_id else "")


def require(key: Object, plan: KeyPlan, label: str) -> None:
    """Raises RootMisconfigured for a key that is not as planned."""
    for attribute, wanted in plan.required.items():
        if bool(key[attribute]) is not wanted:
            raise RootMisconfigured(
                f"key {label!r} has CKA_{attribute.name} {not wanted}: such a root protects nothing"
            )


def _generate_stored(session: Session, plan: KeyPlan, uri: TokenURI, root_id: bytes) -> tuple[Object, ...]:
    return generate(session, plan, _key_id(root_id, plan), uri.label + plan.suffix)


def generate(
    session: Session, plan: KeyPlan, key_id: bytes, label: str, *, is_stored: bool = True
) -> tuple[Object, ...]:
    """Generate a key, or a pair with the private key first, by the first template that the token accepts."""
    refused: p11.PKCS11Error | None = None
    for template in plan.templates:
        try:
            if plan.object_class is ObjectClass.PRIVATE_KEY:
                return _generate_pair(session, plan, template, id=key_id, label=label, store=is_stored)
            key = session.generate_key(
                plan.key_type,
                KEY_SIZE * 8,
                id=key_id,
                label=label,
                store=is_stored,
                capabilities=plan.capabilities,
                template=template,
            )
            return (key,)
        except _TEMPLATE_REFUSED as error:
            refused = error
    assert refused is not None
    raise refused


def _generate_pair(session: Session, plan: KeyPlan, template: Template, **arguments: Any) -> tuple[Object, ...]:
    arguments |= {"capabilities": plan.capabilities, "private_template": template}
    if plan.key_type is KeyType.EC:
        parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
        public, private = parameters.generate_keypair(**arguments)
    else:
        public, private = session.generate_keypair(KeyType.RSA, MODULUS_BITS, **arguments)
    return private, public
