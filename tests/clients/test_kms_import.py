"""Import of key material through boto3: each way to wrap, objects under imported keys, and what is refused."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.clients.checks import error_of, refusal
from tests.clients.importing import FOREVER, prepared


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"])


@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [
        ("RSAES_OAEP_SHA_1", "RSA_2048"),
        ("RSAES_OAEP_SHA_256", "RSA_3072"),
        ("RSA_AES_KEY_WRAP_SHA_1", "RSA_2048"),
        ("RSA_AES_KEY_WRAP_SHA_256", "RSA_4096"),
    ],
)
def test_each_way_to_wrap(kms: Any, key: str, algorithm: str, spec: str) -> None:
    done = kms.import_key_material(**prepared(kms, key, os.urandom(32), algorithm, spec), **FOREVER)
    assert done["KeyId"] == key
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"], metadata["Origin"]) == ("Enabled", True, "EXTERNAL")
    assert (metadata["ExpirationModel"], metadata["CurrentKeyMaterialId"]) == (
        "KEY_MATERIAL_DOES_NOT_EXPIRE",
        done["KeyMaterialId"],
    )
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_objects_open_while_the_material_is_there(s3: Any, kms: Any, bucket: str, key: str) -> None:
    made = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (made["KeyState"], made["Enabled"]) == ("PendingImport", False)
    assert not {"ExpirationModel", "ValidTo", "CurrentKeyMaterialId"} & set(made)
    under = {"Bucket": bucket, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    assert refusal(s3.put_object, **under, Key="k", Body=b"x")[0] == 400
    material, until = os.urandom(32), datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    kms.import_key_material(**prepared(kms, key, material), ValidTo=until)
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (metadata["ExpirationModel"], metadata["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", until)
    s3.put_object(**under, Key="k", Body=b"secret")
    first = kms.delete_imported_key_material(KeyId=key)["KeyMaterialId"]
    assert refusal(s3.get_object, Bucket=bucket, Key="k")[0] == 400
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"
    wrong = error_of(kms.import_key_material, **prepared(kms, key, os.urandom(32)), **FOREVER)
    assert wrong["Error"]["Code"] == "IncorrectKeyMaterialException"
    again = kms.import_key_material(**prepared(kms, key, material), **FOREVER, KeyMaterialId=first)
    assert again["KeyMaterialId"] == first
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"


def test_new_material_and_its_rotation(s3: Any, kms: Any, bucket: str, key: str) -> None:
    one = kms.import_key_material(**prepared(kms, key, os.urandom(32)), **FOREVER)["KeyMaterialId"]
    under = {"Bucket": bucket, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(**under, Key="old", Body=b"old")
    new = {**FOREVER, "ImportType": "NEW_KEY_MATERIAL", "KeyMaterialDescription": "2027"}
    two = kms.import_key_material(**prepared(kms, key, os.urandom(32)), **new)["KeyMaterialId"]
    third = error_of(kms.import_key_material, **prepared(kms, key, os.urandom(32)), **new)["Error"]
    assert third["Code"] == "KMSInvalidStateException"
    assert third["Message"].endswith(f"another key material (id: {two}) is pending rotation.")
    kms.rotate_key_on_demand(KeyId=key)
    none = error_of(kms.rotate_key_on_demand, KeyId=key)["Error"]
    assert none["Message"] == f"No available key material pending rotation for the key: {key}."
    s3.put_object(**under, Key="new", Body=b"new")
    for name in ("old", "new"):
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()
    every = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [(each["KeyMaterialId"], each["KeyMaterialState"], each["ImportState"]) for each in every] == [
        (one, "NON_CURRENT", "IMPORTED"),
        (two, "CURRENT", "IMPORTED"),
    ]
    assert every[1]["KeyMaterialDescription"] == "2027"


@pytest.mark.parametrize(("spec", "size"), [("HMAC_224", 28), ("HMAC_256", 32), ("HMAC_384", 48), ("HMAC_512", 64)])
def test_hmac_keys(kms: Any, spec: str, size: int) -> None:
    made = kms.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    key, algorithm, material = made["Arn"], made["MacAlgorithms"][0], os.urandom(size)
    assert refusal(kms.generate_mac, KeyId=key, Message=b"m", MacAlgorithm=algorithm) == (
        400,
        "KMSInvalidStateException",
    )
    short = prepared(kms, key, material[:-1])
    assert refusal(kms.import_key_material, **short, **FOREVER) == (400, "IncorrectKeyMaterialException")
    kms.import_key_material(**prepared(kms, key, material), **FOREVER)
    mac = kms.generate_mac(KeyId=key, Message=b"m", MacAlgorithm=algorithm)["Mac"]
    assert mac == hmac.digest(material, b"m", f"sha{spec.removeprefix('HMAC_')}")
    again = prepared(kms, key, material)
    assert (
        refusal(kms.import_key_material, **again, **FOREVER, ImportType="NEW_KEY_MATERIAL")[1] == "ValidationException"
    )
    changed = prepared(kms, key, os.urandom(size))
    assert refusal(kms.import_key_material, **changed, **FOREVER)[1] == "IncorrectKeyMaterialException"
    kms.import_key_material(**again, **FOREVER)


def algorithm_oid(pkcs8: bytes) -> bytes:
    """Of rsaEncryption or id-ecPublicKey, as it stands in the PKCS#8."""
    return next(oid for oid in map(bytes.fromhex, ("2a864886f70d010101", "2a8648ce3d0201")) if oid in pkcs8)


