"""The root's keys in a token: what each may do, how it is made, found and looked over.

    label                     what                             made
    sealgate-root             root-soft, AES-256               with the root
    sealgate-root-mac         root-mac, HMAC-SHA256            with the root
    sealgate-root-audit       audit-sign, EC P-256, a pair     with the root, or when an older root is opened
    sealgate-root-strict      root-strict, AES-256             likewise, where the token enforces unwrap templates

One random CKA_ID is common to all of them, so that the set is exact however many roots a token comes to hold under one
label. Nothing is overwritten or changed, ever.

Templates are built from constants alone: python-pkcs11 0.10 frees uninitialised pointers when packing a template value
fails, which ends in a crash or in corrupted memory.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.util.ec import encode_named_curve_parameters

from kms.hsm.interface import RootMisconfigured
from kms.hsm.profiles import KEY_SIZE, unwraps_only_by_template
from kms.hsm.templates import UNWRAPPED_SECRET
from kms.hsm.uri import ROOT_ID_SIZE, TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Object, Session

    from kms.hsm.profiles import WrappingKey

log = logging.getLogger(__name__)

Template = dict[Attribute, object]

_KEPT_INSIDE: Final[Template] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}


def _strict(mechanism: Mechanism) -> Template:
    """One mechanism only, and not modifiable: else whoever has the PIN sets CKA_DECRYPT and decrypts wrapped keys."""
    return {**_KEPT_INSIDE, Attribute.MODIFIABLE: False, Attribute.ALLOWED_MECHANISMS: (mechanism,)}


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A root key: what its label ends in, its type, what it may do, by which templates it is made, the best first.

    `required` is what must hold for a key that is found, so that no holder of the PIN can turn the root or a wrapped
    key into bytes by it.
    """

    suffix: str
    object_class: ObjectClass
    key_type: KeyType
    capabilities: MechanismFlag
    templates: tuple[Template, ...]
    required: dict[Attribute, bool]

    def label(self, uri: TokenURI) -> str:
        return uri.label + self.suffix


_WRAPPING: Final[dict[Attribute, bool]] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.WRAP: True,
    Attribute.UNWRAP: True,
    Attribute.ENCRYPT: False,
    Attribute.DECRYPT: False,
}
_SIGNING: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True}
_WRAP_AND_UNWRAP: Final = MechanismFlag.WRAP | MechanismFlag.UNWRAP

# Vendors may refuse the two attributes that `_strict` adds; then the key is made without them.
ROOT: Final = KeyPlan(
    "",
    ObjectClass.SECRET_KEY,
    KeyType.AES,
    _WRAP_AND_UNWRAP,
    (_strict(Mechanism.AES_KEY_WRAP), _KEPT_INSIDE),
    _WRAPPING,
)
ROOT_MAC: Final = KeyPlan(
    "-mac",
    ObjectClass.SECRET_KEY,
    KeyType.GENERIC_SECRET,
    MechanismFlag.SIGN | MechanismFlag.VERIFY,
    (_strict(Mechanism.SHA256_HMAC), _KEPT_INSIDE),
    _SIGNING,
)
ROOT_STRICT: Final = KeyPlan(
    "-strict",
    ObjectClass.SECRET_KEY,
    KeyType.AES,
    _WRAP_AND_UNWRAP,
    tuple(
        {**template, Attribute.UNWRAP_TEMPLATE: UNWRAPPED_SECRET.packed}
        for template in (_strict(Mechanism.AES_KEY_WRAP), {**_KEPT_INSIDE, Attribute.MODIFIABLE: False})
    ),
    {**_WRAPPING, Attribute.MODIFIABLE: False},
)
AUDIT_SIGN: Final = KeyPlan(
    "-audit",
    ObjectClass.PRIVATE_KEY,
    KeyType.EC,
    MechanismFlag.SIGN | MechanismFlag.VERIFY,
    (_strict(Mechanism.ECDSA), _KEPT_INSIDE),
    _SIGNING,
)
_P256: Final = encode_named_curve_parameters("secp256r1")

_TEMPLATE_REFUSED = (
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.AttributeReadOnly,
    p11.TemplateInconsistent,
    p11.GeneralError,  # NSS, to CKA_ALLOWED_MECHANISMS of a key that is stored
)


def make_root_keys(session: Session, uri: TokenURI) -> bytes:
    """Make the keys every root has, under a fresh random id, which is returned; the session is read-write.

    Raises RootMisconfigured when keys of these labels exist, PKCS11Error; what was made is gone again then.
    """
    for plan in (ROOT, ROOT_MAC):
        if find_keys(session, plan, plan.label(uri), None):
            raise RootMisconfigured(
                f"token {uri.token!r} holds a key {plan.label(uri)!r} already, and it is not overwritten"
            )
    root_id: bytes = session.generate_random(ROOT_ID_SIZE * 8)
    root = _generate(session, ROOT, root_id, uri)
    try:
        _generate(session, ROOT_MAC, root_id, uri)
    except p11.PKCS11Error:
        root.destroy()  # it never wrapped anything; left behind it would block the next attempt
        raise
    return root_id


