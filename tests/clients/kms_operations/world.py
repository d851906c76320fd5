"""What calls need to stand on: keys of every kind, ciphertexts, grants, imports. All made through boto3."""

from __future__ import annotations

import os
import uuid
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

ABSENT = "00000000-0000-4000-8000-000000000000"
OTHER_REGION = "eu-central-1"
FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}

KINDS: dict[str, dict[str, Any]] = {
    "symmetric": {},
    "signing": {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
    "agreement": {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"},
    "mac": {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    "multi-Region": {"MultiRegion": True},
    "external": {"Origin": "EXTERNAL"},
}
"""Parameters of CreateKey."""


def method_of(kms: Any, operation: str) -> Any:
    """The client's method for an operation of the model."""
    methods = {name: method for method, name in kms.meta.method_to_api_mapping.items()}
    return getattr(kms, methods[operation])


class World:
    """One account of a running gateway, whose KMS `kms` asks in its home region."""

    def __init__(self, kms: Any) -> None:
        self.kms = kms

    def key(self, kind: str = "symmetric") -> str:
        """The ARN of a new key."""
        return str(self.kms.create_key(**KINDS[kind])["KeyMetadata"]["Arn"])

    @cached_property
    def root_user(self) -> str:
        """The ARN of the account's root user."""
        account = self.key().split(":")[4]
        return f"arn:aws:iam::{account}:root"

    @cached_property
    def peer(self) -> bytes:
        """The public key of somebody to agree with."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def disabled(self, key: str) -> str:
        self.kms.disable_key(KeyId=key)
        return key

    def pending_deletion(self, key: str) -> str:
        self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        return key

    def replicated(self, key: str) -> str:
        self.kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        return key

    def alias_name(self) -> str:
        """A name that is not taken."""
        return f"alias/{uuid.uuid4()}"

    def alias(self, key: str) -> str:
        name = self.alias_name()
        self.kms.create_alias(AliasName=name, TargetKeyId=key)
        return name

    def with_fifty_aliases(self, key: str) -> str:
        for _ in range(50):
            self.alias(key)
        return key

    def with_fifty_tags(self, key: str) -> str:
        self.kms.tag_resource(KeyId=key, Tags=[{"TagKey": str(number), "TagValue": ""} for number in range(50)])
        return key

    def rotated_25_times(self, key: str) -> str:
        for _ in range(25):
            self.kms.rotate_key_on_demand(KeyId=key)
        return key

    def blob(self, key: str) -> bytes:
        return bytes(self.kms.encrypt(KeyId=key, Plaintext=b"plaintext")["CiphertextBlob"])

    def signature(self, key: str) -> bytes:
        return bytes(self.kms.sign(KeyId=key, Message=b"message", SigningAlgorithm="ECDSA_SHA_256")["Signature"])

    def mac(self, key: str) -> bytes:
        return bytes(self.kms.generate_mac(KeyId=key, Message=b"message", MacAlgorithm="HMAC_SHA_256")["Mac"])

    def policy(self, key: str) -> str:
        return str(self.kms.get_key_policy(KeyId=key)["Policy"])

    def grant(self, key: str) -> str:
        """The id of a new grant on `key`."""
        made = self.kms.create_grant(KeyId=key, GranteePrincipal=self.root_user, Operations=["DescribeKey"])
        return str(made["GrantId"])

    def import_of(self, key: str, material: bytes | None = None) -> dict[str, Any]:
        """Parameters of an ImportKeyMaterial that succeeds."""
        given = self.kms.get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        wrapping_key = load_der_public_key(given["PublicKey"])
        assert isinstance(wrapping_key, rsa.RSAPublicKey)
        wrapped = wrapping_key.encrypt(material or os.urandom(32), OAEP(MGF1(SHA256()), SHA256(), None))
        return {"KeyId": key, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": wrapped, **FOREVER}

    def imported(self, key: str) -> str:
        self.kms.import_key_material(**self.import_of(key))
        return key
