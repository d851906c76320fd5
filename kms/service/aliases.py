"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases. Names are unique in an account; a key may have several."""

from __future__ import annotations

from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.types import S3_KEY_ALIAS, Alias, AliasPage
from kms.keys.state import Operation
from kms.service import paging
from kms.service.authorisation import access_denied_abroad
from kms.service.core import Core
from kms.service.key_names import alias_arn, check_alias_name, parse_key_name
from kms.store.interface import AliasExists, AliasNotFound, KeyConflict
from kms.store.records import StoredAlias, StoredKey


async def create_alias(core: Core, caller: Caller, name: str, target_key_id: str) -> None:
    check_alias_name(name)
    key = _target(core, caller, target_key_id, Operation.CREATE_ALIAS)
    account_id = caller.principal.account_id
    now_us = core.clock_us()
    alias = StoredAlias(account_id, core.region, name, key.metadata.key_id, now_us, now_us)
    _check_quota(core, key)
    try:
        await core.change(lambda: core.store.insert_alias(alias))
    except AliasExists:
        arn = alias_arn(core.region, account_id, name)
        raise KMSError("AlreadyExistsException", f"An alias with the name {arn} already exists") from None
    except KeyConflict:
        raise _target_gone(key) from None


async def update_alias(core: Core, caller: Caller, name: str, target_key_id: str) -> None:
    check_alias_name(name)
    key = _target(core, caller, target_key_id, Operation.UPDATE_ALIAS)
    current_key_id = _find(core, caller, name)
    if current_key_id != key.metadata.key_id:
        _check_quota(core, key)
    account_id = caller.principal.account_id
    now_us = core.clock_us()
    key_id = key.metadata.key_id
    try:
        await core.change(
            lambda: core.store.retarget_alias(account_id, core.region, name, key_id=key_id, now_us=now_us)
        )
    except AliasNotFound:
        raise _not_found(core, caller, name) from None
    except KeyConflict:
        raise _target_gone(key) from None


async def delete_alias(core: Core, caller: Caller, name: str) -> None:
    check_alias_name(name)
    current = core.cache.key(_find(core, caller, name))
    if current is None:
        raise _not_found(core, caller, name)
    core.admit(caller, current, Operation.DELETE_ALIAS)
    try:
        await core.change(lambda: core.store.delete_alias(caller.principal.account_id, core.region, name))
    except AliasNotFound:
        raise _not_found(core, caller, name) from None


async def list_aliases(core: Core, caller: Caller, *, key_id: str | None, limit: int, marker: str | None) -> AliasPage:
    """Aliases in the order of their names; `alias/aws/s3` is listed, without a target, before its key is made."""
    core.authorise(caller, Operation.LIST_ALIASES.action, None)
    paging.check_limit(limit, paging.MAX_ALIASES)
    after = paging.parse_alias_marker(marker)
    account_id = caller.principal.account_id
    of_key = None
    if key_id is not None:
        of_key = core.key_for(caller, key_id, Operation.LIST_ALIASES).metadata.key_id
    stored = core.store.aliases(account_id, core.region, key_id=of_key, after=after, limit=limit + 1)
    aliases = [_alias(core, alias) for alias in stored]
    if of_key is None and after < S3_KEY_ALIAS and core.cache.alias_target(account_id, S3_KEY_ALIAS) is None:
        arn = alias_arn(core.region, account_id, S3_KEY_ALIAS)
        aliases.append(Alias(S3_KEY_ALIAS, arn, None, None, None))
        aliases.sort(key=lambda alias: alias.name)
    page = tuple(aliases[:limit])
    return AliasPage(page, paging.format_alias_marker(page[-1].name) if len(aliases) > limit else None)


def _target(core: Core, caller: Caller, target_key_id: str, operation: Operation) -> StoredKey:
    account_id = caller.principal.account_id
    name = parse_key_name(target_key_id, account_id=account_id, region=core.region)
    if name.is_alias:
        raise KMSError("ValidationException", "Aliases must refer to keys. Not aliases")
    key = core.key_for(caller, target_key_id, operation)
    if key.metadata.account_id != account_id:
        raise access_denied_abroad(caller, operation.action)
    return key


def _find(core: Core, caller: Caller, name: str) -> str:
    key_id = core.cache.alias_target(caller.principal.account_id, name)
    if key_id is None:
        raise _not_found(core, caller, name)
    return key_id


def _check_quota(core: Core, key: StoredKey) -> None:
    metadata, limit = key.metadata, core.settings.max_aliases
    present = core.store.aliases(metadata.account_id, core.region, key_id=metadata.key_id, after="", limit=limit)
    if len(present) >= limit:
        raise KMSError("LimitExceededException", f"A KMS key can have {limit} aliases.")


def _alias(core: Core, stored: StoredAlias) -> Alias:
    arn = alias_arn(core.region, stored.account_id, stored.name)
    return Alias(stored.name, arn, stored.key_id, stored.created_us, stored.updated_us)


def _not_found(core: Core, caller: Caller, name: str) -> KMSError:
    arn = alias_arn(core.region, caller.principal.account_id, name)
    return KMSError("NotFoundException", f"Alias {arn} is not found.")


def _target_gone(key: StoredKey) -> KMSError:
    return KMSError("NotFoundException", f"Key '{key.metadata.key_arn}' does not exist")
