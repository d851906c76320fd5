"""Signatures, MACs, RSA encryption, key agreement and data key pairs through boto3."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from kms.keys.specs import SPECS
from tests.clients.checks import error_of, refusal

MESSAGE = b"net 30 days"
ABSENT = "00000000-0000-4000-8000-000000000000"
SIGNING = [
    (spec.name, algorithm)
    for spec in SPECS.values()
    if spec.name not in {"RSA_3072", "RSA_4096"}
    for algorithm in spec.algorithms.get("SIGN_VERIFY", ())
]


class Keys:
    """A key for each spec and usage, made when it is first wanted."""

    def __init__(self, kms: Any) -> None:
        self._kms = kms
        self._made: dict[tuple[str, str], Any] = {}

    def metadata(self, spec: str, usage: str) -> Any:
        if (spec, usage) not in self._made:
            self._made[spec, usage] = self._kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
        return self._made[spec, usage]

    def __call__(self, spec: str, usage: str) -> str:
        return str(self.metadata(spec, usage)["Arn"])


@pytest.fixture(scope="module")
def keys(kms: Any) -> Keys:
    return Keys(kms)


@pytest.mark.parametrize("spec", [name for name in SPECS if name not in {"RSA_3072", "RSA_4096"}])
def test_keys_of_every_spec_and_usage_are_made_and_described(kms: Any, keys: Keys, spec: str) -> None:
    members = {
        "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
        "SIGN_VERIFY": "SigningAlgorithms",
        "GENERATE_VERIFY_MAC": "MacAlgorithms",
        "KEY_AGREEMENT": "KeyAgreementAlgorithms",
    }
    for usage, algorithms in SPECS[spec].algorithms.items():
        made = keys.metadata(spec, usage)
        assert (made["KeySpec"], made["CustomerMasterKeySpec"], made["KeyUsage"]) == (spec, spec, usage)
        assert made[members[usage]] == list(algorithms)
        assert not {*members.values(), "CurrentKeyMaterialId"} & set(made) - {members[usage], "CurrentKeyMaterialId"}
        assert ("CurrentKeyMaterialId" in made) == (spec == "SYMMETRIC_DEFAULT")
        assert kms.describe_key(KeyId=made["Arn"])["KeyMetadata"] == made
    for usage in set(members) - set(SPECS[spec].algorithms):
        error = error_of(kms.create_key, KeySpec=spec, KeyUsage=usage)["Error"]
        assert error["Message"] == f"KeyUsage {usage} is not compatible with KeySpec {spec}"


# Signatures


@pytest.mark.parametrize(("spec", "algorithm"), SIGNING)
def test_sign_and_verify(kms: Any, keys: Keys, spec: str, algorithm: str) -> None:
    key = keys(spec, "SIGN_VERIFY")
    what: dict[str, Any] = {"KeyId": key, "SigningAlgorithm": algorithm, "Message": MESSAGE}
    if algorithm == "ED25519_PH_SHA_512":
        what |= {"Message": hashlib.sha512(MESSAGE).digest(), "MessageType": "DIGEST"}
    signed = kms.sign(**what)
    assert (signed["KeyId"], signed["SigningAlgorithm"]) == (key, algorithm)
    verified = kms.verify(**what, Signature=signed["Signature"])
    assert (verified["KeyId"], verified["SignatureValid"], verified["SigningAlgorithm"]) == (key, True, algorithm)
    wrong = bytes([signed["Signature"][0] ^ 1]) + signed["Signature"][1:]
    error = error_of(kms.verify, **what, Signature=wrong)["Error"]
    assert (error["Code"], error.get("Message", "")) == ("KMSInvalidSignatureException", "")
    for call, more in ((kms.sign, {}), (kms.verify, {"Signature": signed["Signature"]})):
        assert refusal(call, **what, **more, DryRun=True) == (400, "DryRunOperationException")


def test_a_signature_verifies_outside_with_the_public_key(kms: Any, keys: Keys) -> None:
    key = keys("ECC_NIST_P384", "SIGN_VERIFY")
    answer = kms.get_public_key(KeyId=key)
    assert (answer["KeyId"], answer["KeySpec"], answer["KeyUsage"]) == (key, "ECC_NIST_P384", "SIGN_VERIFY")
    assert answer["SigningAlgorithms"] == ["ECDSA_SHA_384"]
    public_key = load_der_public_key(answer["PublicKey"])
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    digest = hashlib.sha384(MESSAGE).digest()
    signed = kms.sign(KeyId=key, SigningAlgorithm="ECDSA_SHA_384", Message=digest, MessageType="DIGEST")
    public_key.verify(signed["Signature"], MESSAGE, ec.ECDSA(hashes.SHA384()))
    public_key.verify(signed["Signature"], digest, ec.ECDSA(utils.Prehashed(hashes.SHA384())))


def test_signing_that_is_refused(kms: Any, keys: Keys) -> None:
    signer, rsa = keys("ECC_NIST_P256", "SIGN_VERIFY"), keys("RSA_2048", "ENCRYPT_DECRYPT")
    cases = [
        ({"KeyId": rsa, "SigningAlgorithm": "RSASSA_PSS_SHA_256"}, "InvalidKeyUsageException"),
        ({"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_384"}, "InvalidKeyUsageException"),
        ({"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_256", "MessageType": "DIGEST"}, "ValidationException"),
        ({"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_256", "GrantTokens": ["x"]}, "InvalidGrantTokenException"),
        ({"KeyId": ABSENT, "SigningAlgorithm": "ECDSA_SHA_256"}, "NotFoundException"),
        ({"KeyId": signer, "SigningAlgorithm": "NONE"}, "ValidationException"),
    ]
    for parameters, code in cases:
        assert refusal(kms.sign, Message=MESSAGE, **parameters) == (400, code)
        assert refusal(kms.verify, Message=MESSAGE, Signature=b"s", **parameters) == (400, code)
    error = error_of(kms.sign, KeyId=rsa, SigningAlgorithm="RSASSA_PSS_SHA_256", Message=MESSAGE)["Error"]
    assert error["Message"] == f"{rsa} key usage is ENCRYPT_DECRYPT which is not valid for Sign."
    short = {"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_256", "Message": b"short", "MessageType": "DIGEST"}
    assert error_of(kms.sign, **short)["Error"]["Message"] == "Digest is invalid length for algorithm ECDSA_SHA_256."
    too_long = {"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_256", "Message": bytes(4097)}
    assert refusal(kms.sign, **too_long) == (400, "ValidationException")
    symmetric = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    assert refusal(kms.get_public_key, KeyId=symmetric) == (400, "UnsupportedOperationException")


def test_a_disabled_key_signs_nothing(kms: Any) -> None:
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    what = {"KeyId": key, "SigningAlgorithm": "ECDSA_SHA_256", "Message": MESSAGE}
    signature = kms.sign(**what)["Signature"]
    kms.disable_key(KeyId=key)
    assert refusal(kms.sign, **what) == (400, "DisabledException")
    assert refusal(kms.verify, **what, Signature=signature) == (400, "DisabledException")
    assert refusal(kms.get_public_key, KeyId=key) == (400, "DisabledException")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refusal(kms.sign, **what) == (400, "KMSInvalidStateException")


# MACs


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_macs(kms: Any, keys: Keys, bits: int) -> None:
    key = keys(f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
    what = {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{bits}", "Message": MESSAGE}
    made = kms.generate_mac(**what)
    assert (made["KeyId"], made["MacAlgorithm"], len(made["Mac"])) == (key, f"HMAC_SHA_{bits}", bits // 8)
    assert kms.generate_mac(**what)["Mac"] == made["Mac"]
    assert kms.verify_mac(**what, Mac=made["Mac"])["MacValid"] is True
    error = error_of(kms.verify_mac, **what, Mac=made["Mac"][:-1] + bytes([made["Mac"][-1] ^ 1]))["Error"]
    assert (error["Code"], error.get("Message", "")) == ("KMSInvalidMacException", "")
    assert refusal(kms.generate_mac, **what, DryRun=True) == (400, "DryRunOperationException")
    other = "HMAC_SHA_256" if bits != 256 else "HMAC_SHA_224"
    error = error_of(kms.generate_mac, KeyId=key, MacAlgorithm=other, Message=MESSAGE)["Error"]
    assert error["Message"] == f"Algorithm {other} is incompatible with key spec HMAC_{bits}."
    assert hmac.compare_digest(made["Mac"], kms.generate_mac(**what)["Mac"])


# RSA encryption


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])
def test_rsa_encryption(kms: Any, keys: Keys, algorithm: str) -> None:
    key = keys("RSA_2048", "ENCRYPT_DECRYPT")
    sealed = kms.encrypt(KeyId=key, Plaintext=MESSAGE, EncryptionAlgorithm=algorithm)
    assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (key, algorithm)
    opened = kms.decrypt(KeyId=key, CiphertextBlob=sealed["CiphertextBlob"], EncryptionAlgorithm=algorithm)
    assert (opened["Plaintext"], opened["EncryptionAlgorithm"], opened["KeyId"]) == (MESSAGE, algorithm, key)
    assert "KeyMaterialId" not in opened
    public_key: Any = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    kind = hashes.SHA1 if algorithm.endswith("SHA_1") else hashes.SHA256
    outside = public_key.encrypt(b"outside", padding.OAEP(padding.MGF1(kind()), kind(), None))
    opened = kms.decrypt(KeyId=key, CiphertextBlob=outside, EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"outside"
    blob = sealed["CiphertextBlob"]
    for changed in (blob[:-1], blob[:-1] + bytes([blob[-1] ^ 1]), blob + b"\0", b"x"):
        error = error_of(kms.decrypt, KeyId=key, CiphertextBlob=changed, EncryptionAlgorithm=algorithm)["Error"]
        assert (error["Code"], error.get("Message", "")) == ("InvalidCiphertextException", "")


def test_re_encrypt_between_symmetric_and_rsa(kms: Any, keys: Keys) -> None:
    symmetric, rsa = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), keys("RSA_2048", "ENCRYPT_DECRYPT")
    blob = kms.encrypt(KeyId=symmetric, Plaintext=MESSAGE, EncryptionContext={"a": "b"})["CiphertextBlob"]
    there = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "b"},
        DestinationKeyId=rsa,
        DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_256",
    )
    assert (there["SourceKeyId"], there["KeyId"]) == (symmetric, rsa)
    assert there["DestinationEncryptionAlgorithm"] == "RSAES_OAEP_SHA_256"
    assert "DestinationKeyMaterialId" not in there
    back = kms.re_encrypt(
        CiphertextBlob=there["CiphertextBlob"],
        SourceKeyId=rsa,
        SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256",
        DestinationKeyId=symmetric,
    )
    assert kms.decrypt(CiphertextBlob=back["CiphertextBlob"])["Plaintext"] == MESSAGE


def test_rsa_encryption_that_is_refused(kms: Any, keys: Keys) -> None:
    key, signer = keys("RSA_2048", "ENCRYPT_DECRYPT"), keys("RSA_2048", "SIGN_VERIFY")
    oaep = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    error = error_of(kms.encrypt, KeyId=key, Plaintext=bytes(191), **oaep)["Error"]
    assert error["Message"] == (
        "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes."
    )
    cases = [
        ({"KeyId": key}, "InvalidKeyUsageException"),
        ({"KeyId": signer, **oaep}, "InvalidKeyUsageException"),
        ({"KeyId": key, **oaep, "EncryptionContext": {"a": "b"}}, "ValidationException"),
        ({"KeyId": keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), **oaep}, "InvalidKeyUsageException"),
    ]
    for parameters, code in cases:
        assert refusal(kms.encrypt, Plaintext=b"p", **parameters) == (400, code)
        assert refusal(kms.decrypt, CiphertextBlob=b"c", **parameters) == (400, code)
    assert refusal(kms.decrypt, CiphertextBlob=b"c", **oaep) == (400, "ValidationException")
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == (400, "InvalidKeyUsageException")


# Key agreement and data key pairs


@pytest.mark.parametrize(
    ("spec", "curve"),
    [("ECC_NIST_P256", ec.SECP256R1()), ("ECC_NIST_P384", ec.SECP384R1()), ("ECC_NIST_P521", ec.SECP521R1())],
)
def test_shared_secrets(kms: Any, keys: Keys, spec: str, curve: ec.EllipticCurve) -> None:
    key, peer = keys(spec, "KEY_AGREEMENT"), ec.generate_private_key(curve)
    their_public = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    what = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": their_public}
    derived = kms.derive_shared_secret(**what)
    our_public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(our_public, ec.EllipticCurvePublicKey)
    assert derived["SharedSecret"] == peer.exchange(ec.ECDH(), our_public)
    assert (derived["KeyId"], derived["KeyAgreementAlgorithm"], derived["KeyOrigin"]) == (key, "ECDH", "AWS_KMS")
    assert refusal(kms.derive_shared_secret, **what, DryRun=True) == (400, "DryRunOperationException")
    unknown_kind = their_public.replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d027f"))
    assert unknown_kind != their_public
    for public_key in (their_public[:-1], b"x", unknown_kind):
        assert refusal(kms.derive_shared_secret, **{**what, "PublicKey": public_key}) == (400, "ValidationException")
    signer = keys(spec, "SIGN_VERIFY")
    assert refusal(kms.derive_shared_secret, **{**what, "KeyId": signer}) == (400, "InvalidKeyUsageException")


@pytest.mark.parametrize(
    "spec", ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"]
)
def test_data_key_pairs(kms: Any, keys: Keys, spec: str) -> None:
    key = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    what = {"KeyId": key, "KeyPairSpec": spec, "EncryptionContext": {"a": "b"}}
    pair = kms.generate_data_key_pair(**what)
    assert (pair["KeyId"], pair["KeyPairSpec"]) == (key, spec)
    private: Any = load_der_private_key(pair["PrivateKeyPlaintext"], None)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == pair["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (pair["PrivateKeyPlaintext"], pair["KeyMaterialId"])
    sealed = kms.generate_data_key_pair_without_plaintext(**what)
    assert "PrivateKeyPlaintext" not in sealed
    opened = kms.decrypt(CiphertextBlob=sealed["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})
    private = load_der_private_key(opened["Plaintext"], None)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == sealed["PublicKey"]


def test_data_key_pairs_that_are_refused(kms: Any, keys: Keys) -> None:
    symmetric, rsa = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), keys("RSA_2048", "ENCRYPT_DECRYPT")
    for call in (kms.generate_data_key_pair, kms.generate_data_key_pair_without_plaintext):
        for parameters, code in (
            ({"KeyId": rsa, "KeyPairSpec": "RSA_2048"}, "InvalidKeyUsageException"),
            ({"KeyId": symmetric, "KeyPairSpec": "SM2"}, "UnsupportedOperationException"),
            ({"KeyId": ABSENT, "KeyPairSpec": "RSA_2048"}, "NotFoundException"),
            ({"KeyId": symmetric, "KeyPairSpec": "RSA_2048", "DryRun": True}, "DryRunOperationException"),
        ):
            assert refusal(call, **parameters) == (400, code)
