"""ReplicateKey, UpdatePrimaryRegion."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, key_metadata, tag_list
from kms.face.request import ParsedRequest


async def replicate_key(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    answer = await service.call(
        caller,
        t.ReplicateKey(
            key_id=request.text("KeyId"),
            replica_region=request.text("ReplicaRegion"),
            policy=request.text_or_none("Policy"),
            bypass_policy_lockout_safety_check=request.flag("BypassPolicyLockoutSafetyCheck"),
            description=request.text_or_none("Description") or "",
            tags=request.tags("Tags"),
        ),
    )
    return {
        "ReplicaKeyMetadata": key_metadata(answer.metadata),
        "ReplicaPolicy": answer.policy,
        "ReplicaTags": tag_list(answer.tags),
    }


async def update_primary_region(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.UpdatePrimaryRegion(request.text("KeyId"), request.text("PrimaryRegion")))