def make_missing_keys(session: Session, uri: TokenURI, root_id: bytes) -> None:
    """Make audit-sign and root-strict if this root lacks them and the token can; the session is read-write.

    What the token refuses is logged and left: the root serves without it. Raises PKCS11Error for anything else.
    """
    if not find_keys(session, AUDIT_SIGN, AUDIT_SIGN.label(uri), root_id):
        try:
            _generate_pair(session, AUDIT_SIGN, root_id, uri)
        except (*_TEMPLATE_REFUSED, p11.MechanismInvalid, p11.FunctionNotSupported, p11.DomainParamsInvalid) as error:
            log.warning("the token makes no P-256 key to sign the audit trail with: %s", type(error).__name__)
    if not find_keys(session, ROOT_STRICT, ROOT_STRICT.label(uri), root_id):
        _make_strict_root(session, uri, root_id)


def _make_strict_root(session: Session, uri: TokenURI, root_id: bytes) -> None:
    try:
        key = _generate(session, ROOT_STRICT, root_id, uri)
    except _TEMPLATE_REFUSED as error:
        log.info("the token makes no root for keys of protection hsm: %s", type(error).__name__)
        return
    if not unwraps_only_by_template(session, cast("WrappingKey", key)):
        key.destroy()
        log.info("the token does not enforce CKA_UNWRAP_TEMPLATE: keys of protection hsm are not offered")


def find_keys(session: Session, plan: KeyPlan, label: str, key_id: bytes | None) -> list[Object]:
    """All keys of that plan's type and that label, and id unless None. Raises PKCS11Error."""
    return _find(session, plan.object_class, plan.key_type, label, key_id)


def find_key(session: Session, plan: KeyPlan, uri: TokenURI, root_id: bytes | None) -> Object:
    """The one key, looked over. Raises RootMisconfigured for none, several, or one that protects nothing."""
    key = find_key_or_none(session, plan, uri, root_id)
    if key is None:
        raise RootMisconfigured(f"the token holds no keys {_name(plan.label(uri), root_id)}, one is needed")
    return key


def find_key_or_none(session: Session, plan: KeyPlan, uri: TokenURI, root_id: bytes | None) -> Object | None:
    """As `find_key`, but None when there is none."""
    keys = find_keys(session, plan, plan.label(uri), root_id)
    if len(keys) > 1:
        raise RootMisconfigured(f"the token holds {len(keys)} keys {_name(plan.label(uri), root_id)}, one is needed")
    for key in keys:
        _require(key, plan.required, plan.label(uri))
        return key
    return None


def find_root_id(session: Session, uri: TokenURI) -> bytes:
    """The URI's id, or the CKA_ID of the only root with its label."""
    if uri.root_id is not None:
        return uri.root_id
    root_id: bytes = find_key(session, ROOT, uri, None)[Attribute.ID]
    if len(root_id) != ROOT_ID_SIZE:
        raise RootMisconfigured(f"the CKA_ID of key {uri.label!r} has {len(root_id)} bytes, not {ROOT_ID_SIZE}")
    return root_id


def find_audit_point(session: Session, uri: TokenURI, root_id: bytes) -> bytes:
    """CKA_EC_POINT of audit-sign's public half: a DER OCTET STRING around the point, or from some tokens the point."""
    label = AUDIT_SIGN.label(uri)
    keys = _find(session, ObjectClass.PUBLIC_KEY, KeyType.EC, label, root_id)
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


def _name(label: str, key_id: bytes | None) -> str:
    return f"{label!r}" + (f" with id {key_id.hex()}" if key_id else "")


def _require(key: Object, attributes: dict[Attribute, bool], label: str) -> None:
    for attribute, wanted in attributes.items():
        if bool(key[attribute]) is not wanted:
            raise RootMisconfigured(
                f"key {label!r} has CKA_{attribute.name} {not wanted}: such a root protects nothing"
            )


def _generate(session: Session, plan: KeyPlan, root_id: bytes, uri: TokenURI) -> Object:
    """Generate a token object by the first template that the token accepts."""
    for template in plan.templates:
        try:
            return session.generate_key(
                plan.key_type,
                KEY_SIZE * 8,
                id=root_id,
                label=plan.label(uri),
                store=True,
                capabilities=plan.capabilities,
                template=template,
            )
        except _TEMPLATE_REFUSED as error:
            refused = error
    raise refused


def _generate_pair(session: Session, plan: KeyPlan, root_id: bytes, uri: TokenURI) -> None:
    """As `_generate`, for a pair on P-256."""
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
    for template in plan.templates:
        try:
            parameters.generate_keypair(
                id=root_id,
                label=plan.label(uri),
                store=True,
                capabilities=plan.capabilities,
                private_template=template,
            )
        except _TEMPLATE_REFUSED as error:
            refused = error
        else:
            return
    raise refused
