"""The table of operations: which of the KMS API's are served, and by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from iam.principals import Caller
from kms.api.service import KeyService
from kms.face.documents import Document
from kms.face.model import INPUTS
from kms.face.operations import (
    aliases,
    asymmetric,
    encryption,
    generation,
    grants,
    importing,
    keys,
    multi_region,
    policies,
    rotation,
    tags,
)
from kms.face.request import ParsedRequest

Handler = Callable[[KeyService, Caller, ParsedRequest], Awaitable[Document | None]]
"""Asks the service and shapes its answer; None for the operations whose answer has no body."""

_SERVED: Mapping[str, Handler] = {
    "CancelKeyDeletion": keys.cancel_key_deletion,
    "CreateAlias": aliases.create_alias,
    "CreateGrant": grants.create_grant,
    "CreateKey": keys.create_key,
    "Decrypt": encryption.decrypt,
    "DeleteAlias": aliases.delete_alias,
    "DeleteImportedKeyMaterial": importing.delete_imported_key_material,
    "DeriveSharedSecret": asymmetric.derive_shared_secret,
    "DescribeKey": keys.describe_key,
    "DisableKey": keys.disable_key,
    "DisableKeyRotation": rotation.disable_key_rotation,
    "EnableKey": keys.enable_key,
    "EnableKeyRotation": rotation.enable_key_rotation,
    "Encrypt": encryption.encrypt,
    "GenerateDataKey": generation.generate_data_key,
    "GenerateDataKeyPair": asymmetric.generate_data_key_pair,
    "GenerateDataKeyPairWithoutPlaintext": asymmetric.generate_data_key_pair_without_plaintext,
    "GenerateDataKeyWithoutPlaintext": generation.generate_data_key_without_plaintext,
    "GenerateMac": asymmetric.generate_mac,
    "GenerateRandom": generation.generate_random,
    "GetKeyLastUsage": rotation.get_key_last_usage,
    "GetKeyPolicy": policies.get_key_policy,
    "GetKeyRotationStatus": rotation.get_key_rotation_status,
    "GetParametersForImport": importing.get_parameters_for_import,
    "GetPublicKey": asymmetric.get_public_key,
    "ImportKeyMaterial": importing.import_key_material,
    "ListAliases": aliases.list_aliases,
    "ListGrants": grants.list_grants,
    "ListKeyPolicies": policies.list_key_policies,
    "ListKeyRotations": rotation.list_key_rotations,
    "ListKeys": keys.list_keys,
    "ListResourceTags": tags.list_resource_tags,
    "ListRetirableGrants": grants.list_retirable_grants,
    "PutKeyPolicy": policies.put_key_policy,
    "ReEncrypt": encryption.re_encrypt,
    "ReplicateKey": multi_region.replicate_key,
    "RetireGrant": grants.retire_grant,
    "RevokeGrant": grants.revoke_grant,
    "RotateKeyOnDemand": rotation.rotate_key_on_demand,
    "ScheduleKeyDeletion": keys.schedule_key_deletion,
    "Sign": asymmetric.sign,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateAlias": aliases.update_alias,
    "UpdateKeyDescription": tags.update_key_description,
    "UpdatePrimaryRegion": multi_region.update_primary_region,
    "Verify": asymmetric.verify,
    "VerifyMac": asymmetric.verify_mac,
}

OPERATIONS: Mapping[str, Handler | None] = {name: _SERVED.get(name) for name in INPUTS}
"""Every operation of the API; None for those that are known but not served."""
