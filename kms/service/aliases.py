"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases. Names are unique in an account; a key may have several."""

from __future__ import annotations

from typing import Any

from kms.api.errors import KMSError
from kms.api.types import S3_KEY_ALIAS, Alias, AliasPage, CreateAlias, DeleteAlias, ListAliases, UpdateAlias
from kms.keys.specs import SPECS
from kms.keys.state import Operation
from kms.service import paging
from kms.service.authorisation import access_denied_abroad
from kms.service.call import Call
from kms.service.core import Core
from kms.service.key_names import alias_arn, check_alias_name, parse_key_name
from kms.store.interface import AliasExists, AliasNotFound, KeyConflict
from kms.store.records import StoredAlias, StoredKey


async def create_alias(core: Core, call: Call[CreateAlias]) -> None:
    name = call.request.name
    check_alias_name(name)
    _authorise_alias(core, call, name, Operation.CREATE_ALIAS)
    key = _target(core, call, call.request.target_key_id, Operation.CREATE_ALIAS)
    now_us = core.clock_us()
    alias = StoredAlias(call.account_id, call.region, name, key.metadata.key_id, now_us, now_us)
    _check_quota(core, key)
    try:
        await core.change(lambda: core.store.insert_alias(alias))
    except AliasExists:
        arn = alias_arn(call.region, call.account_id, name)
        raise KMSError("AlreadyExistsException", f"An alias with the name {arn} already exists") from None
    except KeyConflict:
        raise _target_gone(key) from None


async def update_alias(core: Core, call: Call[UpdateAlias]) -> None:
    name = call.request.name
    check_alias_name(name)
    _authorise_alias(core, call, name, Operation.UPDATE_ALIAS)
    key = _target(core, call, call.request.target_key_id, Operation.UPDATE_ALIAS)
    current_key_id = _find(core, call, name)
    current = core.cache.key(current_key_id, call.region)
    if current is not None:
        core.authorise(call, Operation.UPDATE_ALIAS.action, current)
        _check_kind(current, key)
    if current_key_id != key.metadata.key_id:
        _check_quota(core, key)
    now_us, key_id = core.clock_us(), key.metadata.key_id
    try:
        await core.change(
            lambda: core.store.retarget_alias(call.account_id, call.region, name, key_id=key_id, now_us=now_us)
        )
    except AliasNotFound:
        raise _not_found(call, name) from None
    except KeyConflict:
        raise _target_gone(key) from None


async def delete_alias(core: Core, call: Call[DeleteAlias]) -> None:
    name = call.request.name
    check_alias_name(name)
    _authorise_alias(core, call, name, Operation.DELETE_ALIAS)
    current = core.cache.key(_find(core, call, name), call.region)
    if current is None:
        raise _not_found(call, name)
    core.admit(call, current, Operation.DELETE_ALIAS)
    try:
        await core.change(lambda: core.store.delete_alias(call.account_id, call.region, name))
    except AliasNotFound:
        raise _not_found(call, name) from None


async def list_aliases(core: Core, call: Call[ListAliases]) -> AliasPage:
    """Aliases in the order of their names; `alias/aws/s3` is listed, without a target, before its key is made."""
    request = call.request
    core.authorise(call, Operation.LIST_ALIASES.action, None)
    paging.check_limit(request.limit, paging.MAX_ALIASES)
    after = paging.parse_alias_marker(request.marker)
    of_key = None
    if request.key_id is not None:
        # Permitted by identities' policies alone, and in the caller's own account only.
        metadata = core.find(call, request.key_id, Operation.LIST_ALIASES).metadata
        if metadata.account_id != call.account_id:
            raise access_denied_abroad(call.caller, Operation.LIST_ALIASES.action)
        of_key = metadata.key_id
    limit = request.limit
    stored = core.store.aliases(call.account_id, call.region, key_id=of_key, after=after, limit=limit + 1)
    aliases = [_alias(alias) for alias in stored]
    if of_key is None and after < S3_KEY_ALIAS and core.cache.alias_target(*_s3_alias(call)) is None:
        aliases.append(Alias(S3_KEY_ALIAS, alias_arn(call.region, call.account_id, S3_KEY_ALIAS), None, None, None))
        aliases.sort(key=lambda alias: alias.name)
    page = tuple(aliases[:limit])
    return AliasPage(page, paging.format_alias_marker(page[-1].name) if len(aliases) > limit else None)


def _target(core: Core, call: Call[Any], target_key_id: str, operation: Operation) -> StoredKey:
    name = parse_key_name(target_key_id, account_id=call.account_id, region=call.region)
    if name.is_alias:
        raise KMSError("ValidationException", "Aliases must refer to keys. Not aliases")
    key = core.key_for(call, target_key_id, operation)
    if key.metadata.account_id != call.account_id:
        raise access_denied_abroad(call.caller, operation.action)
    return key


def _authorise_alias(core: Core, call: Call[Any], name: str, operation: Operation) -> None:
    """Permission on the alias, which identities' policies give; that on the key is asked for besides."""
    core.authorise(call, operation.action, None, alias_arn(call.region, call.account_id, name))


def _find(core: Core, call: Call[Any], name: str) -> str:
    key_id = core.cache.alias_target(call.account_id, call.region, name)
    if key_id is None:
        raise _not_found(call, name)
    return key_id


def _s3_alias(call: Call[Any]) -> tuple[str, str, str]:
    return call.account_id, call.region, S3_KEY_ALIAS


def _check_kind(current: StoredKey, key: StoredKey) -> None:
    """Both symmetric, both asymmetric or both HMAC, and of one usage, which tells HMAC keys ("UpdateAlias")."""
    kinds = [(SPECS[each.metadata.key_spec].is_private, each.metadata.key_usage) for each in (current, key)]
    if kinds[0] != kinds[1]:
        specs = [f"{each.metadata.key_spec} for {each.metadata.key_usage}" for each in (current, key)]
        raise KMSError(
            "ValidationException",
            f"The current and the new key of an alias must be of one type and usage, not {specs[0]} and {specs[1]}.",
        )


def _check_quota(core: Core, key: StoredKey) -> None:
    metadata, limit = key.metadata, core.settings.max_aliases
    present = core.store.aliases(metadata.account_id, metadata.region, key_id=metadata.key_id, after="", limit=limit)
    if len(present) >= limit:
        raise KMSError("LimitExceededException", f"A KMS key can have {limit} aliases.")


def _alias(stored: StoredAlias) -> Alias:
    arn = alias_arn(stored.region, stored.account_id, stored.name)
    return Alias(stored.name, arn, stored.key_id, stored.created_us, stored.updated_us)


def _not_found(call: Call[Any], name: str) -> KMSError:
    return KMSError("NotFoundException", f"Alias {alias_arn(call.region, call.account_id, name)} is not found.")


def _target_gone(key: StoredKey) -> KMSError:
    return KMSError("NotFoundException", f"Key '{key.metadata.key_arn}' does not exist")
