"""Keys that never leave the HSM, through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from kms.hsm.provision import find_softhsm

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
