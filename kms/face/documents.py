"""What the key service answers, as JSON documents of the KMS API. Blobs stay bytes: the encoder makes them base64."""

from __future__ import annotations

from collections.abc import Mapping

from kms.api import types as t

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
    if key.key_usage == "ENCRYPT_DECRYPT" and key.key_spec == SYMMETRIC_DEFAULT:
        document["EncryptionAlgorithms"] = [SYMMETRIC_DEFAULT]
    if key.key_material_id is not None:
        document["CurrentKeyMaterialId"] = key.key_material_id
    if key.deletion_us is not None:
        document["DeletionDate"] = timestamp(key.deletion_us)
    return document


def key_page(page: t.KeyPage) -> Document:
    keys = [{"KeyArn": key.key_arn, "KeyId": key.key_id} for key in page.keys]
    return {"Keys": keys, **_next(page.next_marker)}


def alias_page(page: t.AliasPage) -> Document:
    return {"Aliases": [_alias(alias) for alias in page.aliases], **_next(page.next_marker)}


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
