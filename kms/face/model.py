"""Operations of the AWS KMS API and the shapes of their requests.

Made by tests/kms/face/generate_model.py from botocore's KMS model (API version 2014-11-01); not edited by hand.
"""

from __future__ import annotations

from iam.face.shapes import Kind, Shape

TARGET_PREFIX = "TrentService"

INPUTS: dict[str, str] = {
    "CancelKeyDeletion": "CancelKeyDeletionRequest",
    "ConnectCustomKeyStore": "ConnectCustomKeyStoreRequest",
    "CreateAlias": "CreateAliasRequest",
    "CreateCustomKeyStore": "CreateCustomKeyStoreRequest",
    "CreateGrant": "CreateGrantRequest",
    "CreateKey": "CreateKeyRequest",
    "Decapsulate": "DecapsulateRequest",
    "Decrypt": "DecryptRequest",
    "DeleteAlias": "DeleteAliasRequest",
    "DeleteCustomKeyStore": "DeleteCustomKeyStoreRequest",
    "DeleteImportedKeyMaterial": "DeleteImportedKeyMaterialRequest",
    "DeriveSharedSecret": "DeriveSharedSecretRequest",
    "DescribeCustomKeyStores": "DescribeCustomKeyStoresRequest",
    "DescribeKey": "DescribeKeyRequest",
    "DisableKey": "DisableKeyRequest",
    "DisableKeyRotation": "DisableKeyRotationRequest",
    "DisconnectCustomKeyStore": "DisconnectCustomKeyStoreRequest",
    "EnableKey": "EnableKeyRequest",
    "EnableKeyRotation": "EnableKeyRotationRequest",
    "Encapsulate": "EncapsulateRequest",
    "Encrypt": "EncryptRequest",
    "GenerateDataKey": "GenerateDataKeyRequest",
    "GenerateDataKeyPair": "GenerateDataKeyPairRequest",
    "GenerateDataKeyPairWithoutPlaintext": "GenerateDataKeyPairWithoutPlaintextRequest",
    "GenerateDataKeyWithoutPlaintext": "GenerateDataKeyWithoutPlaintextRequest",
    "GenerateMac": "GenerateMacRequest",
    "GenerateRandom": "GenerateRandomRequest",
    "GetKeyLastUsage": "GetKeyLastUsageRequest",
    "GetKeyPolicy": "GetKeyPolicyRequest",
    "GetKeyRotationStatus": "GetKeyRotationStatusRequest",
    "GetParametersForImport": "GetParametersForImportRequest",
    "GetPublicKey": "GetPublicKeyRequest",
    "ImportKeyMaterial": "ImportKeyMaterialRequest",
    "ListAliases": "ListAliasesRequest",
    "ListGrants": "ListGrantsRequest",
    "ListKeyPolicies": "ListKeyPoliciesRequest",
    "ListKeyRotations": "ListKeyRotationsRequest",
    "ListKeys": "ListKeysRequest",
    "ListResourceTags": "ListResourceTagsRequest",
    "ListRetirableGrants": "ListRetirableGrantsRequest",
    "PutKeyPolicy": "PutKeyPolicyRequest",
    "ReEncrypt": "ReEncryptRequest",
    "ReplicateKey": "ReplicateKeyRequest",
    "RetireGrant": "RetireGrantRequest",
    "RevokeGrant": "RevokeGrantRequest",
    "RotateKeyOnDemand": "RotateKeyOnDemandRequest",
    "ScheduleKeyDeletion": "ScheduleKeyDeletionRequest",
    "Sign": "SignRequest",
    "TagResource": "TagResourceRequest",
    "UntagResource": "UntagResourceRequest",
    "UpdateAlias": "UpdateAliasRequest",
    "UpdateCustomKeyStore": "UpdateCustomKeyStoreRequest",
    "UpdateKeyDescription": "UpdateKeyDescriptionRequest",
    "UpdatePrimaryRegion": "UpdatePrimaryRegionRequest",
    "Verify": "VerifyRequest",
    "VerifyMac": "VerifyMacRequest",
}
"""Every operation of the API, with the shape of its request."""

