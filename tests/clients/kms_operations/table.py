"""The table: every operation that is served. It equals the model; test_kms_every_operation.py says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.clients.kms_operations.case import Case, Parameters, Request
from tests.clients.kms_operations.world import ABSENT, OTHER_REGION, World

EVERY_STATE = {"KMSInvalidStateException": "done in every state that a key can be in"}
ALIASES_TAKEN = {
    "InvalidArnException": "takes aliases, and what is no ARN of a key is NotFoundException, as AWS answers it"
}
MANY_KEYS = {"LimitExceededException": "a hundred thousand keys; tests/kms/service/test_service.py has a smaller quota"}
MARKER = {"Truncated"}
MATERIAL = {"KeyId", "CiphertextBlob", "KeyMaterialId"}
SEALED_PAIR = {"KeyId", "KeyMaterialId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"}
TAG = {"TagKey": "a", "TagValue": "b"}
RESERVED_TAG = {"TagKey": "aws:a", "TagValue": "b"}
WRAPPING = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
SIGNED = {"Message": b"message", "SigningAlgorithm": "ECDSA_SHA_256"}
AUTHENTICATED = {"Message": b"message", "MacAlgorithm": "HMAC_SHA_256"}
PAIR = {"KeyPairSpec": "ECC_NIST_P256"}
RECIPIENT = {"Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"document"}}


def on_key(**members: Any) -> Request:
    """A request that names its key, and says the same of every key besides."""
    return lambda world, key: {"KeyId": key, **members}


def of_kind(kind: str, **members: Any) -> Callable[[World], Parameters]:
    """The same, on a key of a kind that is not the operation's."""
    return lambda world: {"KeyId": world.key(kind), **members}


def fixed(**members: Any) -> Callable[[World], Parameters]:
    return lambda world: members


# Requests that need more than a key


def decrypt(world: World, key: str) -> Parameters:
    return {"KeyId": key, "CiphertextBlob": world.blob(key)}


def re_encrypt(world: World, key: str) -> Parameters:
    source = world.key()
    return {"SourceKeyId": source, "CiphertextBlob": world.blob(source), "DestinationKeyId": key}


def create_alias(world: World, key: str) -> Parameters:
    return {"AliasName": world.alias_name(), "TargetKeyId": key}


def update_alias(world: World, key: str) -> Parameters:
    return {"AliasName": world.alias(world.key()), "TargetKeyId": key}


def delete_alias(world: World, key: str) -> Parameters:
    return {"AliasName": world.alias(key)}


def create_grant(world: World, key: str) -> Parameters:
    return {"KeyId": key, "GranteePrincipal": world.root_user, "Operations": ["DescribeKey"]}


def existing_grant(world: World, key: str) -> Parameters:
    return {"KeyId": key, "GrantId": world.grant(key)}


def tokenless(world: World) -> Parameters:
    return {"GrantToken": "token"}


def external_key(world: World) -> str:
    return world.imported(world.key("external"))


def other_material(world: World) -> Parameters:
    return world.import_of(external_key(world))


def import_under(**changes: Any) -> Callable[[World], Parameters]:
    return lambda world: {**world.import_of(world.key("external")), **changes}


def other_key_than_the_blobs(world: World) -> Parameters:
    return {"KeyId": world.key(), "CiphertextBlob": world.blob(world.key())}


def other_source_than_the_blobs(world: World) -> Parameters:
    return {**re_encrypt(world, world.key()), "SourceKeyId": world.key()}


