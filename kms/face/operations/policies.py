"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document
from kms.face.request import ParsedRequest


async def get_key_policy(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    name = request.text_or_none("PolicyName") or t.DEFAULT_POLICY_NAME
    answer = await service.call(caller, t.GetKeyPolicy(request.text("KeyId"), name))
    return {"Policy": answer.policy, "PolicyName": answer.policy_name}


async def put_key_policy(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(
        caller,
        t.PutKeyPolicy(
            key_id=request.text("KeyId"),
            policy=request.text("Policy"),
            policy_name=request.text_or_none("PolicyName") or t.DEFAULT_POLICY_NAME,
            bypass_policy_lockout_safety_check=request.flag("BypassPolicyLockoutSafetyCheck"),
        ),
    )


async def list_key_policies(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    key_id, marker = request.text("KeyId"), request.text_or_none("Marker")
    answer = await service.call(caller, t.ListKeyPolicies(key_id, marker))
    return {"PolicyNames": list(answer.names), "Truncated": False}
