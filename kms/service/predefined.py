"""Keys that nobody creates by CreateKey: each account's AWS-managed `alias/aws/s3`, and the gateway's service key."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from iam.principals import SERVICE_ACCOUNT_ID, PrincipalKind
from kms.api.secrets import SecretBytes
from kms.api.types import S3_KEY_ALIAS, SERVICE_KEY_ALIAS, KeyManager, KeyMetadata, KeyState, Tag
from kms.hsm.interface import Protection, Root
from kms.keys.state import Operation
from kms.keys.wrapping import make_record
from kms.service.call import Call
from kms.service.core import Core
from kms.service.key_names import key_arn, parse_key_name
from kms.store.interface import AliasExists, KeyStore
from kms.store.records import MULTI_REGION_PREFIX, NewKey, StoredAlias, StoredKey, StoredVersion, key_bytes

S3_KEY_DESCRIPTION = "Default key that protects my S3 objects when no other key is defined"
SERVICE_KEY_DESCRIPTION = "Key of the gateway itself: index rows and SSE-S3"

AWS_ROTATION_DAYS = 365
"""AWS-managed keys rotate every year (Developer Guide, "AWS managed keys"); nobody can change that."""

_DAY_US = 86_400 * 1_000_000

_MAKES_KEY = frozenset(
    {
        Operation.DESCRIBE_KEY,
        Operation.ENCRYPT,
        Operation.GENERATE_DATA_KEY,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        Operation.RE_ENCRYPT_TO,
    }
)


def new_metadata(
    region: str,
    account_id: str,
    created_us: int,
    *,
    description: str = "",
    manager: KeyManager = KeyManager.CUSTOMER,
    protection: str = "software",
    key_spec: str = "SYMMETRIC_DEFAULT",
    key_usage: str = "ENCRYPT_DECRYPT",
    multi_region: bool = False,
    origin: str = "AWS_KMS",
) -> KeyMetadata:
    """A key as it is when made: Enabled, with a fresh id and material id; or pending import, without material."""
    key_id = MULTI_REGION_PREFIX + uuid4().hex if multi_region else str(uuid4())
    is_external = origin == "EXTERNAL"
    return KeyMetadata(
        account_id=account_id,
        region=region,
        key_id=key_id,
        key_arn=key_arn(region, account_id, key_id),
        created_us=created_us,
        state=KeyState.PENDING_IMPORT if is_external else KeyState.ENABLED,
        description=description,
        manager=manager,
        protection=protection,
        key_spec=key_spec,
        key_usage=key_usage,
        multi_region=multi_region,
        primary_region=region if multi_region else None,
        origin=origin,
        # Random, not derived: an id that is public must not be a function of the material.
        key_material_id=None if is_external else os.urandom(32).hex(),
    )


def make_key(
    root: Root,
    metadata: KeyMetadata,
    *,
    tags: tuple[Tag, ...] = (),
    alias_name: str | None = None,
    policy: str = "",
    material: SecretBytes | None = None,
) -> NewKey:
    """Wrap the first version's `material`, or make it inside the root. Blocks; raises RootError. Stores nothing."""
    record = make_record(
        root,
        UUID(bytes=key_bytes(metadata.key_id)),
        1,
        created_us=metadata.created_us,
        key_spec=metadata.key_spec,
        key_usage=metadata.key_usage,
        protection=Protection(metadata.protection),
        material=material,
    )
    assert metadata.key_material_id is not None
    version = StoredVersion(metadata.key_id, 1, metadata.key_material_id, record, metadata.created_us)
    alias = None
    if alias_name is not None:
        made_us = metadata.created_us
        alias = StoredAlias(metadata.account_id, metadata.region, alias_name, metadata.key_id, made_us, made_us)
    return NewKey(metadata, version, tags, alias, policy)


async def make_predefined_key(core: Core, call: Call[Any], named: str, operation: Operation) -> None:
    """Make the account's AWS-managed key if this is its first use through S3, or its first description.

    Does nothing for every other name, operation or caller; whether the name is found shows afterwards.
    """
    if not named.endswith(S3_KEY_ALIAS) or operation not in _MAKES_KEY:
        return
    account_id, region = call.account_id, call.region
    name = parse_key_name(named, account_id=account_id, region=region)
    is_service = call.caller.principal.kind is PrincipalKind.SERVICE
    if name.account_id != account_id or name.text != S3_KEY_ALIAS or is_service:
        return
    if core.cache.alias_target(account_id, region, S3_KEY_ALIAS) is not None:
        return
    async with core.making_predefined:
        if core.cache.alias_target(account_id, region, S3_KEY_ALIAS) is not None:
            return
        metadata = new_metadata(
            region, account_id, core.clock_us(), description=S3_KEY_DESCRIPTION, manager=KeyManager.AWS
        )
        core.admit(call, StoredKey(metadata, key_bytes(metadata.key_id), 1, 0), operation)
        made = await core.root.call(lambda root: make_key(root, metadata, alias_name=S3_KEY_ALIAS))
        next_us = metadata.created_us + AWS_ROTATION_DAYS * _DAY_US
        new = replace(made, rotation_period_days=AWS_ROTATION_DAYS, next_rotation_us=next_us)
        try:
            await core.change(lambda: core.store.insert_key(new), is_visible=False)
        except AliasExists:
            return  # made by another process meanwhile, which is as good
        await core.recorder.act("CreateKey", metadata.key_arn, alias=S3_KEY_ALIAS, requestId=call.caller.request_id)


def make_service_key(store: KeyStore, root: Root, *, region: str, created_us: int) -> None:
    """Make the gateway's own key, once for each key store. Blocks; raises RootError and StoreError."""
    if store.alias(SERVICE_ACCOUNT_ID, region, SERVICE_KEY_ALIAS) is not None:
        return
    metadata = new_metadata(
        region, SERVICE_ACCOUNT_ID, created_us, description=SERVICE_KEY_DESCRIPTION, manager=KeyManager.AWS
    )
    store.insert_key(make_key(root, metadata, alias_name=SERVICE_KEY_ALIAS))