CASES: dict[str, Case] = {
    # Keys
    "CreateKey": Case(
        request=lambda world, key: {"Description": "a key", "Tags": [TAG]},
        answer={"KeyMetadata"},
        key_member=None,
        errors={
            "MalformedPolicyDocumentException": fixed(Policy="{}"),
            "LimitExceededException": fixed(Policy=" " * 32_769),
            "UnsupportedOperationException": fixed(KeySpec="SM2", KeyUsage="SIGN_VERIFY"),
            "TagException": fixed(Tags=[TAG, TAG]),
            "CustomKeyStoreNotFoundException": fixed(CustomKeyStoreId="cks-1234567890abcdef0"),
        },
        never={"InvalidArnException": "an ARN in a policy that is none is MalformedPolicyDocumentException"},
    ),
    "DescribeKey": Case(request=on_key(), answer={"KeyMetadata"}, never=ALIASES_TAKEN),
    "ListKeys": Case(request=lambda world, key: {"Limit": 1000}, answer={"Keys"} | MARKER, key_member=None),
    "EnableKey": Case(
        request=on_key(), never={"LimitExceededException": "keys are counted when they are made, enabled or not"}
    ),
    "DisableKey": Case(request=on_key()),
    "ScheduleKeyDeletion": Case(
        request=on_key(PendingWindowInDays=7), answer={"KeyId", "DeletionDate", "KeyState", "PendingWindowInDays"}
    ),
    "CancelKeyDeletion": Case(
        request=lambda world, key: {"KeyId": world.pending_deletion(key)},
        answer={"KeyId"},
        errors={"KMSInvalidStateException": of_kind("symmetric")},
    ),
    "UpdateKeyDescription": Case(request=on_key(Description="described")),
    "GetKeyLastUsage": Case(request=on_key(), answer={"KeyId", "KeyCreationDate", "KeyLastUsage", "TrackingStartDate"}),
    # Aliases
    "CreateAlias": Case(
        request=create_alias,
        key_member="TargetKeyId",
        errors={
            "AlreadyExistsException": lambda world: {"AliasName": world.alias(world.key()), "TargetKeyId": world.key()},
            "InvalidAliasNameException": lambda world: {"AliasName": "alias/", "TargetKeyId": world.key()},
            "LimitExceededException": lambda world: create_alias(world, world.with_fifty_aliases(world.key())),
        },
    ),
    "UpdateAlias": Case(
        request=update_alias,
        key_member="TargetKeyId",
        errors={"LimitExceededException": lambda world: update_alias(world, world.with_fifty_aliases(world.key()))},
    ),
    "DeleteAlias": Case(
        request=delete_alias,
        key_member=None,
        errors={"NotFoundException": lambda world: {"AliasName": world.alias_name()}},
        never=EVERY_STATE,
    ),
    "ListAliases": Case(request=on_key(), answer={"Aliases"} | MARKER),
    # Cryptography by symmetric keys
    "Encrypt": Case(request=on_key(Plaintext=b"plaintext"), answer={"CiphertextBlob", "EncryptionAlgorithm", "KeyId"}),
    "Decrypt": Case(
        request=decrypt,
        answer={"EncryptionAlgorithm", "KeyId", "KeyMaterialId", "Plaintext"},
        errors={
            "InvalidCiphertextException": of_kind("symmetric", CiphertextBlob=b"none"),
            "IncorrectKeyException": other_key_than_the_blobs,
        },
    ),
    "ReEncrypt": Case(
        request=re_encrypt,
        answer={
            "CiphertextBlob",
            "DestinationEncryptionAlgorithm",
            "DestinationKeyMaterialId",
            "KeyId",
            "SourceEncryptionAlgorithm",
            "SourceKeyId",
            "SourceKeyMaterialId",
        },
        key_member="DestinationKeyId",
        errors={
            "InvalidCiphertextException": lambda world: {"CiphertextBlob": b"none", "DestinationKeyId": world.key()},
            "IncorrectKeyException": other_source_than_the_blobs,
        },
    ),
    "GenerateDataKey": Case(request=on_key(KeySpec="AES_256"), answer=MATERIAL | {"Plaintext"}),
    "GenerateDataKeyWithoutPlaintext": Case(request=on_key(NumberOfBytes=64), answer=MATERIAL),
    "GenerateDataKeyPair": Case(
        request=on_key(**PAIR),
        answer=SEALED_PAIR | {"PrivateKeyPlaintext"},
        errors={"UnsupportedOperationException": of_kind("symmetric", KeyPairSpec="SM2")},
    ),
    "GenerateDataKeyPairWithoutPlaintext": Case(
        request=on_key(**PAIR),
        answer=SEALED_PAIR,
        errors={"UnsupportedOperationException": of_kind("symmetric", KeyPairSpec="SM2")},
    ),
    "GenerateRandom": Case(
        request=lambda world, key: {"NumberOfBytes": 32},
        answer={"Plaintext"},
        key_member=None,
        errors={
            "UnsupportedOperationException": fixed(NumberOfBytes=32, **RECIPIENT),
            "CustomKeyStoreNotFoundException": fixed(NumberOfBytes=32, CustomKeyStoreId="cks-1234567890abcdef0"),
        },
    ),
    # Signatures, MACs, key agreement
    "Sign": Case(request=on_key(**SIGNED), answer={"KeyId", "Signature", "SigningAlgorithm"}, kind="signing"),
    "Verify": Case(
        request=lambda world, key: {"KeyId": key, **SIGNED, "Signature": world.signature(key)},
        answer={"KeyId", "SignatureValid", "SigningAlgorithm"},
        kind="signing",
        errors={"KMSInvalidSignatureException": of_kind("signing", **SIGNED, Signature=b"none")},
    ),
    "GetPublicKey": Case(
        request=on_key(),
        answer={"CustomerMasterKeySpec", "KeyId", "KeySpec", "KeyUsage", "PublicKey", "SigningAlgorithms"},
        kind="signing",
        errors={"UnsupportedOperationException": of_kind("symmetric")},
        never={
            **ALIASES_TAKEN,
            "InvalidKeyUsageException": "keys of every usage that have a public key show it",
        },
    ),
    "GenerateMac": Case(
        request=on_key(**AUTHENTICATED),
        answer={"KeyId", "Mac", "MacAlgorithm"},
        kind="mac",
        wrong_kind="symmetric",
    ),
    "VerifyMac": Case(
        request=lambda world, key: {"KeyId": key, **AUTHENTICATED, "Mac": world.mac(key)},
        answer={"KeyId", "MacAlgorithm", "MacValid"},
        kind="mac",
        wrong_kind="symmetric",
        errors={"KMSInvalidMacException": of_kind("mac", **AUTHENTICATED, Mac=b"none")},
    ),
    "DeriveSharedSecret": Case(
        request=lambda world, key: {"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": world.peer},
        answer={"KeyAgreementAlgorithm", "KeyId", "KeyOrigin", "SharedSecret"},
        kind="agreement",
    ),
    # Policies and grants
    "GetKeyPolicy": Case(request=on_key(), answer={"Policy", "PolicyName"}, never=EVERY_STATE),
    "PutKeyPolicy": Case(
        request=lambda world, key: {"KeyId": key, "Policy": world.policy(key)},
        errors={
            "MalformedPolicyDocumentException": of_kind("symmetric", Policy="{}"),
            "LimitExceededException": of_kind("symmetric", Policy=" " * 32_769),
        },
        never={
            **EVERY_STATE,
            "UnsupportedOperationException": "what a policy cannot say makes it malformed",
        },
    ),
    "ListKeyPolicies": Case(request=on_key(), answer={"PolicyNames"} | MARKER, never=EVERY_STATE),
    "CreateGrant": Case(
        request=create_grant,
        answer={"GrantId", "GrantToken"},
        never={"LimitExceededException": "50 000 grants; tests/kms/service/test_grants.py has a smaller quota"},
    ),
    "ListGrants": Case(
        request=on_key(),
        answer={"Grants"} | MARKER,
        errors={"InvalidGrantIdException": of_kind("symmetric", GrantId="id")},
        never=EVERY_STATE,
    ),
    "ListRetirableGrants": Case(
        request=lambda world, key: {"RetiringPrincipal": world.root_user},
        answer={"Grants"} | MARKER,
        key_member=None,
        errors={"InvalidArnException": fixed(RetiringPrincipal="nobody")},
        never={"NotFoundException": "names no key, and a principal need not have grants"},
    ),
    "RetireGrant": Case(
        request=existing_grant,
        errors={
            "InvalidGrantTokenException": tokenless,
            "InvalidGrantIdException": of_kind("symmetric", GrantId="id"),
        },
        never=EVERY_STATE,
    ),
    "RevokeGrant": Case(
        request=existing_grant,
        errors={"InvalidGrantIdException": of_kind("symmetric", GrantId="id")},
        never=EVERY_STATE,
    ),
    # Tags
    "TagResource": Case(
        request=on_key(Tags=[TAG]),
        errors={
            "LimitExceededException": lambda world: {"KeyId": world.with_fifty_tags(world.key()), "Tags": [TAG]},
            "TagException": of_kind("symmetric", Tags=[RESERVED_TAG]),
        },
    ),
    "UntagResource": Case(
        request=on_key(TagKeys=["a"]), errors={"TagException": of_kind("symmetric", TagKeys=["aws:a"])}
    ),
    "ListResourceTags": Case(request=on_key(), answer={"Tags"} | MARKER),
    # Rotation
    "EnableKeyRotation": Case(
        request=on_key(RotationPeriodInDays=90), errors={"UnsupportedOperationException": of_kind("signing")}
    ),
    "DisableKeyRotation": Case(request=on_key(), errors={"UnsupportedOperationException": of_kind("signing")}),
    "GetKeyRotationStatus": Case(
        request=on_key(),
        answer={"KeyId", "KeyRotationEnabled"},
        errors={"UnsupportedOperationException": of_kind("signing")},
        never=EVERY_STATE,
    ),
    "RotateKeyOnDemand": Case(
        request=on_key(),
        answer={"KeyId"},
        errors={
            "UnsupportedOperationException": of_kind("signing"),
            "LimitExceededException": lambda world: {"KeyId": world.rotated_25_times(world.key())},
        },
        never={"ConflictException": "two at once; tests/kms/service/test_rotation.py has them meet"},
    ),
    "ListKeyRotations": Case(
        request=on_key(),
        answer={"Rotations"} | MARKER,
        errors={"UnsupportedOperationException": of_kind("signing")},
        never=EVERY_STATE,
    ),
    # Imported key material
    "GetParametersForImport": Case(
        request=on_key(**WRAPPING),
        answer={"ImportToken", "KeyId", "ParametersValidTo", "PublicKey"},
        kind="external",
        errors={"UnsupportedOperationException": of_kind("symmetric", **WRAPPING)},
    ),
    "ImportKeyMaterial": Case(
        request=lambda world, key: world.import_of(key),
        answer={"KeyId", "KeyMaterialId"},
        kind="external",
        errors={
            "UnsupportedOperationException": lambda world: import_under(KeyId=world.key())(world),
            "InvalidCiphertextException": import_under(EncryptedKeyMaterial=b"none"),
            "IncorrectKeyMaterialException": other_material,
            "InvalidImportTokenException": import_under(ImportToken=b"none"),
        },
        never={
            "ExpiredImportTokenException": "tokens serve for a day; tests/kms/service/test_importing.py has it pass"
        },
    ),
    "DeleteImportedKeyMaterial": Case(
        request=lambda world, key: {"KeyId": world.imported(key)},
        answer={"KeyId", "KeyMaterialId"},
        kind="external",
        errors={"UnsupportedOperationException": of_kind("symmetric")},
        never=EVERY_STATE,
    ),
    # Multi-Region keys
    "ReplicateKey": Case(
        request=on_key(ReplicaRegion=OTHER_REGION),
        answer={"ReplicaKeyMetadata", "ReplicaPolicy", "ReplicaTags"},
        kind="multi-Region",
        errors={
            "AlreadyExistsException": lambda world: {
                "KeyId": world.replicated(world.key("multi-Region")),
                "ReplicaRegion": OTHER_REGION,
            },
            "LimitExceededException": of_kind("multi-Region", ReplicaRegion=OTHER_REGION, Policy=" " * 32_769),
            "MalformedPolicyDocumentException": of_kind("multi-Region", ReplicaRegion=OTHER_REGION, Policy="{}"),
            "TagException": of_kind("multi-Region", ReplicaRegion=OTHER_REGION, Tags=[TAG, TAG]),
            "UnsupportedOperationException": of_kind("symmetric", ReplicaRegion=OTHER_REGION),
        },
    ),
    "UpdatePrimaryRegion": Case(
        request=lambda world, key: {"KeyId": world.replicated(key), "PrimaryRegion": OTHER_REGION},
        kind="multi-Region",
        errors={"UnsupportedOperationException": of_kind("symmetric", PrimaryRegion=OTHER_REGION)},
    ),
}

STORE = {"CustomKeyStoreId": "cks-1234567890abcdef0"}
KEM = {"KeyId": ABSENT, "EncapsulationAlgorithm": "ML_KEM"}

UNSERVED: dict[str, Parameters] = {
    "ConnectCustomKeyStore": STORE,
    "CreateCustomKeyStore": {"CustomKeyStoreName": "store"},
    "Decapsulate": {**KEM, "SharedSecretCiphertextBlob": b"blob"},
    "DeleteCustomKeyStore": STORE,
    "DescribeCustomKeyStores": {},
    "DisconnectCustomKeyStore": STORE,
    "Encapsulate": KEM,
    "UpdateCustomKeyStore": STORE,
}
"""What is refused by name, and a request that the model allows: custom key stores, and key encapsulation."""
