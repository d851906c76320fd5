"""Keys that never leave the HSM, through boto3."""

from __future__ import annotations

import hmac
import os
from typing import Any

import pytest

from kms.hsm.provision import find_softhsm
from tests.clients.checks import refusal
from tests.clients.importing import FOREVER, prepared

pytestmark = [
    pytest.mark.hsm,
    pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed, and a file root holds no keys"),
]


def test_a_key_of_the_hsm_serves_as_any_other(kms: Any) -> None:
    key_id = kms.create_key(CustomKeyStoreId="hsm")["KeyMetadata"]["KeyId"]
    data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext={"a": "b"})
    opened = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == data_key["Plaintext"]
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"a": "c"})
    other = kms.create_key(CustomKeyStoreId="software")["KeyMetadata"]["KeyId"]
    moved = kms.re_encrypt(
        CiphertextBlob=data_key["CiphertextBlob"],
        SourceEncryptionContext={"a": "b"},
        DestinationKeyId=other,
    )
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    kms.disable_key(KeyId=key_id)
    with pytest.raises(kms.exceptions.DisabledException):
        kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext={"a": "b"})


def test_a_tag_chooses_as_well_and_rotation_keeps_the_level(kms: Any) -> None:
    tags = [{"TagKey": "sealgate:protection", "TagValue": "hsm"}, {"TagKey": "team", "TagValue": "ledger"}]
    key_id = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    blobs = [kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]]
    kms.rotate_key_on_demand(KeyId=key_id)
    blobs.append(kms.encrypt(KeyId=key_id, Plaintext=b"after")["CiphertextBlob"])
    assert [kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in blobs] == [b"before", b"after"]
    assert kms.list_resource_tags(KeyId=key_id)["Tags"] == tags


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_an_hmac_key_of_the_hsm(kms: Any, bits: int) -> None:
    made = kms.create_key(KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC", CustomKeyStoreId="hsm")
    what = {"KeyId": made["KeyMetadata"]["Arn"], "MacAlgorithm": f"HMAC_SHA_{bits}", "Message": b"net 30 days"}
    mac = kms.generate_mac(**what)["Mac"]
    assert len(mac) == bits // 8
    assert kms.generate_mac(**what)["Mac"] == mac
    assert kms.verify_mac(**what, Mac=mac)["MacValid"] is True
    wrong = bytes([mac[0] ^ 1]) + mac[1:]
    assert refusal(kms.verify_mac, **what, Mac=wrong) == (400, "KMSInvalidMacException")
    kms.disable_key(KeyId=what["KeyId"])
    assert refusal(kms.generate_mac, **what) == (400, "DisabledException")


@pytest.mark.parametrize(("bits", "size"), [(224, 28), (256, 32), (384, 48), (512, 64)])
def test_imported_hmac_keys_say_the_same_under_both_levels(kms: Any, bits: int, size: int) -> None:
    material, message = os.urandom(size), b"net 30 days"
    spec = {"KeySpec": f"HMAC_{bits}", "KeyUsage": "GENERATE_VERIFY_MAC", "Origin": "EXTERNAL"}
    for level in ("hsm", "software"):
        key = kms.create_key(**spec, CustomKeyStoreId=level)["KeyMetadata"]["Arn"]
        kms.import_key_material(**prepared(kms, key, material), **FOREVER)
        mac = kms.generate_mac(KeyId=key, MacAlgorithm=f"HMAC_SHA_{bits}", Message=message)["Mac"]
        assert mac == hmac.digest(material, message, f"sha{bits}")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Tags": [{"TagKey": "sealgate:protection", "TagValue": "tpm"}]}, "TagException"),
        ({"CustomKeyStoreId": "cks-1234567890abcdef0"}, "CustomKeyStoreNotFoundException"),
        (
            {"CustomKeyStoreId": "hsm", "Tags": [{"TagKey": "sealgate:protection", "TagValue": "software"}]},
            "ValidationException",
        ),
    ],
)
def test_another_choice_is_refused(kms: Any, parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(kms.exceptions.ClientError) as caught:
        kms.create_key(**parameters)
    assert caught.value.response["Error"]["Code"] == code
