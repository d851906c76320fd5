"""May this caller do this with this key: one function, and the refusals it answers with.

Today accounts own their keys: the root user of an account may do everything with the account's keys, the gateway
itself everything with the service's keys, and nobody else anything. The service takes any `Authorise` in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iam.principals import SERVICE_ACCOUNT_ID, Caller, PrincipalKind
from kms.api.errors import KMSError
from kms.api.types import KeyMetadata
from kms.service.call import Call, Decided
from kms.store.records import StoredKey

Authorise = Callable[[Call[Any], str, StoredKey | None], None]
"""(call, action such as "kms:Decrypt", key or None for what concerns no key); notes the decision on the call.

Raises AccessDeniedException."""


def authorise_account(call: Call[Any], action: str, key: StoredKey | None) -> None:
    """The owner may do everything with its keys. Raises AccessDeniedException."""
    refusal = _refusal(call.caller, action, None if key is None else key.metadata)
    resource_arn = "*" if key is None else key.metadata.key_arn
    call.decisions.append(Decided(action, resource_arn, refusal is None, "account ownership"))
    if refusal is not None:
        raise refusal


def _refusal(caller: Caller, action: str, key: KeyMetadata | None) -> KMSError | None:
    principal = caller.principal
    if key is None:
        return None if principal.kind is PrincipalKind.ROOT else access_denied(caller, action)
    if key.account_id != principal.account_id:
        return access_denied_abroad(caller, action)
    if key.account_id == SERVICE_ACCOUNT_ID:
        return None if principal.kind is PrincipalKind.SERVICE else access_denied_abroad(caller, action)
    return None if principal.kind is PrincipalKind.ROOT else access_denied(caller, action, key)


def access_denied(caller: Caller, action: str, key: KeyMetadata | None = None) -> KMSError:
    """AWS's refusal for an action on a key of the caller's own account, or on no key."""
    if key is None:
        return KMSError(
            "AccessDeniedException",
            f"User: {caller.principal.arn} is not authorized to perform: {action} because no identity-based policy"
            f" allows the {action} action",
        )
    return KMSError(
        "AccessDeniedException",
        f"User: {caller.principal.arn} is not authorized to perform: {action} on resource: {key.key_arn} because no"
        f" resource-based policy allows the {action} action",
    )


def access_denied_abroad(caller: Caller, action: str) -> KMSError:
    """AWS's refusal for another account's key; the same whether the key exists or not."""
    return KMSError(
        "AccessDeniedException",
        f"User: {caller.principal.arn} is not authorized to perform: {action} on this resource because the resource"
        " does not exist in this Region, no resource-based policies allow access, or a resource-based policy"
        " explicitly denies access",
    )
