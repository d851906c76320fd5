"""CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.face.documents import SYMMETRIC_DEFAULT, Document, key_metadata, key_page, timestamp
from kms.face.request import ParsedRequest
from kms.keys.specs import ENCRYPT_DECRYPT

DEFAULT_PAGE = 100
MAX_PAGE = 1000
DEFAULT_WINDOW_DAYS = 30
MIN_WINDOW_DAYS = 7
MAX_WINDOW_DAYS = 30
"""The documented limits of a deletion's window; the model's shape says 1 to 365."""


async def create_key(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("XksKeyId")
    key_spec = _key_spec(request)
    key_usage = _key_usage(key_spec, request.text_or_none("KeyUsage"))
    description = request.text_or_none("Description") or ""
    made = await service.call(
        caller,
        t.CreateKey(
            description=description,
            key_spec=key_spec,
            key_usage=key_usage,
            origin=request.text_or_none("Origin") or "AWS_KMS",
            multi_region=request.flag("MultiRegion"),
            policy=request.text_or_none("Policy"),
            bypass_policy_lockout_safety_check=request.flag("BypassPolicyLockoutSafetyCheck"),
            tags=request.tags("Tags"),
            custom_key_store_id=request.text_or_none("CustomKeyStoreId"),
        ),
    )
    return {"KeyMetadata": key_metadata(made)}


def _key_spec(request: ParsedRequest) -> str:
    """KeySpec or its deprecated spelling, which older clients send; both only if they agree."""
    key_spec, old = request.text_or_none("KeySpec"), request.text_or_none("CustomerMasterKeySpec")
    if key_spec is not None and old is not None and key_spec != old:
        raise KMSError(
            "ValidationException",
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
            "CustomerMasterKeySpec is deprecated.",
        )
    return key_spec or old or SYMMETRIC_DEFAULT


def _key_usage(key_spec: str, key_usage: str | None) -> str:
    if key_usage is None and key_spec != SYMMETRIC_DEFAULT:
        raise KMSError(
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        )
    return key_usage or ENCRYPT_DECRYPT


async def describe_key(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    return {
        "KeyMetadata": key_metadata(
            await service.call(caller, t.DescribeKey(request.text("KeyId"), request.texts("GrantTokens")))
        )
    }


async def list_keys(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    wanted = t.ListKeys(
        limit=request.integer_within("Limit", DEFAULT_PAGE, 1, MAX_PAGE),
        marker=request.text_or_none("Marker"),
        resource_owners=request.texts("ResourceOwners"),
    )
    return key_page(await service.call(caller, wanted))


async def enable_key(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.EnableKey(request.text("KeyId")))


async def disable_key(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.DisableKey(request.text("KeyId")))


async def schedule_key_deletion(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    days = request.integer_within("PendingWindowInDays", DEFAULT_WINDOW_DAYS, MIN_WINDOW_DAYS, MAX_WINDOW_DAYS)
    key = await service.call(caller, t.ScheduleKeyDeletion(request.text("KeyId"), days))
    document = {"KeyId": key.key_arn, "KeyState": key.state.value, "PendingWindowInDays": days}
    # A primary with replicas has no date until they are gone.
    return document if key.deletion_us is None else {**document, "DeletionDate": timestamp(key.deletion_us)}


async def cancel_key_deletion(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    return {"KeyId": (await service.call(caller, t.CancelKeyDeletion(request.text("KeyId")))).key_arn}
