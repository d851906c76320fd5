"""RenameObject (API reference: API_RenameObject), which AWS offers in directory buckets.

The object keeps all that it has, its blobs, its time and its row's uid among them; no data moves. Its data key is
wrapped anew, since a wrap names the object; that of an object by SSE-C does not, and stays, as there is no key to open
it by. A new manifest blob says the new name to whoever has the blobs alone: of several footers with one row uid, that
of the youngest blob holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.operations.authorisation import ARN_PREFIX, ObjectTags
from gateway.operations.context import Call, checked_key
from gateway.operations.documents import ObjectDocument, encode
from gateway.operations.encryption import EncryptionChoice, new_manifest_key, rewrap
from gateway.operations.footers import object_descriptor, object_envelope
from gateway.operations.manifest import store_manifest
from gateway.operations.preconditions import current_or_none, require_comparison
from gateway.operations.versioning import Versioning, versioning_of
from gateway.protocol.conditions import CONDITIONS, check_rename, check_rename_headers, check_source
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.protocol.names import BucketName, ObjectKey, object_arn
from gateway.protocol.rename_source import client_token, source_keys
from gateway.sealing.body_key import BodyKey
from gateway.storage.errors import Conflict, NoSuchKey
from gateway.storage.index.interface import Precondition
from gateway.storage.index.records import BucketRow, ClientToken, ObjectRow

MAX_ATTEMPTS = 5
"""Each one failed because another request changed the object in between."""

SOURCE_CONDITIONS = "x-amz-rename-source-"


@dataclass(frozen=True, slots=True)
class _Source:
    key: ObjectKey
    row: ObjectRow
    document: ObjectDocument


async def handle(call: Call) -> Response:
    """One transaction, which finds the object as it was when its conditions were checked, or changes nothing."""
    bucket = await call.bucket()
    if versioning_of(call, bucket) is not Versioning.NEVER:
        raise S3Error("InvalidBucketState", "Objects are renamed in buckets that never had versioning.")
    if call.services.rows.open_bucket(bucket).has_acls:
        raise S3Error("InvalidBucketState", "Objects are renamed in buckets whose ACLs are disabled.")
    keys = [checked_key(key) for key in source_keys(call.request.headers, call.bucket_name)]
    check_rename_headers(call.request.headers)
    _check_name(call.key)
    token = _token(call)
    for _ in range(MAX_ATTEMPTS):
        if token is not None and await _is_done(call, bucket, token):
            return Response()
        try:
            await _rename(call, bucket, await _find(call, bucket, keys), token)
        except Conflict:
            continue
        return Response()
    raise S3Error("OperationAborted")


def _check_name(key: ObjectKey) -> None:
    """User Guide, "Renaming objects in directory buckets": no key that ends with the delimiter."""
    if key.endswith("/"):
        raise S3Error("InvalidRequest", "A key that ends with a slash cannot be renamed, nor be the new name.")


def _token(call: Call) -> ClientToken | None:
    """The digest is over all that the request depends on, and over who asks."""
    token = client_token(call.request.headers)
    if token is None:
        return None
    headers = call.request.headers
    conditions = sorted(name for name in headers if name in CONDITIONS or name.startswith(SOURCE_CONDITIONS))
    parameters = [
        call.caller.principal.arn,
        call.key,
        headers["x-amz-rename-source"],
        *(f"{name}:{headers[name]}" for name in conditions),
    ]
    return ClientToken(token, hashlib.sha256(ascii(parameters).encode()).digest())


async def _is_done(call: Call, bucket: BucketRow, token: ClientToken) -> bool:
    """Raises S3Error IdempotencyParameterMismatch."""
    request = await call.services.index.request_of_token(bucket.bucket_id, token.token)
    if request is not None and request != token.request:
        raise S3Error("IdempotencyParameterMismatch")
    return request is not None


async def _find(call: Call, bucket: BucketRow, keys: Sequence[ObjectKey]) -> _Source:
    """The object to rename, its conditions checked, if the caller may read it and take it away.

    Raises S3Error NoSuchKey, AccessDenied, PreconditionFailed, InvalidRequest.
    """
    for key in keys:
        arn = f"{ARN_PREFIX}{call.bucket_name}/{key}"
        try:
            row = await call.services.index.get_object(bucket.bucket_id, key.encode())
        except NoSuchKey:
            continue
        document = call.services.rows.open_object(row)
        tags = ObjectTags(document.tags)
        for action in ("s3:GetObject", "s3:DeleteObject"):
            call.permissions.require(action, arn, tags=tags)
        _check_name(key)
        if key == call.key:
            raise S3Error("InvalidRequest", "This rename request is illegal because it renames an object to itself.")
        if document.tags:
            call.permissions.require("s3:GetObjectTagging", arn, tags=tags)
            call.permissions.require("s3:PutObjectTagging", call.object_arn, tags=ObjectTags({}, document.tags))
        headers = call.request.headers
        check_source(headers, SOURCE_CONDITIONS, etag=document.etag, modified_us=row.modified_us, now_us=call.now_us)
        return _Source(key, row, document)
    raise call.permissions.conceal(S3Error("NoSuchKey", fields={"Key": keys[0]}), call.bucket_name, keys[0])


async def _rename(call: Call, bucket: BucketRow, source: _Source, token: ClientToken | None) -> None:
    """Raises storage's Conflict if the object was changed meanwhile."""
    services, old, document = call.services, source.row, source.document

    precondition = await _check_early(call, bucket)
    keys = await _keys(call, bucket, source)
    row = replace(old, key=call.key.encode(), wrap=keys.wrap, revision=old.revision + 1)
    parts = services.rows.parts_of(old, document)
    descriptor = object_descriptor(call.key, row, document, parts)
    envelope = object_envelope(
        bucket,
        BlobKind.MANIFEST,
        keys.wrap,
        row_uid=row.row_uid,
        context=document.context,
        object_arn=call.object_arn,
        manifest_wrap=keys.manifest_wrap,
    )
    single_bytes = row.size if parts is None else None
    async with store_manifest(
        call, keys.manifest_key, envelope, encode(descriptor), single_bytes=single_bytes
    ) as manifest:
        sealed = services.rows.seal_object(manifest.attach(row), document, parts)
        await services.index.rename_object(old, sealed, manifest.blob, precondition, token)
        manifest.keep()


