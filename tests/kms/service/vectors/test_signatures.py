"""Signatures by the vectors of Wycheproof, through Sign and Verify with every type of message that they take.

Most vectors tell no private key; then the lease lends the public one that they tell (`keys.lend`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.keys.private_keys import PublicKey
from kms.keys.signatures import digest_bytes
from kms.keys.specs import ML_DSA
from tests.kms.service.vectors.keys import Keys, lend
from tests.vectors.wycheproof import Vector, vectors

SIGN_VERIFY = "SIGN_VERIFY"
MAX_MESSAGE_BYTES = 4096
RSA_SIZES = (2048, 3072, 4096)
ML_DSA_PUBLIC = {"44": mldsa.MLDSA44PublicKey, "65": mldsa.MLDSA65PublicKey, "87": mldsa.MLDSA87PublicKey}

ECDSA = [
    ("ECC_NIST_P256", "ECDSA_SHA_256", "ecdsa_secp256r1_sha256"),
    ("ECC_NIST_P384", "ECDSA_SHA_384", "ecdsa_secp384r1_sha384"),
    ("ECC_NIST_P521", "ECDSA_SHA_512", "ecdsa_secp521r1_sha512"),
    ("ECC_SECG_P256K1", "ECDSA_SHA_256", "ecdsa_secp256k1_sha256"),
]
PKCS1 = [
    (f"RSA_{size}", f"RSASSA_PKCS1_V1_5_SHA_{bits}", f"rsa_signature_{size}_sha{bits}")
    for size in RSA_SIZES
    for bits in (256, 384, 512)
]
PSS = [
    ("RSA_2048", "RSASSA_PSS_SHA_256", "rsa_pss_2048_sha256_mgf1_32"),
    ("RSA_2048", "RSASSA_PSS_SHA_384", "rsa_pss_2048_sha384_mgf1_48"),
    ("RSA_3072", "RSASSA_PSS_SHA_256", "rsa_pss_3072_sha256_mgf1_32"),
    ("RSA_4096", "RSASSA_PSS_SHA_256", "rsa_pss_4096_sha256_mgf1_32"),
    ("RSA_4096", "RSASSA_PSS_SHA_384", "rsa_pss_4096_sha384_mgf1_48"),
    ("RSA_4096", "RSASSA_PSS_SHA_512", "rsa_pss_4096_sha512_mgf1_64"),
]
OTHER_PSS = [
    ("RSA_2048", "RSASSA_PSS_SHA_256", "rsa_pss_2048_sha256_mgf1_0"),
    ("RSA_2048", "RSASSA_PSS_SHA_256", "rsa_pss_2048_sha256_mgf1sha1_20"),
    ("RSA_4096", "RSASSA_PSS_SHA_512", "rsa_pss_4096_sha512_mgf1_32"),
]


def public_key(der: bytes) -> PublicKey:
    key = load_der_public_key(der)
    assert isinstance(key, PublicKey)
    return key


def typed_messages(algorithm: str, message: bytes) -> Iterator[tuple[str, bytes]]:
    """A message as RAW, if the KMS takes it whole, and as DIGEST, if the algorithm has one."""
    if 1 <= len(message) <= MAX_MESSAGE_BYTES:
        yield "RAW", message
    if not algorithm.startswith("ED25519"):
        yield "DIGEST", hashlib.new(f"sha{digest_bytes(algorithm) * 8}", message).digest()


async def some_key(keys: Keys, key_spec: str) -> str:
    """RSA keys are imported, since new ones take seconds to make."""
    if key_spec.startswith("RSA_"):
        vector = vectors(f"rsa_pkcs1_{key_spec.removeprefix('RSA_')}_sig_gen")[0]
        return await keys.imported(key_spec, SIGN_VERIFY, vector["privateKeyPkcs8"])
    key: t.KeyMetadata = await keys.call(t.CreateKey(key_spec=key_spec, key_usage=SIGN_VERIFY))
    return key.key_id


async def wrong_verdicts(
    keys: Keys,
    key_spec: str,
    algorithm: str,
    tests: Sequence[Vector],
    is_valid: Callable[[Vector], bool | None] = lambda vector: vector.is_valid,
) -> list[Vector]:
    """Vectors about which Verify says other than `is_valid` does."""
    key_id = await some_key(keys, key_spec)
    wrong, tried = [], 0
    for vector in tests:
        with pytest.MonkeyPatch.context() as patch:
            lend(patch, public_key(vector["publicKeyDer"]))
            for kind, message in typed_messages(algorithm, vector["msg"]):
                request = t.Verify(key_id, SecretBytes(message), vector["sig"], algorithm, kind)
                tried += 1
                if await keys.verifies(request) is not is_valid(vector) and is_valid(vector) is not None:
                    wrong.append(vector)
    assert tried > 0.8 * len(tests)
    return wrong


@pytest.mark.parametrize(("key_spec", "algorithm", "name"), [*ECDSA, *PKCS1, *PSS])
async def test_verify(keys: Keys, key_spec: str, algorithm: str, name: str) -> None:
    assert await wrong_verdicts(keys, key_spec, algorithm, vectors(name)) == []


@pytest.mark.parametrize(("key_spec", "algorithm", "name"), OTHER_PSS)
async def test_pss_with_other_parameters_is_wrong(keys: Keys, key_spec: str, algorithm: str, name: str) -> None:
    """The KMS has one form of PSS: MGF1 with the hash, a salt as long as it. Two changed vectors have that form."""
    bits = int(algorithm[-3:])

    def is_ours(vector: Vector) -> bool:
        members = vector.members
        return members["mgfSha"] == members["sha"] and members["comment"] == f"s_len changed to {bits // 8}"

    assert await wrong_verdicts(keys, key_spec, algorithm, vectors(name), is_ours) == []


@pytest.mark.parametrize("bits", [256, 384, 512])
async def test_pss_of_every_hash_and_salt(keys: Keys, bits: int) -> None:
    """150 valid signatures, of which the one with the KMS's parameters is right."""

    def is_ours(vector: Vector) -> bool:
        members = vector.members
        return (members["sha"], members["mgfSha"], members["sLen"] * 8) == (f"SHA-{bits}", f"SHA-{bits}", bits)

    tests = vectors("rsa_pss_misc")
    assert sum(is_ours(vector) for vector in tests) == 1
    assert await wrong_verdicts(keys, "RSA_2048", f"RSASSA_PSS_SHA_{bits}", tests, is_ours) == []


