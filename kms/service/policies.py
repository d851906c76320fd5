"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies; and what CreateKey asks of a policy."""

from __future__ import annotations

from typing import Any

from kms.api.errors import KMSError
from kms.api.types import DEFAULT_POLICY_NAME, GetKeyPolicy, KeyPolicy, ListKeyPolicies, PolicyNames, PutKeyPolicy
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.core import Core
from kms.service.key_policies import LOCKOUT, malformed, parse_key_policy, policy_text
from kms.service.paging import invalid_marker
from kms.store.interface import KeyConflict


async def get_key_policy(core: Core, call: Call[GetKeyPolicy]) -> KeyPolicy:
    key = core.key_for(call, call.request.key_id, Operation.GET_KEY_POLICY)
    _check_name(call.request.policy_name, "GetKeyPolicy")
    return KeyPolicy(policy_text(key), DEFAULT_POLICY_NAME)


async def put_key_policy(core: Core, call: Call[PutKeyPolicy]) -> None:
    """In effect everywhere before it is answered, as every visible change is."""
    request = call.request
    metadata = core.key_for(call, request.key_id, Operation.PUT_KEY_POLICY).metadata
    _check_name(request.policy_name, "PutKeyPolicy")
    check_new_policy(core, call, request.policy, bypass_lockout_check=request.bypass_policy_lockout_safety_check)
    try:
        await core.change(lambda: core.store.set_policy(metadata.key_id, metadata.region, request.policy))
    except KeyConflict:
        raise KMSError("NotFoundException", f"Key '{metadata.key_arn}' does not exist") from None


async def list_key_policies(core: Core, call: Call[ListKeyPolicies]) -> PolicyNames:
    core.key_for(call, call.request.key_id, Operation.LIST_KEY_POLICIES)
    if call.request.marker is not None:
        raise invalid_marker()
    return PolicyNames((DEFAULT_POLICY_NAME,))


def check_new_policy(core: Core, call: Call[Any], text: str, *, bypass_lockout_check: bool) -> None:
    """Raise MalformedPolicyDocumentException, or LimitExceededException for one that is too long, unless `text` can be
    the policy of a key of the caller's account.

    Whether the principals it names exist is not checked: identities are not this process's to know.
    """
    policy = parse_key_policy(text)
    if not bypass_lockout_check and not core.policies.keeps_control(call, call.account_id, policy):
        raise malformed(LOCKOUT)


def _check_name(name: str, operation: str) -> None:
    if name != DEFAULT_POLICY_NAME:
        if operation == "GetKeyPolicy":
            raise KMSError("NotFoundException", "No such policy exists")
        raise KMSError("ValidationException", f"Value '{name[:128]}' at 'policyName' is not {DEFAULT_POLICY_NAME}")
