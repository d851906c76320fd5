"""CreateKey, DescribeKey, ListKeys."""

from __future__ import annotations

from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.types import CreateKey, KeyListEntry, KeyMetadata, KeyPage, Tag
from kms.keys.state import Operation
from kms.service import paging
from kms.service.core import Core
from kms.service.key_names import too_long
from kms.service.predefined import make_key, make_predefined_key, new_metadata

MAX_DESCRIPTION_LENGTH = 8192
MAX_TAGS = 50
MAX_TAG_KEY_LENGTH = 128
MAX_TAG_VALUE_LENGTH = 256


async def create_key(core: Core, caller: Caller, request: CreateKey) -> KeyMetadata:
    core.authorise(caller, Operation.CREATE_KEY.action, None)
    _check_offered(request)
    _check_tags(request.tags)
    if len(request.description) > MAX_DESCRIPTION_LENGTH:
        raise too_long("description", MAX_DESCRIPTION_LENGTH, request.description)
    account_id = caller.principal.account_id
    if core.store.count_keys(account_id, core.region) >= core.settings.max_keys:
        raise KMSError("LimitExceededException", f"An account can have {core.settings.max_keys} KMS keys.")
    metadata = new_metadata(core.region, account_id, core.clock_us(), description=request.description)
    new = await core.root.call(lambda root: make_key(root, metadata, tags=request.tags))
    await core.change(lambda: core.store.insert_key(new), is_visible=False)
    return metadata


async def describe_key(core: Core, caller: Caller, key_id: str) -> KeyMetadata:
    await make_predefined_key(core, caller, key_id, Operation.DESCRIBE_KEY)
    return core.key_for(caller, key_id, Operation.DESCRIBE_KEY).metadata


async def list_keys(core: Core, caller: Caller, *, limit: int, marker: str | None) -> KeyPage:
    core.authorise(caller, Operation.LIST_KEYS.action, None)
    paging.check_limit(limit, paging.MAX_KEYS)
    after = paging.parse_key_marker(marker)
    account_id = caller.principal.account_id
    keys = core.store.keys(account_id, core.region, after=after, now_us=core.clock_us(), limit=limit + 1)
    page = keys[:limit]
    entries = tuple(KeyListEntry(key.metadata.key_id, key.metadata.key_arn) for key in page)
    return KeyPage(entries, paging.format_key_marker(page[-1].sequence) if len(keys) > limit else None)


def _check_offered(request: CreateKey) -> None:
    """Refuse what this release does not offer, rather than make another key than the one that was asked for."""
    if request.key_spec != "SYMMETRIC_DEFAULT":
        raise KMSError("UnsupportedOperationException", f"KeySpec {request.key_spec} is not supported.")
    if request.key_usage != "ENCRYPT_DECRYPT":
        raise KMSError(
            "ValidationException",
            f"KeyUsage {request.key_usage} is not compatible with KeySpec {request.key_spec}",
        )
    if request.origin != "AWS_KMS":
        raise KMSError("UnsupportedOperationException", f"Origin {request.origin} is not supported.")
    if request.multi_region:
        raise KMSError("UnsupportedOperationException", "Multi-Region keys are not supported.")
    if request.policy is not None:
        raise KMSError("UnsupportedOperationException", "Key policies are not supported.")


def _check_tags(tags: tuple[Tag, ...]) -> None:
    if len(tags) > MAX_TAGS:
        raise KMSError("TagException", "Too many tags")
    if len({tag.key for tag in tags}) != len(tags):
        raise KMSError("TagException", "Duplicate tag keys")
    for tag in tags:
        if tag.key.startswith("aws:"):
            raise KMSError("TagException", "Tags beginning with aws: are reserved")
        if not 1 <= len(tag.key) <= MAX_TAG_KEY_LENGTH or len(tag.value) > MAX_TAG_VALUE_LENGTH:
            raise KMSError(
                "TagException",
                f"A tag has a key of 1 to {MAX_TAG_KEY_LENGTH} and a value of up to {MAX_TAG_VALUE_LENGTH} characters",
            )
