"""RSAES-OAEP and ECDH: limits, known shapes, and everything that must not open or agree."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms.api.errors import KMSError
from kms.keys.agreement import load_peer, shared_secret
from kms.keys.private_keys import CURVES
from kms.keys.rsa_encryption import check_plaintext, decrypt, encrypt, max_plaintext_bytes

EC_OID, P256_OID = (bytes.fromhex(text) for text in ("06072a8648ce3d0201", "06082a8648ce3d030107"))
ALGORITHMS = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("spec", "sha_1", "sha_256"), [("RSA_2048", 214, 190), ("RSA_3072", 342, 318), ("RSA_4096", 470, 446)]
)
def test_limits(spec: str, sha_1: int, sha_256: int) -> None:
    assert [max_plaintext_bytes(spec, algorithm) for algorithm in ALGORITHMS] == [sha_1, sha_256]
    check_plaintext(spec, ALGORITHMS[0], sha_1)
    with pytest.raises(KMSError) as caught:
        check_plaintext(spec, ALGORITHMS[0], sha_1 + 1)
    assert caught.value.message == (
        f"Algorithm RSAES_OAEP_SHA_1 and key spec {spec} cannot encrypt data larger than {sha_1} bytes."
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_encrypted_opens_and_nothing_else(key: rsa.RSAPrivateKey, algorithm: str) -> None:
    for size in (1, max_plaintext_bytes("RSA_2048", algorithm)):
        sealed = encrypt(key.public_key(), algorithm, bytes(size))
        assert decrypt(key, algorithm, sealed) == bytes(size)
    other = next(name for name in ALGORITHMS if name != algorithm)
    changed = [sealed[:-1], sealed + b"\0", b"", bytes(256), b"\xff" * 256]
    changed += [bytes([*sealed[:n], sealed[n] ^ 1, *sealed[n + 1 :]]) for n in range(0, 256, 17)]
    for name, ciphertext in [(other, sealed), *((algorithm, each) for each in changed)]:
        with pytest.raises(KMSError) as caught:
            decrypt(key, name, ciphertext)
        assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_both_sides_agree(spec: str) -> None:
    ours, theirs = (ec.generate_private_key(CURVES[spec]()) for _ in range(2))
    secret = shared_secret(ours, load_peer(spec, spki(theirs)))
    assert secret == shared_secret(theirs, load_peer(spec, spki(ours)))
    assert len(secret) == (ours.key_size + 7) // 8


def test_known_answer_of_ecdh() -> None:
    """RFC 5903 §8.1: 256-bit random ECP group."""
    i = ec.derive_private_key(0xC88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433, ec.SECP256R1())
    r = ec.derive_private_key(0xC6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53, ec.SECP256R1())
    expected = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"
    assert shared_secret(i, r.public_key()).hex() == shared_secret(r, i.public_key()).hex() == expected


def test_peers_that_are_none(key: rsa.RSAPrivateKey) -> None:
    good = spki(ec.generate_private_key(ec.SECP256R1()))
    off_curve = good[:-1] + bytes([good[-1] ^ 1])
    rsa_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    unknown_curve = good.replace(P256_OID, P256_OID[:-1] + b"\x7f")
    unknown_kind = good.replace(EC_OID, EC_OID[:-1] + b"\x7f")
    other_curve = spki(ec.generate_private_key(ec.SECP384R1()))
    for peer in (b"", good[:-1], off_curve, rsa_key, other_curve, unknown_curve, unknown_kind):
        assert peer != good
        with pytest.raises(KMSError) as caught:
            load_peer("ECC_NIST_P256", peer)
        assert caught.value.code == "ValidationException"


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
