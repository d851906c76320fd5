"""Which handler answers which request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kms.api import types as t
from kms.service import (
    agreement,
    aliases,
    auditing,
    data_key_pairs,
    data_keys,
    destruction,
    encryption,
    grants,
    importing,
    keys,
    macs,
    multi_region,
    policies,
    rotation,
    signing,
    states,
    tags,
    usage,
)
from kms.service.call import Call
from kms.service.core import Core

Handler = Callable[[Core, Call[Any]], Awaitable[Any]]

HANDLERS: Mapping[type[t.Request[Any]], Handler] = {
    t.AttestDestruction: destruction.attest_destruction,
    t.CancelKeyDeletion: states.cancel_key_deletion,
    t.CreateAlias: aliases.create_alias,
    t.CreateGrant: grants.create_grant,
    t.CreateKey: keys.create_key,
    t.Decrypt: encryption.decrypt,
    t.DeleteAlias: aliases.delete_alias,
    t.DeleteImportedKeyMaterial: importing.delete_imported_key_material,
    t.DeriveSharedSecret: agreement.derive_shared_secret,
    t.DescribeKey: keys.describe_key,
    t.DisableKey: states.disable_key,
    t.DisableKeyRotation: rotation.disable_key_rotation,
    t.EnableKey: states.enable_key,
    t.EnableKeyRotation: rotation.enable_key_rotation,
    t.Encrypt: encryption.encrypt,
    t.GenerateDataKey: data_keys.generate_data_key,
    t.GenerateDataKeyPair: data_key_pairs.generate_data_key_pair,
    t.GenerateDataKeyPairWithoutPlaintext: data_key_pairs.generate_data_key_pair_without_plaintext,
    t.GenerateDataKeyWithoutPlaintext: data_keys.generate_data_key_without_plaintext,
    t.GenerateMac: macs.generate_mac,
    t.GenerateRandom: data_keys.generate_random,
    t.GetKeyLastUsage: usage.get_key_last_usage,
    t.GetKeyPolicy: policies.get_key_policy,
    t.GetKeyRotationStatus: rotation.get_key_rotation_status,
    t.GetParametersForImport: importing.get_parameters_for_import,
    t.GetPublicKey: signing.get_public_key,
    t.ImportKeyMaterial: importing.import_key_material,
    t.ListAliases: aliases.list_aliases,
    t.ListGrants: grants.list_grants,
    t.ListKeyPolicies: policies.list_key_policies,
    t.ListKeyRotations: rotation.list_key_rotations,
    t.ListKeys: keys.list_keys,
    t.ListResourceTags: tags.list_resource_tags,
    t.ListRetirableGrants: grants.list_retirable_grants,
    t.PutKeyPolicy: policies.put_key_policy,
    t.ReEncrypt: encryption.re_encrypt,
    t.RecordCall: auditing.record_call,
    t.ReplicateKey: multi_region.replicate_key,
    t.RequireTrail: auditing.require_trail,
    t.RetireGrant: grants.retire_grant,
    t.RevokeGrant: grants.revoke_grant,
    t.RotateKeyOnDemand: rotation.rotate_key_on_demand,
    t.ScheduleKeyDeletion: states.schedule_key_deletion,
    t.Sign: signing.sign,
    t.TagResource: tags.tag_resource,
    t.UntagResource: tags.untag_resource,
    t.UnwrapDataKey: data_keys.unwrap_data_key,
    t.UpdateAlias: aliases.update_alias,
    t.UpdateKeyDescription: tags.update_key_description,
    t.UpdatePrimaryRegion: multi_region.update_primary_region,
    t.Verify: signing.verify,
    t.VerifyMac: macs.verify_mac,
    t.WrapDataKey: data_keys.wrap_data_key,
}
"""A row for every request of `kms.api.types`."""
