"""Whether rows of the identity database must have seals, and how those of an earlier release get theirs.

Who can write that database could take every seal away, and leave it as a release before seals did. So it is not asked:
the key service is, whose rows the root seals. A tag of the service's own KMS key says that identities have seals. Rows
without them are sealed as they are once, while the key has no such tag yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from iam.principals import Caller, service_caller
from kms.api.service import KeyService
from kms.api.types import SERVICE_KEY_ALIAS, DescribeKey, ListResourceTags, Tag, TagResource

IDENTITY_SEALS: Final = Tag("sealgate:identity-seals", "1")
"""Of the service's KMS key: rows of the identity database have seals."""


async def require_identity_seals(
    kms: KeyService, seal_older_rows: Callable[[], Awaitable[None]], *, request_id: str
) -> None:
    """Have rows of an earlier release sealed, and that noted; nothing if it was done already.

    Killed in between, it is done again: what has a seal keeps it. Raises KMSError, KMSUnavailable, and what
    `seal_older_rows` raises.
    """
    caller = service_caller(request_id)
    key_id, has_seals = await _service_key(kms, caller)
    if not has_seals:
        await seal_older_rows()
        await kms.call(caller, TagResource(key_id, (IDENTITY_SEALS,)))


async def must_have_seals(kms: KeyService, *, request_id: str) -> bool:
    """Whether rows of the identity database must have seals. Raises KMSError, KMSUnavailable."""
    _, has_seals = await _service_key(kms, service_caller(request_id))
    return has_seals


async def _service_key(kms: KeyService, caller: Caller) -> tuple[str, bool]:
    """Its id, and whether it has the tag."""
    key_id = (await kms.call(caller, DescribeKey(SERVICE_KEY_ALIAS))).key_id
    return key_id, IDENTITY_SEALS in (await kms.call(caller, ListResourceTags(key_id))).tags