SHAPES: dict[str, Shape] = {
    "AccountIdType": Shape(
        Kind.STRING,
        minimum=12,
        maximum=12,
        pattern="[0-9]{12}",
    ),
    "AlgorithmSpec": Shape(
        Kind.STRING,
        enum=(
            "RSAES_PKCS1_V1_5",
            "RSAES_OAEP_SHA_1",
            "RSAES_OAEP_SHA_256",
            "RSA_AES_KEY_WRAP_SHA_1",
            "RSA_AES_KEY_WRAP_SHA_256",
            "SM2PKE",
        ),
    ),
    "AliasNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=256,
        pattern="^[a-zA-Z0-9:/_-]+$",
    ),
    "AttestationDocumentType": Shape(
        Kind.BLOB,
        minimum=1,
        maximum=262144,
    ),
    "BackingKeyIdType": Shape(
        Kind.STRING,
        minimum=64,
        maximum=64,
        pattern="^[a-f0-9]+$",
    ),
    "BooleanType": Shape(
        Kind.BOOLEAN,
    ),
    "CancelKeyDeletionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "CiphertextType": Shape(
        Kind.BLOB,
        minimum=1,
        maximum=6144,
    ),
    "CloudHsmClusterIdType": Shape(
        Kind.STRING,
        minimum=19,
        maximum=24,
        pattern="cluster-[2-7a-zA-Z]{11,16}",
    ),
    "ConnectCustomKeyStoreRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CustomKeyStoreId": "CustomKeyStoreIdType",
        },
        required=("CustomKeyStoreId",),
    ),
    "CreateAliasRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AliasName": "AliasNameType",
            "TargetKeyId": "KeyIdType",
        },
        required=(
            "AliasName",
            "TargetKeyId",
        ),
    ),
    "CreateCustomKeyStoreRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CustomKeyStoreName": "CustomKeyStoreNameType",
            "CloudHsmClusterId": "CloudHsmClusterIdType",
            "TrustAnchorCertificate": "TrustAnchorCertificateType",
            "KeyStorePassword": "KeyStorePasswordType",
            "CustomKeyStoreType": "CustomKeyStoreType",
            "XksProxyUriEndpoint": "XksProxyUriEndpointType",
            "XksProxyUriPath": "XksProxyUriPathType",
            "XksProxyVpcEndpointServiceName": "XksProxyVpcEndpointServiceNameType",
            "XksProxyVpcEndpointServiceOwner": "AccountIdType",
            "XksProxyAuthenticationCredential": "XksProxyAuthenticationCredentialType",
            "XksProxyConnectivity": "XksProxyConnectivityType",
        },
        required=("CustomKeyStoreName",),
    ),
    "CreateGrantRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "GranteePrincipal": "PrincipalIdType",
            "RetiringPrincipal": "PrincipalIdType",
            "Operations": "GrantOperationList",
            "Constraints": "GrantConstraints",
            "GrantTokens": "GrantTokenList",
            "Name": "GrantNameType",
            "DryRun": "NullableBooleanType",
            "GranteeServicePrincipal": "ServicePrincipalType",
            "RetiringServicePrincipal": "ServicePrincipalType",
        },
        required=(
            "KeyId",
            "Operations",
        ),
    ),
    "CreateKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Policy": "PolicyType",
            "Description": "DescriptionType",
            "KeyUsage": "KeyUsageType",
            "CustomerMasterKeySpec": "CustomerMasterKeySpec",
            "KeySpec": "KeySpec",
            "Origin": "OriginType",
            "CustomKeyStoreId": "CustomKeyStoreIdType",
            "BypassPolicyLockoutSafetyCheck": "BooleanType",
            "Tags": "TagList",
            "MultiRegion": "NullableBooleanType",
            "XksKeyId": "XksKeyIdType",
        },
    ),
    "CustomKeyStoreIdType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=64,
    ),
    "CustomKeyStoreNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=256,
    ),
    "CustomKeyStoreType": Shape(
        Kind.STRING,
        enum=(
            "AWS_CLOUDHSM",
            "EXTERNAL_KEY_STORE",
        ),
    ),
    "CustomerMasterKeySpec": Shape(
        Kind.STRING,
        enum=(
            "RSA_2048",
            "RSA_3072",
            "RSA_4096",
            "ECC_NIST_P256",
            "ECC_NIST_P384",
            "ECC_NIST_P521",
            "ECC_SECG_P256K1",
            "SYMMETRIC_DEFAULT",
            "HMAC_224",
            "HMAC_256",
            "HMAC_384",
            "HMAC_512",
            "SM2",
        ),
    ),
    "DataKeyPairSpec": Shape(
        Kind.STRING,
        enum=(
            "RSA_2048",
            "RSA_3072",
            "RSA_4096",
            "ECC_NIST_P256",
            "ECC_NIST_P384",
            "ECC_NIST_P521",
            "ECC_SECG_P256K1",
            "SM2",
            "ECC_NIST_EDWARDS25519",
            "ML_KEM_512",
            "ML_KEM_768",
            "ML_KEM_1024",
        ),
    ),
    "DataKeySpec": Shape(
        Kind.STRING,
        enum=(
            "AES_256",
            "AES_128",
        ),
    ),
    "DateType": Shape(
        Kind.TIMESTAMP,
    ),
    "DecapsulateRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "SharedSecretCiphertextBlob": "CiphertextType",
            "EncapsulationAlgorithm": "EncapsulationAlgorithmSpec",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "SharedSecretCiphertextBlob",
            "EncapsulationAlgorithm",
        ),
    ),
    "DecryptRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CiphertextBlob": "CiphertextType",
            "EncryptionContext": "EncryptionContextType",
            "GrantTokens": "GrantTokenList",
            "KeyId": "KeyIdType",
            "EncryptionAlgorithm": "EncryptionAlgorithmSpec",
            "Recipient": "RecipientInfo",
            "DryRun": "NullableBooleanType",
            "DryRunModifiers": "DryRunModifierList",
        },
    ),
    "DeleteAliasRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AliasName": "AliasNameType",
        },
        required=("AliasName",),
    ),
    "DeleteCustomKeyStoreRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CustomKeyStoreId": "CustomKeyStoreIdType",
        },
        required=("CustomKeyStoreId",),
    ),
    "DeleteImportedKeyMaterialRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "KeyMaterialId": "BackingKeyIdType",
        },
        required=("KeyId",),
    ),
    "DeriveSharedSecretRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "KeyAgreementAlgorithm": "KeyAgreementAlgorithmSpec",
            "PublicKey": "PublicKeyType",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
            "Recipient": "RecipientInfo",
        },
        required=(
            "KeyId",
            "KeyAgreementAlgorithm",
            "PublicKey",
        ),
    ),
    "DescribeCustomKeyStoresRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CustomKeyStoreId": "CustomKeyStoreIdType",
            "CustomKeyStoreName": "CustomKeyStoreNameType",
            "Limit": "LimitType",
            "Marker": "MarkerType",
        },
    ),
    "DescribeKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "GrantTokens": "GrantTokenList",
        },
        required=("KeyId",),
    ),
    "DescriptionType": Shape(
        Kind.STRING,
        minimum=0,
        maximum=8192,
    ),
    "DisableKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "DisableKeyRotationRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "DisconnectCustomKeyStoreRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CustomKeyStoreId": "CustomKeyStoreIdType",
        },
        required=("CustomKeyStoreId",),
    ),
    "DryRunModifierList": Shape(
        Kind.LIST,
        item="DryRunModifierType",
    ),
    "DryRunModifierType": Shape(
        Kind.STRING,
        enum=("IGNORE_CIPHERTEXT",),
    ),
    "EnableKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "EnableKeyRotationRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "RotationPeriodInDays": "RotationPeriodInDaysType",
        },
        required=("KeyId",),
    ),
    "EncapsulateRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "EncapsulationAlgorithm": "EncapsulationAlgorithmSpec",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "EncapsulationAlgorithm",
        ),
    ),
    "EncapsulationAlgorithmSpec": Shape(
        Kind.STRING,
        enum=("ML_KEM",),
    ),
    "EncryptRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Plaintext": "PlaintextType",
            "EncryptionContext": "EncryptionContextType",
            "GrantTokens": "GrantTokenList",
            "EncryptionAlgorithm": "EncryptionAlgorithmSpec",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "Plaintext",
        ),
    ),
    "EncryptionAlgorithmSpec": Shape(
        Kind.STRING,
        enum=(
            "SYMMETRIC_DEFAULT",
            "RSAES_OAEP_SHA_1",
            "RSAES_OAEP_SHA_256",
            "SM2PKE",
        ),
    ),
    "EncryptionContextType": Shape(
        Kind.MAP,
        value="EncryptionContextValue",
    ),
    "EncryptionContextValue": Shape(
        Kind.STRING,
    ),
    "ExpirationModelType": Shape(
        Kind.STRING,
        enum=(
            "KEY_MATERIAL_EXPIRES",
            "KEY_MATERIAL_DOES_NOT_EXPIRE",
        ),
    ),
    "GenerateDataKeyPairRequest": Shape(
        Kind.STRUCTURE,
        members={
            "EncryptionContext": "EncryptionContextType",
            "KeyId": "KeyIdType",
            "KeyPairSpec": "DataKeyPairSpec",
            "GrantTokens": "GrantTokenList",
            "Recipient": "RecipientInfo",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "KeyPairSpec",
        ),
    ),
    "GenerateDataKeyPairWithoutPlaintextRequest": Shape(
        Kind.STRUCTURE,
        members={
            "EncryptionContext": "EncryptionContextType",
            "KeyId": "KeyIdType",
            "KeyPairSpec": "DataKeyPairSpec",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "KeyPairSpec",
        ),
    ),
    "GenerateDataKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "EncryptionContext": "EncryptionContextType",
            "NumberOfBytes": "NumberOfBytesType",
            "KeySpec": "DataKeySpec",
            "GrantTokens": "GrantTokenList",
            "Recipient": "RecipientInfo",
            "DryRun": "NullableBooleanType",
        },
        required=("KeyId",),
    ),
    "GenerateDataKeyWithoutPlaintextRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "EncryptionContext": "EncryptionContextType",
            "KeySpec": "DataKeySpec",
            "NumberOfBytes": "NumberOfBytesType",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=("KeyId",),
    ),
    "GenerateMacRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Message": "PlaintextType",
            "KeyId": "KeyIdType",
            "MacAlgorithm": "MacAlgorithmSpec",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "Message",
            "KeyId",
            "MacAlgorithm",
        ),
    ),
    "GenerateRandomRequest": Shape(
        Kind.STRUCTURE,
        members={
            "NumberOfBytes": "NumberOfBytesType",
            "CustomKeyStoreId": "CustomKeyStoreIdType",
            "Recipient": "RecipientInfo",
        },
    ),
    "GetKeyLastUsageRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "GetKeyPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "PolicyName": "PolicyNameType",
        },
        required=("KeyId",),
    ),
    "GetKeyRotationStatusRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "GetParametersForImportRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "WrappingAlgorithm": "AlgorithmSpec",
            "WrappingKeySpec": "WrappingKeySpec",
        },
        required=(
            "KeyId",
            "WrappingAlgorithm",
            "WrappingKeySpec",
        ),
    ),
    "GetPublicKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "GrantTokens": "GrantTokenList",
        },
        required=("KeyId",),
    ),
    "GrantConstraintSourceArnType": Shape(
        Kind.STRING,
        minimum=20,
        maximum=512,
        pattern="^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$",
    ),
    "GrantConstraints": Shape(
        Kind.STRUCTURE,
        members={
            "EncryptionContextSubset": "EncryptionContextType",
            "EncryptionContextEquals": "EncryptionContextType",
            "SourceArn": "GrantConstraintSourceArnType",
        },
    ),
    "GrantIdType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
    ),
    "GrantNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=256,
        pattern="^[a-zA-Z0-9:/_-]+$",
    ),
    "GrantOperation": Shape(
        Kind.STRING,
        enum=(
            "Decrypt",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "ReEncryptFrom",
            "ReEncryptTo",
            "Sign",
            "Verify",
            "GetPublicKey",
            "CreateGrant",
            "RetireGrant",
            "DescribeKey",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateMac",
            "VerifyMac",
            "DeriveSharedSecret",
            "Encapsulate",
            "Decapsulate",
        ),
    ),
    "GrantOperationList": Shape(
        Kind.LIST,
        item="GrantOperation",
    ),
    "GrantTokenList": Shape(
        Kind.LIST,
        minimum=0,
        maximum=10,
        item="GrantTokenType",
    ),
    "GrantTokenType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=8192,
    ),
    "ImportKeyMaterialRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "ImportToken": "CiphertextType",
            "EncryptedKeyMaterial": "CiphertextType",
            "ValidTo": "DateType",
            "ExpirationModel": "ExpirationModelType",
            "ImportType": "ImportType",
            "KeyMaterialDescription": "KeyMaterialDescriptionType",
            "KeyMaterialId": "BackingKeyIdType",
        },
        required=(
            "KeyId",
            "ImportToken",
            "EncryptedKeyMaterial",
        ),
    ),
    "ImportType": Shape(
        Kind.STRING,
        enum=(
            "NEW_KEY_MATERIAL",
            "EXISTING_KEY_MATERIAL",
        ),
    ),
    "IncludeKeyMaterial": Shape(
        Kind.STRING,
        enum=(
            "ALL_KEY_MATERIAL",
            "ROTATIONS_ONLY",
        ),
    ),
    "KeyAgreementAlgorithmSpec": Shape(
        Kind.STRING,
        enum=("ECDH",),
    ),
    "KeyEncryptionMechanism": Shape(
        Kind.STRING,
        enum=("RSAES_OAEP_SHA_256",),
    ),
    "KeyIdType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=2048,
    ),
    "KeyMaterialDescriptionType": Shape(
        Kind.STRING,
        minimum=0,
        maximum=256,
        pattern="^[a-zA-Z0-9:/_\\s.-]+$",
    ),
    "KeySpec": Shape(
        Kind.STRING,
        enum=(
            "RSA_2048",
            "RSA_3072",
            "RSA_4096",
            "ECC_NIST_P256",
            "ECC_NIST_P384",
            "ECC_NIST_P521",
            "ECC_SECG_P256K1",
            "SYMMETRIC_DEFAULT",
            "HMAC_224",
            "HMAC_256",
            "HMAC_384",
            "HMAC_512",
            "SM2",
            "ML_DSA_44",
            "ML_DSA_65",
            "ML_DSA_87",
            "ECC_NIST_EDWARDS25519",
            "ML_KEM_512",
            "ML_KEM_768",
            "ML_KEM_1024",
        ),
    ),
    "KeyStorePasswordType": Shape(
        Kind.STRING,
        minimum=7,
        maximum=32,
        is_sensitive=True,
    ),
    "KeyUsageType": Shape(
        Kind.STRING,
        enum=(
            "SIGN_VERIFY",
            "ENCRYPT_DECRYPT",
            "GENERATE_VERIFY_MAC",
            "KEY_AGREEMENT",
            "ENCAPSULATE_DECAPSULATE",
        ),
    ),
    "LimitType": Shape(
        Kind.INTEGER,
        minimum=1,
        maximum=1000,
    ),
    "ListAliasesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Limit": "LimitType",
            "Marker": "MarkerType",
        },
    ),
    "ListGrantsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Limit": "LimitType",
            "Marker": "MarkerType",
            "KeyId": "KeyIdType",
            "GrantId": "GrantIdType",
            "GranteePrincipal": "PrincipalIdType",
            "GranteeServicePrincipal": "ServicePrincipalType",
        },
        required=("KeyId",),
    ),
    "ListKeyPoliciesRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Limit": "LimitType",
            "Marker": "MarkerType",
        },
        required=("KeyId",),
    ),
    "ListKeyRotationsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "IncludeKeyMaterial": "IncludeKeyMaterial",
            "Limit": "LimitType",
            "Marker": "MarkerType",
        },
        required=("KeyId",),
    ),
    "ListKeysRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Limit": "LimitType",
            "Marker": "MarkerType",
            "ResourceOwners": "ResourceOwnersList",
        },
    ),
    "ListResourceTagsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Limit": "LimitType",
            "Marker": "MarkerType",
        },
        required=("KeyId",),
    ),
    "ListRetirableGrantsRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Limit": "LimitType",
            "Marker": "MarkerType",
            "RetiringPrincipal": "PrincipalIdType",
            "RetiringServicePrincipal": "ServicePrincipalType",
        },
    ),
    "MacAlgorithmSpec": Shape(
        Kind.STRING,
        enum=(
            "HMAC_SHA_224",
            "HMAC_SHA_256",
            "HMAC_SHA_384",
            "HMAC_SHA_512",
        ),
    ),
    "MarkerType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=1024,
        pattern="[\\u0020-\\u00FF]*",
    ),
    "MessageType": Shape(
        Kind.STRING,
        enum=(
            "RAW",
            "DIGEST",
            "EXTERNAL_MU",
        ),
    ),
    "NullableBooleanType": Shape(
        Kind.BOOLEAN,
    ),
    "NumberOfBytesType": Shape(
        Kind.INTEGER,
        minimum=1,
        maximum=1024,
    ),
    "OriginType": Shape(
        Kind.STRING,
        enum=(
            "AWS_KMS",
            "EXTERNAL",
            "AWS_CLOUDHSM",
            "EXTERNAL_KEY_STORE",
        ),
    ),
    "PendingWindowInDaysType": Shape(
        Kind.INTEGER,
        minimum=1,
        maximum=365,
    ),
    "PlaintextType": Shape(
        Kind.BLOB,
        minimum=1,
        maximum=4096,
        is_sensitive=True,
    ),
    "PolicyNameType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="[\\w]+",
    ),
    "PolicyType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=131072,
        pattern="[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    ),
    "PrincipalIdType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=256,
        pattern="^[\\w+=,.@:/-]+$",
    ),
    "PublicKeyType": Shape(
        Kind.BLOB,
        minimum=1,
        maximum=8192,
    ),
    "PutKeyPolicyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "PolicyName": "PolicyNameType",
            "Policy": "PolicyType",
            "BypassPolicyLockoutSafetyCheck": "BooleanType",
        },
        required=(
            "KeyId",
            "Policy",
        ),
    ),
    "ReEncryptRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CiphertextBlob": "CiphertextType",
            "SourceEncryptionContext": "EncryptionContextType",
            "SourceKeyId": "KeyIdType",
            "DestinationKeyId": "KeyIdType",
            "DestinationEncryptionContext": "EncryptionContextType",
            "SourceEncryptionAlgorithm": "EncryptionAlgorithmSpec",
            "DestinationEncryptionAlgorithm": "EncryptionAlgorithmSpec",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
            "DryRunModifiers": "DryRunModifierList",
        },
        required=("DestinationKeyId",),
    ),
    "RecipientInfo": Shape(
        Kind.STRUCTURE,
        members={
            "KeyEncryptionAlgorithm": "KeyEncryptionMechanism",
            "AttestationDocument": "AttestationDocumentType",
        },
    ),
    "RegionType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=32,
        pattern="^([a-z]+-){2,3}\\d+$",
    ),
    "ReplicateKeyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "ReplicaRegion": "RegionType",
            "Policy": "PolicyType",
            "BypassPolicyLockoutSafetyCheck": "BooleanType",
            "Description": "DescriptionType",
            "Tags": "TagList",
        },
        required=(
            "KeyId",
            "ReplicaRegion",
        ),
    ),
    "ResourceOwnerType": Shape(
        Kind.STRING,
        enum=(
            "SELF",
            "OTHER_ACCOUNTS_VIA_RAM",
        ),
    ),
    "ResourceOwnersList": Shape(
        Kind.LIST,
        minimum=1,
        maximum=2,
        item="ResourceOwnerType",
    ),
    "RetireGrantRequest": Shape(
        Kind.STRUCTURE,
        members={
            "GrantToken": "GrantTokenType",
            "KeyId": "KeyIdType",
            "GrantId": "GrantIdType",
            "DryRun": "NullableBooleanType",
        },
    ),
    "RevokeGrantRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "GrantId": "GrantIdType",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "GrantId",
        ),
    ),
    "RotateKeyOnDemandRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
        },
        required=("KeyId",),
    ),
    "RotationPeriodInDaysType": Shape(
        Kind.INTEGER,
        minimum=90,
        maximum=2560,
    ),
    "ScheduleKeyDeletionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "PendingWindowInDays": "PendingWindowInDaysType",
        },
        required=("KeyId",),
    ),
    "ServicePrincipalType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$",
    ),
    "SignRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Message": "PlaintextType",
            "MessageType": "MessageType",
            "GrantTokens": "GrantTokenList",
            "SigningAlgorithm": "SigningAlgorithmSpec",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "Message",
            "SigningAlgorithm",
        ),
    ),
    "SigningAlgorithmSpec": Shape(
        Kind.STRING,
        enum=(
            "RSASSA_PSS_SHA_256",
            "RSASSA_PSS_SHA_384",
            "RSASSA_PSS_SHA_512",
            "RSASSA_PKCS1_V1_5_SHA_256",
            "RSASSA_PKCS1_V1_5_SHA_384",
            "RSASSA_PKCS1_V1_5_SHA_512",
            "ECDSA_SHA_256",
            "ECDSA_SHA_384",
            "ECDSA_SHA_512",
            "SM2DSA",
            "ML_DSA_SHAKE_256",
            "ED25519_SHA_512",
            "ED25519_PH_SHA_512",
        ),
    ),
    "Tag": Shape(
        Kind.STRUCTURE,
        members={
            "TagKey": "TagKeyType",
            "TagValue": "TagValueType",
        },
        required=(
            "TagKey",
            "TagValue",
        ),
    ),
    "TagKeyList": Shape(
        Kind.LIST,
        item="TagKeyType",
    ),
    "TagKeyType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
    ),
    "TagList": Shape(
        Kind.LIST,
        item="Tag",
    ),
    "TagResourceRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Tags": "TagList",
        },
        required=(
            "KeyId",
            "Tags",
        ),
    ),
    "TagValueType": Shape(
        Kind.STRING,
        minimum=0,
        maximum=256,
    ),
    "TrustAnchorCertificateType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=5000,
    ),
    "UntagResourceRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "TagKeys": "TagKeyList",
        },
        required=(
            "KeyId",
            "TagKeys",
        ),
    ),
    "UpdateAliasRequest": Shape(
        Kind.STRUCTURE,
        members={
            "AliasName": "AliasNameType",
            "TargetKeyId": "KeyIdType",
        },
        required=(
            "AliasName",
            "TargetKeyId",
        ),
    ),
    "UpdateCustomKeyStoreRequest": Shape(
        Kind.STRUCTURE,
        members={
            "CustomKeyStoreId": "CustomKeyStoreIdType",
            "NewCustomKeyStoreName": "CustomKeyStoreNameType",
            "KeyStorePassword": "KeyStorePasswordType",
            "CloudHsmClusterId": "CloudHsmClusterIdType",
            "XksProxyUriEndpoint": "XksProxyUriEndpointType",
            "XksProxyUriPath": "XksProxyUriPathType",
            "XksProxyVpcEndpointServiceName": "XksProxyVpcEndpointServiceNameType",
            "XksProxyVpcEndpointServiceOwner": "AccountIdType",
            "XksProxyAuthenticationCredential": "XksProxyAuthenticationCredentialType",
            "XksProxyConnectivity": "XksProxyConnectivityType",
        },
        required=("CustomKeyStoreId",),
    ),
    "UpdateKeyDescriptionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Description": "DescriptionType",
        },
        required=(
            "KeyId",
            "Description",
        ),
    ),
    "UpdatePrimaryRegionRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "PrimaryRegion": "RegionType",
        },
        required=(
            "KeyId",
            "PrimaryRegion",
        ),
    ),
    "VerifyMacRequest": Shape(
        Kind.STRUCTURE,
        members={
            "Message": "PlaintextType",
            "KeyId": "KeyIdType",
            "MacAlgorithm": "MacAlgorithmSpec",
            "Mac": "CiphertextType",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "Message",
            "KeyId",
            "MacAlgorithm",
            "Mac",
        ),
    ),
    "VerifyRequest": Shape(
        Kind.STRUCTURE,
        members={
            "KeyId": "KeyIdType",
            "Message": "PlaintextType",
            "MessageType": "MessageType",
            "Signature": "CiphertextType",
            "SigningAlgorithm": "SigningAlgorithmSpec",
            "GrantTokens": "GrantTokenList",
            "DryRun": "NullableBooleanType",
        },
        required=(
            "KeyId",
            "Message",
            "Signature",
            "SigningAlgorithm",
        ),
    ),
    "WrappingKeySpec": Shape(
        Kind.STRING,
        enum=(
            "RSA_2048",
            "RSA_3072",
            "RSA_4096",
            "SM2",
        ),
    ),
    "XksKeyIdType": Shape(
        Kind.STRING,
        minimum=1,
        maximum=128,
        pattern="^[a-zA-Z0-9-_.]+$",
    ),
    "XksProxyAuthenticationAccessKeyIdType": Shape(
        Kind.STRING,
        minimum=20,
        maximum=30,
        pattern="^[A-Z2-7]+$",
        is_sensitive=True,
    ),
    "XksProxyAuthenticationCredentialType": Shape(
        Kind.STRUCTURE,
        members={
            "AccessKeyId": "XksProxyAuthenticationAccessKeyIdType",
            "RawSecretAccessKey": "XksProxyAuthenticationRawSecretAccessKeyType",
        },
        required=(
            "AccessKeyId",
            "RawSecretAccessKey",
        ),
    ),
    "XksProxyAuthenticationRawSecretAccessKeyType": Shape(
        Kind.STRING,
        minimum=43,
        maximum=64,
        pattern="^[a-zA-Z0-9\\/+=]+$",
        is_sensitive=True,
    ),
    "XksProxyConnectivityType": Shape(
        Kind.STRING,
        enum=(
            "PUBLIC_ENDPOINT",
            "VPC_ENDPOINT_SERVICE",
        ),
    ),
    "XksProxyUriEndpointType": Shape(
        Kind.STRING,
        minimum=10,
        maximum=128,
        pattern="^https://[a-zA-Z0-9.-]+$",
    ),
    "XksProxyUriPathType": Shape(
        Kind.STRING,
        minimum=10,
        maximum=128,
        pattern="^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$",
    ),
    "XksProxyVpcEndpointServiceNameType": Shape(
        Kind.STRING,
        minimum=20,
        maximum=64,
        pattern="^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$",
    ),
}