@pytest.mark.parametrize("size", RSA_SIZES)
async def test_sign_by_pkcs1(keys: Keys, size: int) -> None:
    """The one RSA signature that is the same every time."""
    tried = 0
    for vector in vectors(f"rsa_pkcs1_{size}_sig_gen"):
        bits = vector.members["sha"].removeprefix("SHA-")
        if bits not in {"256", "384", "512"}:
            continue
        algorithm = f"RSASSA_PKCS1_V1_5_SHA_{bits}"
        key_id = await keys.imported(f"RSA_{size}", SIGN_VERIFY, vector["privateKeyPkcs8"])
        for kind, message in typed_messages(algorithm, vector["msg"]):
            signed = await keys.call(t.Sign(key_id, SecretBytes(message), algorithm, kind))
            assert signed.signature == vector["sig"], vector
            assert await keys.verifies(t.Verify(key_id, SecretBytes(message), vector["sig"], algorithm, kind))
            tried += 1
    assert tried >= 24


async def test_ed25519(keys: Keys) -> None:
    assert await wrong_verdicts(keys, "ECC_NIST_EDWARDS25519", "ED25519_SHA_512", vectors("ed25519")) == []


def message_representative(key: bytes, context: bytes, message: bytes) -> bytes:
    """mu of FIPS 204 algorithm 7, with the domain separation of algorithm 2."""
    signer = hashlib.shake_256(key).digest(64)
    return hashlib.shake_256(signer + bytes((0, len(context))) + context + message).digest(64)


@pytest.mark.parametrize("level", ["44", "65", "87"])
async def test_ml_dsa_verify(keys: Keys, level: str) -> None:
    """The KMS has no contexts: a signature that was made with one is wrong as RAW, and right by its representative."""
    key_id = (await keys.call(t.CreateKey(key_spec=f"ML_DSA_{level}", key_usage=SIGN_VERIFY))).key_id
    wrong, tried = [], 0
    for vector in vectors(f"mldsa_{level}_verify"):
        if "IncorrectPublicKeyLength" in vector.members["flags"]:
            continue  # no KMS key has such a public half
        message, context = vector["msg"], bytes.fromhex(vector.members.get("ctx", ""))
        mu = message_representative(vector["publicKey"], context, message) if len(context) < 256 else b""
        with pytest.MonkeyPatch.context() as patch:
            lend(patch, ML_DSA_PUBLIC[level].from_public_bytes(vector["publicKey"]))
            for kind, given, is_valid in (
                ("RAW", message, vector.is_valid and not context),
                ("EXTERNAL_MU", mu, vector.is_valid),
            ):
                if given:
                    request = t.Verify(key_id, SecretBytes(given), vector["sig"], ML_DSA, kind)
                    tried += 1
                    if await keys.verifies(request) is not is_valid:
                        wrong.append(vector)
    assert wrong == []
    assert tried >= 300


@pytest.mark.parametrize("level", ["44", "65", "87"])
async def test_ml_dsa_keys_from_seeds(keys: Keys, level: str) -> None:
    """Their public halves, and both ways with signatures: the vector's verify, and ours by the vector's public key."""
    tried = 0
    for vector in vectors(f"mldsa_{level}_sign_seed"):
        if not vector.is_valid or vector.members.get("ctx"):
            continue
        key_id = await keys.made(f"ML_DSA_{level}", SIGN_VERIFY, vector["privateSeed"])
        spki = (await keys.call(t.GetPublicKey(key_id))).public_key
        assert spki.endswith(vector["publicKey"]), vector
        public = ML_DSA_PUBLIC[level].from_public_bytes(vector["publicKey"])
        for kind, member in (("RAW", "msg"), ("EXTERNAL_MU", "mu")):
            if not 1 <= len(vector.members.get(member, "")) // 2 <= MAX_MESSAGE_BYTES:
                continue
            message = SecretBytes(vector[member])
            assert await keys.verifies(t.Verify(key_id, message, vector["sig"], ML_DSA, kind)), vector
            made = (await keys.call(t.Sign(key_id, message, ML_DSA, kind))).signature
            (public.verify if kind == "RAW" else public.verify_mu)(made, vector[member])
            tried += 1
    assert tried >= 100
