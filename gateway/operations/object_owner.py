"""Where ACLs are enabled, an object's owner decides about it: found before the request is decided about.

What was found is kept, so that the object which is read or changed then is the one that was decided about.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.operations.authorisation import ARN_PREFIX, BY_OBJECT_OWNER, OF_UPLOADS, action_on
from gateway.operations.context import Call, checked_key
from gateway.operations.multipart.upload_id import parse_upload_id
from gateway.operations.sealed_rows import SealedRows
from gateway.operations.versioning import named_version
from gateway.protocol.acl import Grants, private
from gateway.protocol.errors import S3Error
from gateway.storage.errors import NoSuchKey, NoSuchUpload, NoSuchVersion
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind


async def introduce_owner(call: Call, bucket: BucketRow, key: str, version_id: str | None, action: str) -> None:
    """Let the owner of the object, or version, decide about `action` on it; nothing where the bucket's owner does.

    `version_id` is as the request wrote it. Raises S3Error AccessDenied for what is denied whosever the object is; for
    an object that is not there NoSuchKey, or AccessDenied for who may not list the bucket.
    """
    document = call.services.rows.open_bucket(bucket)
    if not document.has_acls or action not in BY_OBJECT_OWNER:
        return
    try:
        row = await call.version(bucket, checked_key(key), named_version(call, bucket, version_id), keep=True)
    except (NoSuchKey, NoSuchVersion) as missing:
        call.permissions.refuse_denied(action_on(action, is_version_named=version_id is not None), _arn(bucket, key))
        raise call.permissions.conceal(_missing(missing, key, version_id), bucket.name, key) from None
    introduce_row(call, bucket, key, row)


def introduce_row(call: Call, bucket: BucketRow, key: str, row: ObjectRow) -> None:
    """The same for a row that was read already. A delete marker says nothing: it is the bucket's owner's."""
    found = owner_and_grants(call.services.rows, call.services.canonical_id, bucket, row)
    if found is not None:
        call.permissions.introduce_object(_arn(bucket, key), *found)


def owner_and_grants(
    rows: SealedRows, canonical_id: Callable[[str], str], bucket: BucketRow, row: ObjectRow
) -> tuple[str, Grants] | None:
    """Who decides about an object in place of the bucket's owner, and the grants of its ACL; None where nobody does."""
    if not rows.open_bucket(bucket).has_acls or row.kind is RowKind.DELETE_MARKER:
        return None
    found = rows.open_object(row)
    owner = bucket.account_id if found.owner is None else found.owner
    return owner, private(canonical_id(owner)) if found.grants is None else found.grants


async def introduce_initiator(call: Call, bucket: BucketRow, action: str) -> None:
    """Let the account that began the upload of the request list and abort it."""
    if action not in OF_UPLOADS or call.account_id == bucket.account_id or call.is_anonymous:
        return
    try:
        upload_id = parse_upload_id(call.query.get("uploadId") or "")
        row = await call.services.index.get_upload(bucket.bucket_id, call.key.encode(), upload_id)
    except (S3Error, NoSuchUpload):  # told to those who may know
        return
    initiator = call.services.rows.open_upload(row).initiator
    if initiator is not None:
        call.permissions.introduce_upload(call.object_arn, initiator)


def _arn(bucket: BucketRow, key: str) -> str:
    return f"{ARN_PREFIX}{bucket.name}/{key}"


def _missing(error: NoSuchKey | NoSuchVersion, key: str, version_id: str | None) -> S3Error:
    if isinstance(error, NoSuchVersion):
        return S3Error("NoSuchVersion", fields={"Key": key, "VersionId": version_id or ""})
    return S3Error("NoSuchKey", fields={"Key": key})
