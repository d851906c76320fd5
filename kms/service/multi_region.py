"""ReplicateKey, UpdatePrimaryRegion: one key in several regions of this installation.

Related keys share id, spec, usage, material and rotation, and decrypt what the others encrypted; policy, grants,
aliases, tags, description and state are each one's own. Their material lies in one place, since the regions are of one
installation: a replica is a row. A primary that is to be deleted waits for its replicas.
"""

from __future__ import annotations

from dataclasses import replace

from kms.api.errors import KMSError
from kms.api.types import KeyMetadata, KeyState, Replica, ReplicateKey, UpdatePrimaryRegion
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import check_length
from kms.service.core import Core
from kms.service.key_names import key_arn
from kms.service.key_policies import policy_text
from kms.service.policies import check_new_policy
from kms.service.tags import MAX_DESCRIPTION_LENGTH, check_tags
from kms.store.interface import KeyConflict
from kms.store.records import NewKey, StoredKey


async def replicate_key(core: Core, call: Call[ReplicateKey]) -> Replica:
    request = call.request
    key = _primary(core, call, request.key_id, Operation.REPLICATE_KEY)
    region = request.replica_region
    _check_region(core, region)
    metadata = replace(
        key.metadata,
        region=region,
        key_arn=key_arn(region, key.metadata.account_id, key.metadata.key_id),
        created_us=core.clock_us(),
        description=request.description,
        replica_regions=tuple(sorted({*key.metadata.replica_regions, region})),
    )
    _check_replica(core, call, metadata)
    new = NewKey(metadata, None, request.tags, policy=request.policy or "", current_version=key.current_version)
    try:
        await core.change(lambda: core.store.insert_replica(new))
    except KeyConflict:
        raise KMSError("AlreadyExistsException", f"{metadata.key_arn} already exists.") from None
    stored = core.cache.key(metadata.key_id, region)
    assert stored is not None
    return Replica(stored.metadata, policy_text(stored), stored.tags)


async def update_primary_region(core: Core, call: Call[UpdatePrimaryRegion]) -> None:
    """The new primary must be there and usable, and the caller permitted for both; the rotation goes with it."""
    key = _primary(core, call, call.request.key_id, Operation.UPDATE_PRIMARY_REGION)
    region = call.request.primary_region
    _check_region(core, region)
    metadata = key.metadata
    replica = core.cache.key(metadata.key_id, region)
    if region == metadata.region or replica is None or replica.is_gone(core.clock_us()):
        raise KMSError(
            "NotFoundException", f"Key '{key_arn(region, metadata.account_id, metadata.key_id)}' does not exist"
        )
    core.admit(call, replica, Operation.UPDATE_PRIMARY_REGION)
    try:
        await core.change(lambda: core.store.set_primary_region(metadata.key_id, metadata.region, region))
    except KeyConflict:
        raise KMSError("KMSInvalidStateException", f"{metadata.key_arn} is updating.") from None


def state_of_deletion(metadata: KeyMetadata) -> KeyState:
    """A primary with replicas waits until they are gone; then its own window begins."""
    if metadata.is_primary and metadata.replica_regions:
        return KeyState.PENDING_REPLICA_DELETION
    return KeyState.PENDING_DELETION


def _primary(
    core: Core, call: Call[ReplicateKey] | Call[UpdatePrimaryRegion], named: str, operation: Operation
) -> StoredKey:
    key = core.find(call, named, operation)
    core.authorise(call, operation.action, key)
    if not key.metadata.is_primary:
        raise KMSError("UnsupportedOperationException", f"{key.metadata.key_arn} is not a multi-region primary key.")
    core.admit(call, key, operation)
    return key


def _check_region(core: Core, region: str) -> None:
    if region not in core.regions:
        raise KMSError("UnsupportedOperationException", f"The region {region} is not served by this installation.")


def _check_replica(core: Core, call: Call[ReplicateKey], replica: KeyMetadata) -> None:
    request = call.request
    core.authorise(call, Operation.CREATE_KEY.action, None)
    if request.tags:
        core.authorise(call, Operation.TAG_RESOURCE.action, None, replica.key_arn)
    check_tags(request.tags)
    check_length("description", len(request.description), 0, MAX_DESCRIPTION_LENGTH, request.description)
    if request.policy is not None:
        check_new_policy(core, call, request.policy, bypass_lockout_check=request.bypass_policy_lockout_safety_check)
    if core.store.count_keys(replica.account_id, replica.region) >= core.settings.max_keys:
        raise KMSError("LimitExceededException", f"An account can have {core.settings.max_keys} KMS keys.")
