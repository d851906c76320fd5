"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant; and the grant tokens of every operation.

Grants are in effect everywhere before CreateGrant is answered, and gone before RevokeGrant is; tokens, which AWS needs
to bridge its eventual consistency, are only checked to be ours.
"""

from __future__ import annotations

import os

from iam.policy.principals import is_principal_arn
from kms.api.errors import KMSError
from kms.api.types import (
    CreateGrant,
    Grant,
    GrantConstraints,
    GrantPage,
    KeyMetadata,
    ListGrants,
    ListRetirableGrants,
    NewGrant,
    RetireGrant,
    RevokeGrant,
)
from kms.keys.state import Operation
from kms.service import grant_rules, paging
from kms.service.call import Call
from kms.service.constraints import check_length, dry_run_succeeded
from kms.service.core import Core
from kms.store.interface import GrantNotFound, KeyConflict, TooManyGrants
from kms.store.records import StoredGrant, StoredKey

MAX_TOKENS = 10
MAX_CONSTRAINT_PAIRS = 8
MAX_CONSTRAINT_VALUE_LENGTH = 384
_GRANT_ID_LENGTH = 2 * grant_rules.GRANT_ID_BYTES


async def create_grant(core: Core, call: Call[CreateGrant]) -> NewGrant:
    request = call.request
    metadata = core.key_for(call, request.key_id, Operation.CREATE_GRANT).metadata
    _check_principals(request)
    _check_operations(request.operations, metadata)
    _check_constraints(request.constraints, metadata)
    if request.dry_run:
        raise dry_run_succeeded()
    grant = _new_grant(core, call, metadata)
    try:
        stored = await core.change(lambda: core.store.insert_grant(grant, core.settings.max_grants))
    except TooManyGrants:
        raise KMSError("LimitExceededException", f"A KMS key can have {core.settings.max_grants} grants.") from None
    except KeyConflict:
        raise KMSError("NotFoundException", f"Key '{metadata.key_arn}' does not exist") from None
    return NewGrant(stored.grant_id, grant_rules.format_token(stored))


async def list_grants(core: Core, call: Call[ListGrants]) -> GrantPage:
    """Grants of one key, all or those of one id or grantee."""
    request = call.request
    metadata = core.key_for(call, request.key_id, Operation.LIST_GRANTS).metadata
    paging.check_limit(request.limit, paging.MAX_GRANTS)
    if request.grant_id is not None:
        _check_grant_id(request.grant_id)
    found = core.store.grants(
        metadata.key_id,
        metadata.region,
        grant_id=request.grant_id,
        grantee=request.grantee_principal,
        after=paging.parse_grant_marker(request.marker),
        limit=request.limit + 1,
    )
    return _page(core, found, request.limit)


async def list_retirable_grants(core: Core, call: Call[ListRetirableGrants]) -> GrantPage:
    """Grants, of whoever's keys, that a principal of the caller's account may retire.

    That principal is the resource that the caller is allowed to ask about (API Reference, ListRetirableGrants).
    """
    request = call.request
    _check_arn(request.retiring_principal)
    core.authorise(call, Operation.LIST_RETIRABLE_GRANTS.action, None, request.retiring_principal)
    paging.check_limit(request.limit, paging.MAX_GRANTS)
    if request.retiring_principal.split(":")[4] != call.account_id:
        raise KMSError("AccessDeniedException", "The retiring principal must be of your own account.")
    found = core.store.retirable_grants(
        call.region,
        request.retiring_principal,
        after=paging.parse_grant_marker(request.marker),
        limit=request.limit + 1,
    )
    return _page(core, found, request.limit)


async def retire_grant(core: Core, call: Call[RetireGrant]) -> None:
    """Whoever the grant says may retire it does so by its token, or by key and grant id."""
    grant, key = _grant_to_retire(core, call)
    core.policies.require_retiring(call, key, grant)
    await _delete(core, grant, dry_run=call.request.dry_run)


async def revoke_grant(core: Core, call: Call[RevokeGrant]) -> None:
    key = core.key_for(call, call.request.key_id, Operation.REVOKE_GRANT)
    _check_grant_id(call.request.grant_id)
    await _delete(core, _grant_of(core, key, call.request.grant_id), dry_run=call.request.dry_run)


def check_tokens(core: Core, tokens: tuple[str, ...]) -> None:
    """Raises InvalidGrantTokenException for a token that was not given out here, or whose grant is gone."""
    if len(tokens) > MAX_TOKENS:
        raise KMSError("ValidationException", f"A request can have {MAX_TOKENS} grant tokens.")
    for token in tokens:
        _grant_of_token(core, token)


def _new_grant(core: Core, call: Call[CreateGrant], metadata: KeyMetadata) -> StoredGrant:
    request = call.request
    return StoredGrant(
        grant_id=os.urandom(grant_rules.GRANT_ID_BYTES).hex(),
        key_id=metadata.key_id,
        region=metadata.region,
        grantee_principal=request.grantee_principal,
        retiring_principal=request.retiring_principal,
        issuing_account_id=call.account_id,
        name=request.name,
        operations=tuple(dict.fromkeys(request.operations)),
        constraints=request.constraints,
        created_us=core.clock_us(),
        token_key=os.urandom(grant_rules.TOKEN_KEY_BYTES),
    )


def _check_principals(request: CreateGrant) -> None:
    _check_arn(request.grantee_principal)
    if request.retiring_principal is not None:
        _check_arn(request.retiring_principal)
    check_length("name", len(request.name), 0, 256, request.name)


def _check_arn(text: str) -> None:
    if not is_principal_arn(text):
        raise KMSError("InvalidArnException", f"Invalid arn {text[:256]}")


def _check_operations(operations: tuple[str, ...], key: KeyMetadata) -> None:
    if not operations:
        raise KMSError("ValidationException", "Operations must not be empty.")
    grantable = grant_rules.grantable_operations(key)
    for operation in operations:
        if operation not in grantable:
            raise KMSError(
                "ValidationException",
                f"Operation {operation[:64]} is not valid for a grant on a key with key spec {key.key_spec} and key"
                f" usage {key.key_usage}.",
            )


def _check_constraints(constraints: GrantConstraints, key: KeyMetadata) -> None:
    contexts = [constraints.encryption_context_subset, constraints.encryption_context_equals]
    present = [context for context in contexts if context is not None]
    if present and key.key_spec != "SYMMETRIC_DEFAULT":
        raise KMSError("ValidationException", "Grant constraints are not supported for asymmetric and HMAC KMS keys.")
    for context in present:
        if len(context) > MAX_CONSTRAINT_PAIRS:
            raise KMSError("ValidationException", f"A constraint can have {MAX_CONSTRAINT_PAIRS} pairs.")
        if any(len(value) > MAX_CONSTRAINT_VALUE_LENGTH for value in context.values()):
            raise KMSError(
                "ValidationException", f"A value of a constraint can have {MAX_CONSTRAINT_VALUE_LENGTH} characters."
            )


def _check_grant_id(grant_id: str) -> None:
    is_one = len(grant_id) == _GRANT_ID_LENGTH and all(character in "0123456789abcdef" for character in grant_id)
    if not is_one:
        raise KMSError("InvalidGrantIdException", f"Invalid grantId {grant_id[:128]}")


def _grant_to_retire(core: Core, call: Call[RetireGrant]) -> tuple[StoredGrant, StoredKey]:
    request = call.request
    by_id = request.key_id is not None and request.grant_id is not None
    if (request.grant_token is None) != by_id:
        raise KMSError("ValidationException", "Grant token OR (grant ID, key ID) must be specified")
    if request.grant_token is not None:
        grant = _grant_of_token(core, request.grant_token)
        arn = _key_arn_of(core, grant)
        return grant, core.find(call, arn, Operation.RETIRE_GRANT)
    assert request.key_id is not None
    assert request.grant_id is not None
    _check_grant_id(request.grant_id)
    key = core.find(call, request.key_id, Operation.RETIRE_GRANT)
    return _grant_of(core, key, request.grant_id), key


def _grant_of(core: Core, key: StoredKey, grant_id: str) -> StoredGrant:
    grant = core.store.grant(grant_id)
    if grant is None or (grant.key_id, grant.region) != (key.metadata.key_id, key.metadata.region):
        raise _not_found(grant_id)
    return grant


def _grant_of_token(core: Core, token: str) -> StoredGrant:
    grant_id = grant_rules.grant_id_of(token)
    grant = None if grant_id is None else core.store.grant(grant_id)
    if grant is None or not grant_rules.is_token_of(token, grant):
        raise KMSError("InvalidGrantTokenException", "The grant token is not valid.")
    return grant


async def _delete(core: Core, grant: StoredGrant, *, dry_run: bool) -> None:
    if dry_run:
        raise dry_run_succeeded()
    try:
        await core.change(lambda: core.store.delete_grant(grant.grant_id, grant.key_id, grant.region))
    except GrantNotFound:
        raise _not_found(grant.grant_id) from None


def _not_found(grant_id: str) -> KMSError:
    return KMSError("NotFoundException", f"Grant ID {grant_id} not found")


def _key_arn_of(core: Core, grant: StoredGrant) -> str:
    key = core.cache.key(grant.key_id, grant.region)
    assert key is not None, "a grant goes with its key"
    return key.metadata.key_arn


def _page(core: Core, found: list[StoredGrant], limit: int) -> GrantPage:
    page = found[:limit]
    marker = paging.format_grant_marker(page[-1].sequence) if len(found) > limit else None
    return GrantPage(tuple(_grant(core, each) for each in page), marker)


def _grant(core: Core, stored: StoredGrant) -> Grant:
    return Grant(
        grant_id=stored.grant_id,
        key_arn=_key_arn_of(core, stored),
        grantee_principal=stored.grantee_principal,
        retiring_principal=stored.retiring_principal,
        issuing_account_id=stored.issuing_account_id,
        name=stored.name,
        operations=stored.operations,
        constraints=stored.constraints,
        created_us=stored.created_us,
    )
