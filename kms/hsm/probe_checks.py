"""Each operation that the KMS could ask of a token, as a check: made ready, done, compared, cleaned up.

Where software can do the same the token's answer is compared with it: a mechanism that answers is not yet one that is
right.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from pkcs11 import MGF, Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.util.ec import encode_named_curve_parameters

from kms.hsm.cryptoki import Cryptoki
from kms.hsm.driver import Driver
from kms.hsm.held_key import agree
from kms.hsm.interface import PairKind, PrivateKeyType, WrappedPair
from kms.hsm.key_plan import KEPT_INSIDE, KeyPlan, strictly
from kms.hsm.profiles.key_wrap import as_mechanism, hold_under, unwraps_only_by_template, wrap_under
from kms.hsm.profiles.pair_wrap import (
    generate_pair_under,
    hold_private_under,
    padded,
    private_unwraps_only_by_template,
)
from kms.hsm.profiles.refusals import UNSUPPORTED
from kms.hsm.public_keys import CURVES, format_public_key, public_key_of_modulus, public_key_on
from kms.hsm.root_keys import strict_agreement_plan, strict_plan, strict_private_plan

if TYPE_CHECKING:
    from pkcs11.types import Session

_ED25519: Final = bytes.fromhex("06032b6570")  # OID 1.3.101.112
_RSA_PAIR: Final = PairKind(PrivateKeyType.RSA, bits=2048)
_CURVE_PAIR: Final = PairKind(PrivateKeyType.EC, "secp256r1")
_MESSAGE: Final = b"sealgate/v1/probe"
_DIGEST: Final = hashlib.sha256(_MESSAGE).digest()
_READABLE: Final = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


Tried = tuple[str, Callable[[], object] | None]


class Refused(Exception):
    """The token answered, and not as it should have; the message says how."""


@dataclass(slots=True)
class Bench:
    """A session to try things in; what is made through it is destroyed after each check."""

    session: Session
    cryptoki: Cryptoki
    driver: Driver
    made: list[Any] = field(default_factory=list)

    def keep(self, *objects: Any) -> Any:
        self.made.extend(objects)
        return objects[0]

    def clean_up(self) -> None:
        while self.made:
            with contextlib.suppress(p11.PKCS11Error):
                self.made.pop().destroy()

    def secret(self, value: bytes, key_type: KeyType = KeyType.GENERIC_SECRET, **usage: bool) -> Any:
        template = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: key_type,
            Attribute.TOKEN: False,
            Attribute.VALUE: value,
            **_READABLE,
            **{Attribute[name.upper()]: allowed for name, allowed in usage.items()},
        }
        return self.keep(self.session.create_object(template))

    def wrapping_key(self) -> Any:
        return self.keep(
            self.session.generate_key(
                KeyType.AES,
                256,
                store=False,
                capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
                template=KEPT_INSIDE,
            )
        )

    def curve_pair(self, parameters: bytes, key_type: KeyType = KeyType.EC) -> tuple[Any, Any]:
        domain = self.session.create_domain_parameters(key_type, {Attribute.EC_PARAMS: parameters}, local=True)
        public, private = domain.generate_keypair(store=False)
        self.keep(public, private)
        return public, private

    def rsa_pair(self, bits: int) -> tuple[rsa.RSAPublicKey, Any]:
        public, private = self.session.generate_keypair(KeyType.RSA, bits, store=False)
        self.keep(public, private)
        return public_key_of_modulus(public), private


@dataclass(frozen=True, slots=True)
class Check:
    """`try_it` raises PKCS11Error or Refused; else it returns what is to be known, and what to measure the rate of."""

    group: str
    name: str
    try_it: Callable[[Bench], Tried]


def _random(bench: Bench) -> Tried:
    _expect(len({bytes(bench.session.generate_random(256)) for _ in range(4)}) == 4, "it repeats itself")
    return "", lambda: bench.session.generate_random(256)


def _hmac(mechanism: Mechanism, hash_name: str) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        value = os.urandom(64)
        key = bench.secret(value, sign=True)
        expected = hmac.digest(value, _MESSAGE, hash_name)
        _expect(bytes(key.sign(_MESSAGE, mechanism=mechanism)) == expected, "the answer is wrong")
        return "", lambda: key.sign(_MESSAGE, mechanism=mechanism)

    return try_it


def _held_hmac(bench: Bench) -> Tried:
    """What protection hsm does for each data key."""
    value, wrapping_key = os.urandom(32), bench.wrapping_key()
    mechanism = as_mechanism(bench.driver.key_wrap_mechanism)
    key: Any = bench.keep(
        hold_under(wrapping_key, mechanism, wrap_under(bench.session, wrapping_key, mechanism, value))
    )
    expected = hmac.digest(value, _MESSAGE, "sha256")
    _expect(bytes(key.sign(_MESSAGE, mechanism=Mechanism.SHA256_HMAC)) == expected, "the answer is wrong")
    return "", lambda: key.sign(_MESSAGE, mechanism=Mechanism.SHA256_HMAC)


def _held_pair(kind: PairKind, *, is_made_inside: bool) -> Callable[[Bench], Tried]:
    """What protection hsm does for signatures: by a pair of the token's own, or of imported material."""

    def try_it(bench: Bench) -> Tried:
        wrapping_key, mechanism = bench.wrapping_key(), as_mechanism(bench.driver.key_wrap_mechanism)
        if is_made_inside:
            pair = generate_pair_under(bench.session, wrapping_key, mechanism, kind)
        else:
            pkcs8, public_key = _fresh_pair(kind)
            pair = WrappedPair(wrap_under(bench.session, wrapping_key, mechanism, padded(pkcs8)), public_key)
        key: Any = bench.keep(hold_private_under(wrapping_key, mechanism, pair.wrapped, kind.key_type))
        public = load_der_public_key(pair.public_key)
        if isinstance(public, ec.EllipticCurvePublicKey):
            signature = _as_der(bytes(key.sign(_DIGEST, mechanism=Mechanism.ECDSA)))
            _verify(lambda: public.verify(signature, _DIGEST, ec.ECDSA(Prehashed(hashes.SHA256()))))
            return "", lambda: key.sign(_DIGEST, mechanism=Mechanism.ECDSA)
        assert isinstance(public, rsa.RSAPublicKey)
        signature = bytes(key.sign(_MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS))
        _verify(lambda: public.verify(signature, _MESSAGE, padding.PKCS1v15(), hashes.SHA256()))
        return "", lambda: key.sign(_MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS)

    return try_it


