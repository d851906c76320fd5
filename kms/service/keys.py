"""CreateKey, DescribeKey, ListKeys."""

from __future__ import annotations

from dataclasses import replace

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import (
    OWNED_BY_SELF,
    PAIR_SECONDS,
    CreateKey,
    DescribeKey,
    KeyListEntry,
    KeyMetadata,
    KeyPage,
    ListKeys,
    Tag,
)
from kms.hsm.interface import Protection, Root
from kms.keys.private_keys import generate_private_key
from kms.keys.specs import HMAC_KEY_BYTES, SPECS, SYMMETRIC_DEFAULT
from kms.keys.state import Operation
from kms.service import paging
from kms.service.call import Call
from kms.service.constraints import check_length
from kms.service.core import Core
from kms.service.importing import EXTERNAL, takes_import
from kms.service.key_names import key_arn
from kms.service.policies import check_new_policy
from kms.service.predefined import make_key, make_predefined_key, new_metadata
from kms.service.protection import chosen_protection
from kms.service.tags import MAX_DESCRIPTION_LENGTH, check_tags
from kms.store.records import NewKey


async def create_key(core: Core, call: Call[CreateKey]) -> KeyMetadata:
    request = call.request
    core.authorise(call, Operation.CREATE_KEY.action, None)
    if request.tags:  # Developer Guide, "Controlling access to tags": by a policy that means no particular keys
        core.authorise(call, Operation.TAG_RESOURCE.action, None, key_arn(call.region, call.account_id, "*"))
    _check_offered(request)
    check_tags(request.tags)
    if request.policy is not None:
        check_new_policy(core, call, request.policy, bypass_lockout_check=request.bypass_policy_lockout_safety_check)
    check_length("description", len(request.description), 0, MAX_DESCRIPTION_LENGTH, request.description)
    protection = chosen_protection(request, core.settings.protection)
    if core.store.count_keys(call.account_id, call.region) >= core.settings.max_keys:
        raise KMSError("LimitExceededException", f"An account can have {core.settings.max_keys} KMS keys.")
    metadata = new_metadata(
        call.region,
        call.account_id,
        core.clock_us(),
        description=request.description,
        protection=protection,
        key_spec=request.key_spec,
        key_usage=request.key_usage,
        multi_region=request.multi_region,
        origin=request.origin,
    )
    policy = request.policy or ""
    if request.origin == EXTERNAL:
        await _check_held(core, metadata)
        new = NewKey(metadata, None, request.tags, policy=policy)
    else:
        material = await _new_material(core, request.key_spec, protection)
        new = await _make(core, metadata, tags=request.tags, policy=policy, material=material)
    await core.change(lambda: core.store.insert_key(new), is_visible=False)
    return metadata


async def describe_key(core: Core, call: Call[DescribeKey]) -> KeyMetadata:
    await make_predefined_key(core, call, call.request.key_id, Operation.DESCRIBE_KEY)
    return core.key_for(call, call.request.key_id, Operation.DESCRIBE_KEY).metadata


async def list_keys(core: Core, call: Call[ListKeys]) -> KeyPage:
    limit, owners = call.request.limit, call.request.resource_owners
    core.authorise(call, Operation.LIST_KEYS.action, None)
    paging.check_limit(limit, paging.MAX_KEYS)
    if owners and OWNED_BY_SELF not in owners:
        # There is no RAM here, so that no account shares a key by it; a marker can only be of another listing.
        if call.request.marker is not None:
            raise paging.invalid_marker()
        return KeyPage((), None)
    after = paging.parse_key_marker(call.request.marker)
    keys = core.store.keys(call.account_id, call.region, after=after, now_us=core.clock_us(), limit=limit + 1)
    page = keys[:limit]
    entries = tuple(KeyListEntry(key.metadata.key_id, key.metadata.key_arn) for key in page)
    return KeyPage(entries, paging.format_key_marker(page[-1].sequence) if len(keys) > limit else None)


def _check_offered(request: CreateKey) -> None:
    """Refuse what this release does not offer, rather than make another key than the one that was asked for."""
    spec = SPECS.get(request.key_spec)
    if spec is None:
        raise KMSError("UnsupportedOperationException", f"KeySpec {request.key_spec} is not supported.")
    if request.key_usage not in spec.algorithms:
        raise KMSError(
            "ValidationException",
            f"KeyUsage {request.key_usage} is not compatible with KeySpec {request.key_spec}",
        )
    if request.origin not in {"AWS_KMS", EXTERNAL}:
        raise KMSError("UnsupportedOperationException", f"Origin {request.origin} is not supported.")
    if request.origin == EXTERNAL and not takes_import(request.key_spec):
        raise KMSError("UnsupportedOperationException", f"Origin {EXTERNAL} is not supported for {request.key_spec}.")


async def _check_held(core: Core, metadata: KeyMetadata) -> None:
    """Raises UnsupportedOperationException, before the import, for material to be held that the HSM would not hold."""
    if metadata.protection == Protection.HSM:
        await _make(core, replace(metadata, key_material_id=""))


async def _make(
    core: Core,
    metadata: KeyMetadata,
    *,
    tags: tuple[Tag, ...] = (),
    policy: str = "",
    material: SecretBytes | None = None,
) -> NewKey:
    """The key, not stored. Pairs that the HSM makes have more time, and wait for one another."""

    def make(root: Root) -> NewKey:
        return make_key(root, metadata, tags=tags, policy=policy, material=material)

    if metadata.protection == Protection.SOFTWARE or not SPECS[metadata.key_spec].is_private:
        return await core.root.call(make)
    async with core.making_pairs:
        return await core.root.call(make, extra_seconds=PAIR_SECONDS)


async def _new_material(core: Core, key_spec: str, protection: Protection) -> SecretBytes | None:
    """None for keys that the root makes inside: symmetric ones, and all of protection hsm.

    Other HMAC keys come from the root's random source.
    """
    if key_spec == SYMMETRIC_DEFAULT or protection is Protection.HSM:
        return None
    if key_spec in HMAC_KEY_BYTES:
        return SecretBytes(await core.root.call(lambda root: root.random(HMAC_KEY_BYTES[key_spec])))
    return await core.compute(lambda: generate_private_key(key_spec))
