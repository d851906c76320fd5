"""JSON Web Tokens as identity providers sign them: compact JWS over claims, and the key sets that verify it.

Asymmetric algorithms alone: no token chooses `none`, nor a secret that two parties would share. Sources: RFC 7515
(compact serialisation, §3.1, §5.2), RFC 7517 (key sets), RFC 7518 (algorithms, §3.3-3.5, §6), RFC 7519 (claims), RFC
8725 (what to look at). The cryptography is that of `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

MAX_TOKEN_CHARACTERS: Final = 20_000
"""STS API Reference, AssumeRoleWithWebIdentity."""
MAX_KEYS: Final = 100
"""Of a key set."""
MAX_TRIED: Final = 8
"""Keys that are tried where a token does not say which one signed it."""
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
_MAX_RSA_EXPONENT = 1 << 32

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}


class NotAToken(Exception):
    """The text is no JSON Web Token, or one of an algorithm that is not taken."""


class NotVerified(Exception):
    """None of the keys signed it."""


class NotAKeySet(Exception):
    """The document is no JSON Web Key Set."""


PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of a key set. `key_id` and `algorithm` None: the set does not tell."""

    key_id: str | None
    algorithm: str | None
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class JSONWebToken:
    """What a token says, and the signature that is not verified yet."""

    algorithm: str
    key_id: str | None
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes

    def verify(self, keys: Sequence[VerificationKey]) -> None:
        """Raises NotVerified unless one of the keys signed it: the one that it names, if it names one."""
        suitable = [
            key
            for key in keys
            if (self.key_id is None or key.key_id == self.key_id) and key.algorithm in {None, self.algorithm}
        ]
        check = _ALGORITHMS[self.algorithm]
        for key in suitable[:MAX_TRIED]:
            try:
                check(key.public_key, self.signature, self.signed)
            except InvalidSignature:
                continue
            return
        raise NotVerified


def parse_token(text: str) -> JSONWebToken:
    """Raises NotAToken, and nothing else whatever the text is."""
    segments = text.split(".") if len(text) <= MAX_TOKEN_CHARACTERS else ()
    if len(segments) != 3:
        raise NotAToken
    header, claims = (_object(_decode(segment)) for segment in segments[:2])
    algorithm, key_id = header.get("alg"), header.get("kid")
    # An extension that must be understood is one that is not (RFC 7515, §4.1.11).
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS or "crit" in header:
        raise NotAToken
    if key_id is not None and not isinstance(key_id, str):
        raise NotAToken
    signed = f"{segments[0]}.{segments[1]}".encode("ascii")
    return JSONWebToken(algorithm, key_id, claims, signed, _decode(segments[2]))


def parse_key_set(document: bytes) -> tuple[VerificationKey, ...]:
    """The keys of a set that can verify a token; those of other kinds, or for another use, are passed over (RFC 7517,
    §5). Raises NotAKeySet, and nothing else whatever the document is."""
    try:
        keys = _object(document).get("keys")
    except NotAToken:
        raise NotAKeySet from None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise NotAKeySet
    found = (_key_or_none(each) for each in keys)
    return tuple(key for key in found if key is not None)


def _key_or_none(key: object) -> VerificationKey | None:
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return None
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    key_id, algorithm = key.get("kid"), key.get("alg")
    if not isinstance(key_id, str | None) or not isinstance(algorithm, str | None):
        return None
    try:
        public_key = _public_key(key)
    except (NotAToken, ValueError):  # not a point, or numbers that are no key
        return None
    return None if public_key is None else VerificationKey(key_id, algorithm, public_key)


def _public_key(key: Mapping[str, object]) -> PublicKey | None:
    """Raises NotAToken, ValueError."""
    if key.get("kty") == "RSA":
        modulus, exponent = _number(key, "n"), _number(key, "e")
        if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or exponent >= _MAX_RSA_EXPONENT:
            return None
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    curve = _CURVES.get(str(key.get("crv"))) if key.get("kty") == "EC" else None
    if curve is None:
        return None
    return ec.EllipticCurvePublicNumbers(_number(key, "x"), _number(key, "y"), curve).public_key()


def _number(key: Mapping[str, object], name: str) -> int:
    text = key.get(name)
    return int.from_bytes(_decode(text if isinstance(text, str) else ""), "big")


def _decode(segment: str) -> bytes:
    """Base64url without padding, in its one spelling. Raises NotAToken."""
    if not _BASE64URL.fullmatch(segment):
        raise NotAToken
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise NotAToken from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode("ascii") != segment:
        raise NotAToken
    return decoded


def _object(document: bytes) -> Mapping[str, object]:
    """A JSON object in which no name stands twice: readers would disagree about which one counts. Raises NotAToken."""
    try:
        found = json.loads(document.decode("utf-8"), object_pairs_hook=_without_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotAToken from None
    if not isinstance(found, dict):
        raise NotAToken
    return found


def _without_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name stands twice")
    return names


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Algorithms. A key of another kind than the algorithm's verifies nothing.

Check = Callable[[PublicKey, bytes, bytes], None]


def _pkcs1(hash_: HashAlgorithm) -> Check:
    def check(key: PublicKey, signature: bytes, signed: bytes) -> None:
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        key.verify(signature, signed, padding.PKCS1v15(), hash_)

    return check


def _pss(hash_: HashAlgorithm) -> Check:
    """The salt is as long as the digest (RFC 7518, §3.5)."""

    def check(key: PublicKey, signature: bytes, signed: bytes) -> None:
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        key.verify(signature, signed, padding.PSS(padding.MGF1(hash_), hash_.digest_size), hash_)

    return check


def _ecdsa(curve: str, hash_: HashAlgorithm, size: int) -> Check:
    """Two numbers of `size` bytes, one behind the other (RFC 7518, §3.4)."""

    def check(key: PublicKey, signature: bytes, signed: bytes) -> None:
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != _CURVES[curve].name:
            raise InvalidSignature
        if len(signature) != 2 * size:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hash_))

    return check


_ALGORITHMS: Mapping[str, Check] = {
    "RS256": _pkcs1(SHA256()),
    "RS384": _pkcs1(SHA384()),
    "RS512": _pkcs1(SHA512()),
    "PS256": _pss(SHA256()),
    "PS384": _pss(SHA384()),
    "PS512": _pss(SHA512()),
    "ES256": _ecdsa("P-256", SHA256(), 32),
    "ES384": _ecdsa("P-384", SHA384(), 48),
}

ALGORITHMS = frozenset(_ALGORITHMS)
