"""What a bucket's sealed document says: changing it, and answering what was put."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import msgspec

from gateway.operations.context import Call
from gateway.operations.documents import BucketDocument
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.storage.errors import Conflict
from gateway.storage.index.interface import BucketIndex
from gateway.storage.index.records import BucketRow

ATTEMPTS = 64
"""Tools configure a bucket by a dozen requests at once, each for another member; of those that meet, one succeeds."""

ACCESS_MEMBERS = frozenset({"grants", "object_ownership", "policy", "public_access_block"})
"""Whether one of them may be changed depends on the others: a public policy is refused where a block forbids it."""


async def change_bucket(call: Call, bucket: BucketRow, **changes: object) -> None:
    """Replace members of the bucket's document, and leave the others as they are now, whatever changed since `bucket`.

    Raises storage's NoSuchBucket, and Conflict (409 OperationAborted) if a change that this one was decided by came in
    between, or the bucket was made anew.
    """
    decisive = ACCESS_MEMBERS - changes.keys() if ACCESS_MEMBERS & changes.keys() else frozenset[str]()
    await alter_bucket(call, bucket, lambda document: msgspec.structs.replace(document, **changes), decisive)


async def alter_bucket(
    call: Call,
    bucket: BucketRow,
    alter: Callable[[BucketDocument], BucketDocument],
    decisive: Collection[str] = (),
) -> None:
    """Make of the bucket's document what `alter` makes of it as it is now; it is called anew where others came first.

    `decisive` are members that the change was decided by. Raises as `change_bucket`, and what `alter` does.
    """
    await alter_document(call.services.index, call.services.rows, bucket, alter, decisive)


async def alter_document(
    index: BucketIndex,
    rows: SealedRows,
    bucket: BucketRow,
    alter: Callable[[BucketDocument], BucketDocument],
    decisive: Collection[str] = (),
) -> None:
    """`alter_bucket` without a request."""
    seen = document = rows.open_bucket(bucket)
    row = bucket
    for _ in range(ATTEMPTS):
        sealed = rows.seal_bucket(replace(row, revision=row.revision + 1), alter(document))
        try:
            return await index.update_bucket(sealed)
        except Conflict:
            row = await index.get_bucket(bucket.name)
            document = rows.open_bucket(row)
            if row.bucket_id != bucket.bucket_id or _differ(seen, document, decisive):
                raise
    raise Conflict(f"the bucket was changed by others {ATTEMPTS} times in a row")


def _differ(one: BucketDocument, other: BucketDocument, members: Iterable[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in members)


def stored_document(call: Call, text: str | None, missing: str) -> Response:
    """A configuration as it is stored: XML. Raises S3Error `missing`, which names the bucket, for one that is not."""
    if text is None:
        raise S3Error(missing, fields={"BucketName": call.bucket_name})
    return Response(200, {"Content-Type": "application/xml"}, text.encode())