@dataclass(frozen=True, slots=True)
class _Keys:
    """The wrap of the object under its new name, and what seals the manifest: its own data key, if `manifest_wrap`."""

    wrap: Wrap
    manifest_key: BodyKey
    manifest_wrap: Wrap | None = None


async def _keys(call: Call, bucket: BucketRow, source: _Source) -> _Keys:
    old, context = source.row, source.document.context or {}
    if old.wrap.mode is Mode.SSE_C:
        return _Keys(old.wrap, *await new_manifest_key(call, bucket, old.row_uid))
    data_key = await call.services.data_keys.open(
        call.caller,
        old.wrap,
        context=context,
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=old.row_uid,
        object_arn=object_arn(BucketName(call.bucket_name), source.key),
    )
    choice = EncryptionChoice(old.wrap.mode, old.wrap.key_arn, context)
    return _Keys(await rewrap(call, bucket, old.row_uid, choice, data_key), data_key)


async def _check_early(call: Call, bucket: BucketRow) -> Precondition | None:
    """The conditions on the new name, checked once before a key is asked for, to be checked again in the transaction.

    All but If-None-Match tell something of the object that has the name. Raises S3Error PreconditionFailed,
    AccessDenied.
    """
    headers = call.request.headers
    if CONDITIONS.isdisjoint(headers):
        return None
    if not (CONDITIONS - {"if-none-match"}).isdisjoint(headers):
        await require_comparison(call, bucket, call.key)

    def check(current: ObjectRow | None) -> None:
        etag = None if current is None else call.services.rows.open_object(current).etag
        modified_us = 0 if current is None else current.modified_us
        check_rename(headers, etag=etag, modified_us=modified_us, now_us=call.now_us)

    check(await current_or_none(call, bucket.bucket_id))
    return check
