"""Signatures by every algorithm: against known answers, against a second implementation, and changed in every way."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSAMuHasher

from kms.api.errors import KMSError
from kms.keys.private_keys import (
    PrivateKey,
    WrongPrivateKey,
    generate_private_key,
    load_private_key,
    public_key_of,
)
from kms.keys.signatures import DIGEST, EXTERNAL_MU, RAW, WrongSignature, check_message, digest_bytes, sign, verify
from kms.keys.specs import ED25519, ED25519_PH, ML_DSA, SIGN_VERIFY, SPECS

SIGNING = [
    (name, algorithm)
    for name, spec in SPECS.items()
    if name not in {"RSA_3072", "RSA_4096"}
    for algorithm in spec.algorithms.get(SIGN_VERIFY, ())
]
PRIVATE = [name for name, spec in SPECS.items() if spec.is_private]
MESSAGE = b"a message"


@pytest.fixture(scope="module")
def keys() -> dict[str, PrivateKey]:
    return {name: load_private_key(name, generate_private_key(name).reveal()) for name in {name for name, _ in SIGNING}}


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_what_is_signed_verifies_and_nothing_else(keys: dict[str, PrivateKey], spec: str, algorithm: str) -> None:
    key, message, kind = keys[spec], MESSAGE, RAW
    if algorithm == ED25519_PH:
        message, kind = hashlib.sha512(MESSAGE).digest(), DIGEST
    signature = sign(key, algorithm, message, kind)
    verify(key.public_key(), algorithm, message, kind, signature)
    for changed in (b"", signature[:-1], signature + b"\0", bytes([signature[0] ^ 1]) + signature[1:]):
        with pytest.raises(WrongSignature):
            verify(key.public_key(), algorithm, message, kind, changed)
    with pytest.raises(WrongSignature):
        verify(key.public_key(), algorithm, message[:-1] + b"x", kind, signature)


@pytest.mark.parametrize(
    ("spec", "algorithm"), [case for case in SIGNING if case[1] not in {ED25519, ED25519_PH, ML_DSA}]
)
def test_a_digest_is_the_hashed_message(keys: dict[str, PrivateKey], spec: str, algorithm: str) -> None:
    digest = hashlib.new(f"sha{digest_bytes(algorithm) * 8}", MESSAGE).digest()
    key = keys[spec]
    verify(key.public_key(), algorithm, MESSAGE, RAW, sign(key, algorithm, digest, DIGEST))
    verify(key.public_key(), algorithm, digest, DIGEST, sign(key, algorithm, MESSAGE, RAW))
    with pytest.raises(KMSError, match=f"Digest is invalid length for algorithm {algorithm}"):
        check_message(algorithm, DIGEST, len(digest) - 1)


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_the_representative_of_a_message(keys: dict[str, PrivateKey], spec: str) -> None:
    """FIPS 204 §6.2: mu is what the hasher makes of the public key and the message."""
    key = keys[spec]
    hasher = MLDSAMuHasher(key.public_key())
    hasher.update(MESSAGE)
    mu = hasher.finalize()
    verify(key.public_key(), ML_DSA, MESSAGE, RAW, sign(key, ML_DSA, mu, EXTERNAL_MU))
    verify(key.public_key(), ML_DSA, mu, EXTERNAL_MU, sign(key, ML_DSA, MESSAGE, RAW))
    with pytest.raises(KMSError, match="invalid length"):
        check_message(ML_DSA, EXTERNAL_MU, 63)


@pytest.mark.parametrize(
    ("algorithm", "message_type"),
    [
        (ED25519, DIGEST),
        (ED25519, EXTERNAL_MU),
        (ED25519_PH, RAW),
        (ML_DSA, DIGEST),
        ("ECDSA_SHA_256", EXTERNAL_MU),
        ("RSASSA_PSS_SHA_256", EXTERNAL_MU),
    ],
)
def test_message_types_that_an_algorithm_does_not_take(algorithm: str, message_type: str) -> None:
    with pytest.raises(KMSError) as caught:
        check_message(algorithm, message_type, 64)
    assert caught.value.code == "ValidationException"


def test_known_answers_of_ed25519() -> None:
    """RFC 8032 §7.1, test 3; §7.3, test "abc" of Ed25519ph."""
    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    )
    assert sign(key, ED25519, bytes.fromhex("af82"), RAW).hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42")
    )
    assert sign(key, ED25519_PH, b"abc", DIGEST).hex() == (
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )


@pytest.mark.parametrize("spec", sorted({name for name, _ in SIGNING} | {"RSA_3072"}))
def test_private_keys_are_read_as_written_and_only_as_their_own_spec(spec: str) -> None:
    pkcs8 = generate_private_key(spec).reveal()
    assert len(pkcs8) <= 4096
    key = load_private_key(spec, pkcs8)
    assert public_key_of(key) == public_key_of(load_private_key(spec, bytearray(pkcs8)))
    for other in PRIVATE:
        if other != spec:
            with pytest.raises(WrongPrivateKey):
                load_private_key(other, pkcs8)
    for broken in (b"", pkcs8[:-1], b"\0" + pkcs8):
        with pytest.raises(WrongPrivateKey):
            load_private_key(spec, broken)


def test_keys_of_a_kind_that_nobody_knows_are_no_keys() -> None:
    """`cryptography` tells them by an exception of another family."""
    pkcs8 = generate_private_key("ECC_NIST_P256").reveal()
    for oid in ("06072a8648ce3d0201", "06082a8648ce3d030107"):
        known = bytes.fromhex(oid)
        unknown = pkcs8.replace(known, known[:-1] + b"\x7f")
        assert unknown != pkcs8
        with pytest.raises(WrongPrivateKey):
            load_private_key("ECC_NIST_P256", unknown)


def test_numbers_that_are_no_rsa_key_are_refused_unless_they_are_ours() -> None:
    pkcs8 = generate_private_key("RSA_2048").reveal()
    key = load_private_key("RSA_2048", pkcs8)
    assert isinstance(key, rsa.RSAPrivateKey)
    prime = key.private_numbers().p
    changed = pkcs8.replace(prime.to_bytes(128, "big"), (prime + 2).to_bytes(128, "big"))
    assert changed != pkcs8
    with pytest.raises(WrongPrivateKey):
        load_private_key("RSA_2048", changed)
    assert load_private_key("RSA_2048", pkcs8, is_ours=True).public_key() == key.public_key()
