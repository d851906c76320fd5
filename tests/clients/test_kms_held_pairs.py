"""Key pairs that never leave the HSM, through boto3: in SoftHSM2, and in NSS for what SoftHSM2 cannot do."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from kms.hsm.nss import find_nss
from kms.hsm.provision import find_softhsm
from tests.clients.checks import error_of, faults, refusal
from tests.clients.importing import FOREVER, prepared
from tests.harness import REPOSITORY, Gateway

pytestmark = [
    pytest.mark.hsm,
    pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed, and a file root holds no keys"),
]

MESSAGE = b"net 30 days"
SIGNERS = ["RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"]
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}

MAKE_TOKEN = """
import sys
from pathlib import Path
from kms.api.secrets import SecretBytes
from kms.hsm.driver import Driver, StrictRoot, format_driver
from kms.hsm.nss import create_nss_token, find_nss, nss_parameters
place = Path(sys.argv[1])
driver = Driver(library_parameters=nss_parameters(place / "token", "vendor"), strict_root=StrictRoot.UNENFORCED)
create_nss_token(place / "token", "vendor", SecretBytes(b"1234-user"), find_nss(), driver)
(place / "driver.toml").write_text(format_driver(driver))
"""


@pytest.fixture(scope="module")
def nss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A KMS whose root lies in NSS."""
    if find_nss() is None:
        pytest.skip("NSS softokn (libnss3) is not installed")
    place = tmp_path_factory.mktemp("nss")
    subprocess.run([sys.executable, "-c", MAKE_TOKEN, place], cwd=REPOSITORY, check=True, timeout=60)
    (place / "pin").write_text("1234-user\n")
    (place / "pin").chmod(0o600)
    gateway = Gateway(place / "data", root="pkcs11")
    gateway.sealgate(
        *("init", str(gateway.data), "--root", "pkcs11", "--pin-file", str(place / "pin")),
        *("--pkcs11-uri", f"pkcs11:token=vendor?module-path={find_nss()}", "--driver", str(place / "driver.toml")),
        *("--workers", "1", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
    )
    gateway.start()
    try:
        yield gateway.client("kms", read_timeout=60)
        assert faults(gateway) == []
    finally:
        gateway.stop()


def make(kms: Any, spec: str, usage: str, **more: str) -> Any:
    """A key's metadata. By tag, as tools that know no key stores do it."""
    tags = [{"TagKey": "sealgate:protection", "TagValue": "hsm"}]
    return kms.create_key(KeySpec=spec, KeyUsage=usage, Tags=tags, **more)["KeyMetadata"]


def check_signatures(kms: Any, key: Any) -> None:
    """Every algorithm, from the message and from its digest, verified by the KMS and by software of others."""
    answer = kms.get_public_key(KeyId=key["Arn"])
    assert (answer["KeySpec"], answer["SigningAlgorithms"]) == (key["KeySpec"], key["SigningAlgorithms"])
    public: Any = load_der_public_key(answer["PublicKey"])
    for algorithm in key["SigningAlgorithms"]:
        hashed = HASHES[algorithm[-3:]]
        digest = hashlib.new("sha" + algorithm[-3:], MESSAGE).digest()
        for message, message_type in ((MESSAGE, "RAW"), (digest, "DIGEST")):
            what = {"KeyId": key["Arn"], "SigningAlgorithm": algorithm, "Message": message, "MessageType": message_type}
            signature = kms.sign(**what)["Signature"]
            assert kms.verify(**what, Signature=signature)["SignatureValid"] is True
            if isinstance(public, ec.EllipticCurvePublicKey):
                public.verify(signature, digest, ec.ECDSA(Prehashed(hashed)))
            else:
                pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
                how = pss if "PSS" in algorithm else padding.PKCS1v15()
                public.verify(signature, digest, how, Prehashed(hashed))
            wrong = bytes([*signature[:-1], signature[-1] ^ 1])
            assert refusal(kms.verify, **what, Signature=wrong) == (400, "KMSInvalidSignatureException")


@pytest.mark.parametrize("spec", SIGNERS)
def test_signatures(kms: Any, spec: str) -> None:
    key = make(kms, spec, "SIGN_VERIFY")
    assert key["KeyState"] == "Enabled"
    check_signatures(kms, key)
    kms.disable_key(KeyId=key["Arn"])
    what = {"KeyId": key["Arn"], "SigningAlgorithm": key["SigningAlgorithms"][0], "Message": MESSAGE}
    assert refusal(kms.sign, **what) == (400, "DisabledException")
    assert refusal(kms.verify, **what, Signature=b"x") == (400, "DisabledException")
    assert refusal(kms.get_public_key, KeyId=key["Arn"]) == (400, "DisabledException")


@pytest.mark.parametrize("spec", ["RSA_2048", "RSA_4096"])
def test_signatures_in_another_token(nss: Any, spec: str) -> None:
    check_signatures(nss, make(nss, spec, "SIGN_VERIFY"))


@pytest.mark.parametrize("spec", ["RSA_2048", "RSA_3072", "RSA_4096"])
def test_decryption(nss: Any, spec: str) -> None:
    key = make(nss, spec, "ENCRYPT_DECRYPT")["Arn"]
    public: Any = load_der_public_key(nss.get_public_key(KeyId=key)["PublicKey"])
    for algorithm, hashed in (("RSAES_OAEP_SHA_1", hashes.SHA1()), ("RSAES_OAEP_SHA_256", hashes.SHA256())):
        blob = nss.encrypt(KeyId=key, Plaintext=MESSAGE, EncryptionAlgorithm=algorithm)["CiphertextBlob"]
        outside = public.encrypt(MESSAGE, padding.OAEP(padding.MGF1(hashed), hashed, None))
        for each in (blob, outside):
            opened = nss.decrypt(KeyId=key, CiphertextBlob=each, EncryptionAlgorithm=algorithm)
            assert opened["Plaintext"] == MESSAGE
        for changed in (blob[:-1], blob + b"\0", b"x", bytes([*blob[:-1], blob[-1] ^ 1]), bytes(len(blob))):
            what = {"KeyId": key, "CiphertextBlob": changed, "EncryptionAlgorithm": algorithm}
            error = error_of(nss.decrypt, **what)["Error"]
            assert (error["Code"], error.get("Message", "")) == ("InvalidCiphertextException", "")
    symmetric = nss.create_key()["KeyMetadata"]["Arn"]
    moved = nss.re_encrypt(
        CiphertextBlob=blob,
        SourceKeyId=key,
        SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256",
        DestinationKeyId=symmetric,
    )
    assert nss.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == MESSAGE


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_shared_secrets(kms: Any, spec: str) -> None:
    key = make(kms, spec, "KEY_AGREEMENT")["Arn"]
    ours = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(ours, ec.EllipticCurvePublicKey)
    for _ in range(8):
        peer = ec.generate_private_key(ours.curve)
        theirs = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        what = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": theirs}
        assert kms.derive_shared_secret(**what)["SharedSecret"] == peer.exchange(ec.ECDH(), ours)
    for public_key in (theirs[:-1], b"x"):
        assert refusal(kms.derive_shared_secret, **{**what, "PublicKey": public_key}) == (400, "ValidationException")
    assert refusal(kms.derive_shared_secret, **what, DryRun=True) == (400, "DryRunOperationException")


@pytest.mark.parametrize(
    ("spec", "usage", "says"),
    [
        ("RSA_2048", "ENCRYPT_DECRYPT", "the token has no OAEP with sha256"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "ECC_NIST_EDWARDS25519"),
        ("ML_DSA_44", "SIGN_VERIFY", "ML_DSA_44"),
    ],
)
def test_what_the_token_cannot_do_is_refused_when_the_key_is_made(kms: Any, spec: str, usage: str, says: str) -> None:
    for more in ({"CustomKeyStoreId": "hsm"}, {"Tags": [{"TagKey": "sealgate:protection", "TagValue": "hsm"}]}):
        answer = error_of(kms.create_key, KeySpec=spec, KeyUsage=usage, **more)
        assert answer["Error"]["Code"] == "UnsupportedOperationException"
        assert says in answer["Error"]["Message"] and "only be software" in answer["Error"]["Message"]


def test_curves_are_refused_by_a_token_without_them(nss: Any) -> None:
    for usage in ("SIGN_VERIFY", "KEY_AGREEMENT"):
        answer = error_of(nss.create_key, KeySpec="ECC_NIST_P256", KeyUsage=usage, CustomKeyStoreId="hsm")
        assert answer["Error"]["Code"] == "UnsupportedOperationException"
        assert "software" in answer["Error"]["Message"]
    assert nss.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P521"])
def test_an_imported_pair_is_one_key_under_both_levels(kms: Any, spec: str) -> None:
    private: Any = (
        rsa.generate_private_key(65537, 2048) if spec == "RSA_2048" else ec.generate_private_key(ec.SECP521R1())
    )
    material = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    made = []
    for level in ("hsm", "software"):
        parameters = {"KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL", "CustomKeyStoreId": level}
        key = kms.create_key(**parameters)["KeyMetadata"]
        assert key["KeyState"] == "PendingImport"
        importing = prepared(kms, key["Arn"], material, "RSA_AES_KEY_WRAP_SHA_256")
        kms.import_key_material(**importing, **FOREVER)
        made.append(key)
    inside, outside = made
    check_signatures(kms, inside)
    for signer, verifier in ((inside, outside), (outside, inside)):
        for algorithm in signer["SigningAlgorithms"]:
            what = {"SigningAlgorithm": algorithm, "Message": MESSAGE}
            signature = kms.sign(**what, KeyId=signer["Arn"])["Signature"]
            assert kms.verify(**what, KeyId=verifier["Arn"], Signature=signature)["SignatureValid"] is True
    kms.delete_imported_key_material(KeyId=inside["Arn"])
    what = {"KeyId": inside["Arn"], "SigningAlgorithm": inside["SigningAlgorithms"][0], "Message": MESSAGE}
    assert refusal(kms.sign, **what) == (400, "KMSInvalidStateException")
    assert refusal(kms.get_public_key, KeyId=inside["Arn"]) == (400, "KMSInvalidStateException")
    kms.import_key_material(**prepared(kms, inside["Arn"], material, "RSA_AES_KEY_WRAP_SHA_256"), **FOREVER)
    assert kms.verify(**what, Signature=kms.sign(**what)["Signature"])["SignatureValid"] is True


def test_material_is_held_or_refused(nss: Any) -> None:
    """Asked when the key is made, not when its material comes."""
    parameters = {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "CustomKeyStoreId": "hsm"}
    answer = refusal(nss.create_key, **parameters, Origin="EXTERNAL")
    assert answer == (400, "UnsupportedOperationException")


def test_the_key_stays_inside(gateway: Gateway, kms: Any, tmp_path: Path) -> None:
    """No private key in any file of the data directory, of whatever encoding; the public one is there."""
    key = make(kms, "ECC_NIST_P256", "SIGN_VERIFY")["Arn"]
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    files = [path for path in (gateway.data / "kms").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert public[-65:] in content
    assert b"\x04\x6d\x30\x6b\x02\x01\x01\x04\x20" not in content  # OCTET STRING { ECPrivateKey, version 1, 32 bytes }
