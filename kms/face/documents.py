"""What the key service answers, as JSON documents of the KMS API. Blobs stay bytes: the encoder makes them base64."""

from __future__ import annotations

from collections.abc import Mapping

from kms.api import types as t
from kms.keys.specs import algorithms_of

Document = Mapping[str, object]

SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT"


def timestamp(us: int) -> float:
    """Seconds since the epoch, to the millisecond as AWS has them."""
    return us // 1000 / 1000


def key_metadata(key: t.KeyMetadata) -> Document:
    """KeyMetadata; the lists of algorithms follow from the key's usage."""
    document: dict[str, object] = {
        "AWSAccountId": key.account_id,
        "Arn": key.key_arn,
        "CreationDate": timestamp(key.created_us),
        "CustomerMasterKeySpec": key.key_spec,
        "Description": key.description,
        "Enabled": key.enabled,
        "KeyId": key.key_id,
        "KeyManager": key.manager.value,
        "KeySpec": key.key_spec,
        "KeyState": key.state.value,
        "KeyUsage": key.key_usage,
        "MultiRegion": key.multi_region,
        "Origin": key.origin,
    }
    document |= algorithms(key)
    if key.key_material_id is not None and key.key_spec == SYMMETRIC_DEFAULT:
        document["CurrentKeyMaterialId"] = key.key_material_id
    if key.deletion_us is not None:
        document["DeletionDate"] = timestamp(key.deletion_us)
    if key.origin == "EXTERNAL" and key.key_material_id is not None and key.state is not t.KeyState.PENDING_IMPORT:
        document["ExpirationModel"] = t.DOES_NOT_EXPIRE if key.valid_to_us is None else t.EXPIRES
        if key.valid_to_us is not None:
            document["ValidTo"] = timestamp(key.valid_to_us)
    if key.state is t.KeyState.PENDING_REPLICA_DELETION and key.pending_window_days is not None:
        document["PendingDeletionWindowInDays"] = key.pending_window_days
    if key.primary_region is not None:
        document["MultiRegionConfiguration"] = _multi_region(key, key.primary_region)
    return document


def _multi_region(key: t.KeyMetadata, primary_region: str) -> Document:
    def related(region: str) -> Document:
        return {"Arn": f"arn:aws:kms:{region}:{key.account_id}:key/{key.key_id}", "Region": region}

    return {
        "MultiRegionKeyType": "PRIMARY" if key.is_primary else "REPLICA",
        "PrimaryKey": related(primary_region),
        "ReplicaKeys": [related(region) for region in key.replica_regions],
    }


def algorithms(key: t.KeyMetadata) -> Document:
    """The list of algorithms that goes with the key's usage."""
    member = {
        "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
        "GENERATE_VERIFY_MAC": "MacAlgorithms",
        "KEY_AGREEMENT": "KeyAgreementAlgorithms",
        "SIGN_VERIFY": "SigningAlgorithms",
    }[key.key_usage]
    return {member: list(algorithms_of(key.key_spec, key.key_usage))}


def key_page(page: t.KeyPage) -> Document:
    keys = [{"KeyArn": key.key_arn, "KeyId": key.key_id} for key in page.keys]
    return {"Keys": keys, **_next(page.next_marker)}


def alias_page(page: t.AliasPage) -> Document:
    return {"Aliases": [_alias(alias) for alias in page.aliases], **_next(page.next_marker)}


def grant_page(page: t.GrantPage) -> Document:
    return {"Grants": [_grant(grant) for grant in page.grants], **_next(page.next_marker)}


def tag_page(page: t.TagPage) -> Document:
    return {"Tags": tag_list(page.tags), **_next(page.next_marker)}


def tag_list(tags: tuple[t.Tag, ...]) -> list[Document]:
    return [{"TagKey": tag.key, "TagValue": tag.value} for tag in tags]


def rotation_status(status: t.RotationStatus) -> Document:
    document: dict[str, object] = {
        "KeyId": status.key_arn,
        "KeyRotationEnabled": status.rotation_period_days is not None,
    }
    if status.rotation_period_days is not None and status.next_rotation_us is not None:
        document["RotationPeriodInDays"] = status.rotation_period_days
        document["NextRotationDate"] = timestamp(status.next_rotation_us)
    return document


def material_page(page: t.MaterialPage) -> Document:
    return {"Rotations": [_material(material) for material in page.materials], **_next(page.next_marker)}


def key_last_usage(usage: t.KeyLastUsage) -> Document:
    last: dict[str, object] = {}
    if usage.operation is not None and usage.used_us is not None:
        last = {"Operation": usage.operation, "Timestamp": timestamp(usage.used_us)}
        if usage.request_id is not None:
            last["KmsRequestId"] = usage.request_id
    return {
        "KeyCreationDate": timestamp(usage.created_us),
        "KeyId": usage.key_id,
        "KeyLastUsage": last,
        "TrackingStartDate": timestamp(usage.tracked_since_us),
    }


def _material(material: t.KeyMaterial) -> Document:
    document: dict[str, object] = {
        "KeyId": material.key_id,
        "KeyMaterialId": material.material_id,
        "KeyMaterialState": material.state,
    }
    if material.rotated_us is not None:
        document["RotationDate"] = timestamp(material.rotated_us)
        document["RotationType"] = material.rotation_type
    if material.is_imported is not None:
        document["ImportState"] = "IMPORTED" if material.is_imported else "PENDING_IMPORT"
        if material.is_imported:
            document["ExpirationModel"] = t.DOES_NOT_EXPIRE if material.valid_to_us is None else t.EXPIRES
    if material.valid_to_us is not None:
        document["ValidTo"] = timestamp(material.valid_to_us)
    if material.description is not None:
        document["KeyMaterialDescription"] = material.description
    return document


def _grant(grant: t.Grant) -> Document:
    document: dict[str, object] = {
        "CreationDate": timestamp(grant.created_us),
        "GrantId": grant.grant_id,
        "GranteePrincipal": grant.grantee_principal,
        "IssuingAccount": f"arn:aws:iam::{grant.issuing_account_id}:root",
        "KeyId": grant.key_arn,
        "Name": grant.name,
        "Operations": list(grant.operations),
    }
    if grant.retiring_principal is not None:
        document["RetiringPrincipal"] = grant.retiring_principal
    constraints = {
        "EncryptionContextEquals": grant.constraints.encryption_context_equals,
        "EncryptionContextSubset": grant.constraints.encryption_context_subset,
        "SourceArn": grant.constraints.source_arn,
    }
    present = {name: value for name, value in constraints.items() if value is not None}
    if present:
        document["Constraints"] = present
    return document


def _next(marker: str | None) -> Document:
    return {"Truncated": False} if marker is None else {"Truncated": True, "NextMarker": marker}


def _alias(alias: t.Alias) -> Document:
    document: dict[str, object] = {"AliasArn": alias.arn, "AliasName": alias.name}
    if alias.target_key_id is not None:
        document["TargetKeyId"] = alias.target_key_id
    if alias.created_us is not None:
        document["CreationDate"] = timestamp(alias.created_us)
    if alias.updated_us is not None:
        document["LastUpdatedDate"] = timestamp(alias.updated_us)
    return document