def _fresh_pair(kind: PairKind) -> tuple[bytes, bytes]:
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if kind.key_type is PrivateKeyType.RSA:
        key = rsa.generate_private_key(65537, kind.bits)
    else:
        key = ec.generate_private_key(CURVES[kind.curve])
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return pkcs8, format_public_key(key.public_key())


def _wrap_length(number: int) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        wrapping_key, key, mechanism = bench.wrapping_key(), bench.secret(os.urandom(32)), as_mechanism(number)
        wrapped = wrapping_key.wrap_key(key, mechanism=mechanism)
        return f"32 bytes become {len(wrapped)}", lambda: wrapping_key.wrap_key(key, mechanism=mechanism)

    return try_it


def _unextractable(bench: Bench) -> Tried:
    wrapping_key, mechanism = bench.wrapping_key(), as_mechanism(bench.driver.key_wrap_mechanism)
    key = bench.keep(bench.session.generate_key(KeyType.AES, 256, store=False, template=KEPT_INSIDE))
    try:
        wrapping_key.wrap_key(key, mechanism=mechanism)
    except UNSUPPORTED:
        return "", None
    raise Refused("the token wraps keys that are not extractable")


def _unwrap_template(
    plan_of: Callable[[Driver], KeyPlan], is_enforced: Callable[[Session, Any, Mechanism], bool]
) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        plan = plan_of(bench.driver)
        key = bench.keep(
            bench.session.generate_key(
                plan.key_type, 256, store=False, capabilities=plan.capabilities, template=plan.templates[1]
            )
        )
        mechanism = as_mechanism(bench.driver.key_wrap_mechanism)
        _expect(is_enforced(bench.session, key, mechanism), "the token unwraps to what the template forbids")
        return "", None

    return try_it