@pytest.mark.parametrize(
    ("spec", "private_key", "algorithm"),
    [
        ("RSA_2048", lambda: rsa.generate_private_key(65537, 2048), "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", lambda: ec.generate_private_key(ec.SECP256R1()), "ECDSA_SHA_256"),
        ("ECC_NIST_P521", lambda: ec.generate_private_key(ec.SECP521R1()), "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", lambda: ec.generate_private_key(ec.SECP256K1()), "ECDSA_SHA_256"),
    ],
)
def test_private_keys(kms: Any, spec: str, private_key: Callable[[], Any], algorithm: str) -> None:
    made = kms.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    key, mine = made["Arn"], private_key()
    assert made["KeyState"] == "PendingImport"
    pkcs8 = mine.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    other = private_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    kms.import_key_material(**prepared(kms, key, pkcs8, "RSA_AES_KEY_WRAP_SHA_256"), **FOREVER)
    public = mine.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert kms.get_public_key(KeyId=key)["PublicKey"] == public
    signed = kms.sign(KeyId=key, Message=b"m", SigningAlgorithm=algorithm)
    assert kms.verify(KeyId=key, Message=b"m", SigningAlgorithm=algorithm, Signature=signed["Signature"])[
        "SignatureValid"
    ]
    kms.delete_imported_key_material(KeyId=key)
    assert refusal(kms.sign, KeyId=key, Message=b"m", SigningAlgorithm=algorithm) == (400, "KMSInvalidStateException")
    unknown_kind = pkcs8.replace(algorithm_oid(pkcs8), algorithm_oid(pkcs8)[:-1] + b"\x7f")
    for wrong in (other, b"no key", pkcs8 + b"x", unknown_kind):
        refused = prepared(kms, key, wrong, "RSA_AES_KEY_WRAP_SHA_256")
        assert refusal(kms.import_key_material, **refused, **FOREVER) == (400, "IncorrectKeyMaterialException")
    kms.import_key_material(**prepared(kms, key, pkcs8, "RSA_AES_KEY_WRAP_SHA_1"), **FOREVER)
    assert kms.verify(KeyId=key, Message=b"m", SigningAlgorithm=algorithm, Signature=signed["Signature"])[
        "SignatureValid"
    ]


def test_what_takes_no_import(kms: Any) -> None:
    for spec in ("ML_DSA_44", "ML_DSA_87"):
        answer = refusal(kms.create_key, Origin="EXTERNAL", KeySpec=spec, KeyUsage="SIGN_VERIFY")
        assert answer == (400, "UnsupportedOperationException")
    key = kms.create_key(Origin="EXTERNAL", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    parameters = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_4096"}
    assert refusal(kms.get_parameters_for_import, KeyId=key, **parameters) == (400, "UnsupportedOperationException")


def test_what_is_refused(kms: Any, kms_key: str, key: str) -> None:
    good = prepared(kms, key, os.urandom(32))
    other = str(kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"])
    missing = key[:-12] + "0" * 12
    soon = datetime.now(UTC) + timedelta(hours=1)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"KeyId": other}, "InvalidImportTokenException"),
        ({"ImportToken": b"token"}, "InvalidImportTokenException"),
        ({"EncryptedKeyMaterial": b"material"}, "InvalidCiphertextException"),
        ({"KeyId": kms_key}, "UnsupportedOperationException"),
        ({"KeyId": missing}, "NotFoundException"),
        ({"KeyId": "alias/a"}, "InvalidArnException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, "ValidationException"),
        ({"ValidTo": soon}, "ValidationException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": soon + timedelta(days=365)}, "ValidationException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": soon - timedelta(days=1)}, "ValidationException"),
        ({"ImportType": "EXISTING_KEY_MATERIAL"}, "IncorrectKeyMaterialException"),
        ({"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialId": "ab" * 32}, "ValidationException"),
        ({"ImportType": "SOME"}, "ValidationException"),
        ({"KeyMaterialDescription": "*"}, "ValidationException"),
        ({"KeyMaterialId": "AB" * 32}, "ValidationException"),
    ]
    for changes, code in cases:
        assert refusal(kms.import_key_material, **{**good, **FOREVER, **changes}) == (400, code), changes
    for size in (16, 31, 33):
        short = prepared(kms, key, os.urandom(size))
        assert refusal(kms.import_key_material, **short, **FOREVER) == (400, "IncorrectKeyMaterialException")
    parameters = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    for key_id, code in ((kms_key, "UnsupportedOperationException"), (missing, "NotFoundException")):
        assert refusal(kms.get_parameters_for_import, KeyId=key_id, **parameters) == (400, code)
        assert refusal(kms.delete_imported_key_material, KeyId=key_id) == (400, code)
    for wrong in (
        {"WrappingAlgorithm": "RSAES_PKCS1_V1_5"},
        {"WrappingAlgorithm": "SM2PKE"},
        {"WrappingKeySpec": "SM2"},
    ):
        answer = refusal(kms.get_parameters_for_import, KeyId=key, **{**parameters, **wrong})
        assert answer == (400, "UnsupportedOperationException")
    assert kms.delete_imported_key_material(KeyId=key)["KeyId"] == key
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refusal(kms.import_key_material, **good, **FOREVER) == (400, "KMSInvalidStateException")
    assert refusal(kms.get_parameters_for_import, KeyId=key, **parameters) == (400, "KMSInvalidStateException")
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"
    kms.import_key_material(**good, **FOREVER)