def _allowed_mechanisms(bench: Bench) -> Tried:
    key = bench.keep(
        bench.session.generate_key(
            KeyType.AES,
            256,
            store=False,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template=strictly(Mechanism.AES_CBC_PAD),
        )
    )
    key.encrypt(_MESSAGE, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=bytes(16))
    try:
        key.encrypt(bytes(16), mechanism=Mechanism.AES_ECB)
    except p11.PKCS11Error:
        return "", None
    raise Refused("a key does by other mechanisms what it was made to do by one")


def _ecdsa(curve: ec.EllipticCurve) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        public, private = bench.curve_pair(encode_named_curve_parameters(curve.name))
        signature = _as_der(bytes(private.sign(_DIGEST, mechanism=Mechanism.ECDSA)))
        key = public_key_on(curve, public[Attribute.EC_POINT])
        _verify(lambda: key.verify(signature, _DIGEST, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return "", lambda: private.sign(_DIGEST, mechanism=Mechanism.ECDSA)

    return try_it


def _as_der(signature: bytes) -> bytes:
    """Of r ‖ s."""
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def _ecdh(curve: ec.EllipticCurve) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        public, private = bench.curve_pair(encode_named_curve_parameters(curve.name))
        peer = ec.generate_private_key(curve)
        point = peer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        handles = bench.session.handle, private.handle  # type: ignore[attr-defined]
        agreed = agree(bench.cryptoki, *handles, point)
        _expect(agreed == peer.exchange(ec.ECDH(), public_key_on(curve, public[Attribute.EC_POINT])), "it is wrong")
        return "", lambda: agree(bench.cryptoki, *handles, point)

    return try_it


def _eddsa(bench: Bench) -> Tried:
    public, private = bench.curve_pair(_ED25519, KeyType.EC_EDWARDS)
    signature = bytes(private.sign(_MESSAGE, mechanism=Mechanism.EDDSA))
    key = Ed25519PublicKey.from_public_bytes(bytes(public[Attribute.EC_POINT])[-32:])
    _verify(lambda: key.verify(signature, _MESSAGE))
    return "", lambda: private.sign(_MESSAGE, mechanism=Mechanism.EDDSA)


def _rsa_pkcs1(bits: int) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        public, private = bench.rsa_pair(bits)
        signature = bytes(private.sign(_MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS))
        _verify(lambda: public.verify(signature, _MESSAGE, padding.PKCS1v15(), hashes.SHA256()))
        return "", lambda: private.sign(_MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS)

    return try_it


def _rsa_pss(bench: Bench) -> Tried:
    public, private = bench.rsa_pair(2048)
    parameters = (Mechanism.SHA256, MGF.SHA256, 32)
    signature = bytes(private.sign(_MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=parameters))
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    _verify(lambda: public.verify(signature, _MESSAGE, scheme, hashes.SHA256()))
    return "", None


def _rsa_oaep(hash_mechanism: Mechanism, mgf: MGF, algorithm: hashes.HashAlgorithm) -> Callable[[Bench], Tried]:
    def try_it(bench: Bench) -> Tried:
        public, private = bench.rsa_pair(2048)
        sealed = public.encrypt(_DIGEST, padding.OAEP(padding.MGF1(algorithm), algorithm, None))
        parameters = (hash_mechanism, mgf, None)

        def decrypt() -> bytes:
            return bytes(private.decrypt(sealed, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=parameters))

        _expect(decrypt() == _DIGEST, "the answer is wrong")
        return "", decrypt

    return try_it


def _expect(is_right: bool, otherwise: str) -> None:
    if not is_right:
        raise Refused(otherwise)


def _verify(verify: Callable[[], None]) -> None:
    try:
        verify()
    except InvalidSignature:
        raise Refused("the signature is wrong") from None


CHECKS: Final = (
    Check(
        "what keeps keys inside", "unwrap template enforced", _unwrap_template(strict_plan, unwraps_only_by_template)
    ),
    Check(
        "what keeps keys inside",
        "unwrap template enforced for private keys",
        _unwrap_template(strict_private_plan, partial(private_unwraps_only_by_template, key_type=PrivateKeyType.EC)),
    ),
    Check(
        "what keeps keys inside",
        "unwrap template enforced for ECDH",
        _unwrap_template(
            strict_agreement_plan, partial(private_unwraps_only_by_template, key_type=PrivateKeyType.EC_AGREEMENT)
        ),
    ),
    Check("what keeps keys inside", "unextractable keys never wrapped", _unextractable),
    Check("what keeps keys inside", "allowed mechanisms enforced", _allowed_mechanisms),
    Check("what keeps keys inside", "HMAC by an unwrapped key", _held_hmac),
    Check("what keeps keys inside", "RSA by an imported pair", _held_pair(_RSA_PAIR, is_made_inside=False)),
    Check("what keeps keys inside", "RSA by a pair of its own", _held_pair(_RSA_PAIR, is_made_inside=True)),
    Check("what keeps keys inside", "ECDSA by an imported pair", _held_pair(_CURVE_PAIR, is_made_inside=False)),
    Check("what keeps keys inside", "ECDSA by a pair of its own", _held_pair(_CURVE_PAIR, is_made_inside=True)),
    Check("wrapping", "0x2109 CKM_AES_KEY_WRAP", _wrap_length(0x2109)),
    Check("wrapping", "0x210A CKM_AES_KEY_WRAP_PAD", _wrap_length(0x210A)),
    Check("wrapping", "0x210B CKM_AES_KEY_WRAP_KWP", _wrap_length(0x210B)),
    Check("HMAC", "SHA-224", _hmac(Mechanism.SHA224_HMAC, "sha224")),
    Check("HMAC", "SHA-256", _hmac(Mechanism.SHA256_HMAC, "sha256")),
    Check("HMAC", "SHA-384", _hmac(Mechanism.SHA384_HMAC, "sha384")),
    Check("HMAC", "SHA-512", _hmac(Mechanism.SHA512_HMAC, "sha512")),
    Check("signatures", "ECDSA P-256", _ecdsa(ec.SECP256R1())),
    Check("signatures", "ECDSA P-384", _ecdsa(ec.SECP384R1())),
    Check("signatures", "ECDSA P-521", _ecdsa(ec.SECP521R1())),
    Check("signatures", "ECDSA secp256k1", _ecdsa(ec.SECP256K1())),
    Check("signatures", "Ed25519", _eddsa),
    Check("signatures", "RSA 2048 PKCS #1", _rsa_pkcs1(2048)),
    Check("signatures", "RSA 3072 PKCS #1", _rsa_pkcs1(3072)),
    Check("signatures", "RSA 4096 PKCS #1", _rsa_pkcs1(4096)),
    Check("signatures", "RSA 2048 PSS", _rsa_pss),
    Check("key agreement", "ECDH P-256", _ecdh(ec.SECP256R1())),
    Check("key agreement", "ECDH P-384", _ecdh(ec.SECP384R1())),
    Check("key agreement", "ECDH P-521", _ecdh(ec.SECP521R1())),
    Check("decryption", "RSA 2048 OAEP SHA-1", _rsa_oaep(Mechanism.SHA_1, MGF.SHA1, hashes.SHA1())),  # noqa: S303
    Check("decryption", "RSA 2048 OAEP SHA-256", _rsa_oaep(Mechanism.SHA256, MGF.SHA256, hashes.SHA256())),
    Check("token", "random bytes", _random),
)
