"""CopyObject (API reference: API_CopyObject).

Inside one account the copy shares the source's blobs: 32 bytes are wrapped anew, and no data moves. The data is read
through once, without being written, only where the answer needs a digest that the source does not have. Between
accounts, where one side is under a customer's key or has two layers, and where a bucket says so
(`gateway.operations.copy_sharing`), the data is sealed anew (`gateway.operations.object.copy_anew`); so it is where the
source is replaced as often as it is shared.
"""

from __future__ import annotations

from contextlib import aclosing

from gateway.operations.acl import Access, access_of_new_object
from gateway.operations.context import Call
from gateway.operations.copy_sharing import shares_blobs
from gateway.operations.copy_source import CopySource, check_copy_size, find_copy_source, open_source_key
from gateway.operations.digests import DEFAULT_ALGORITHM, Digests, Verified
from gateway.operations.documents import ObjectDocument, encode
from gateway.operations.download import open_range
from gateway.operations.encryption import EncryptionChoice, choose_encryption, rewrap
from gateway.operations.first_wrap import first_key_after
from gateway.operations.footers import object_descriptor, object_envelope
from gateway.operations.manifest import store_manifest
from gateway.operations.object.copy_anew import copied_response, copy_anew
from gateway.operations.object.single_body import NewObject
from gateway.operations.preconditions import check_early
from gateway.operations.tagging import copied_tags
from gateway.operations.upload import opaque_etag
from gateway.operations.versioning import new_version_id
from gateway.protocol.checksums import Algorithm, ChecksumExpectation, requested_algorithm
from gateway.protocol.content_sha256 import UNSIGNED_PAYLOAD
from gateway.protocol.copy_source import RANGE
from gateway.protocol.encryption import BUCKET_KEY, CUSTOMER_ALGORITHM, SSE
from gateway.protocol.errors import S3Error, not_implemented
from gateway.protocol.messages import Response
from gateway.protocol.modes import BlobKind, Mode
from gateway.protocol.object_headers import REDIRECT_LOCATION, STORAGE_CLASS, ObjectHeaders, is_metadata_replaced
from gateway.sealing.body_key import BodyKey
from gateway.sealing.ids import new_id
from gateway.storage.errors import Conflict
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind

SHARING_ATTEMPTS = 4
"""Each one failed because the source was replaced or deleted while it was being copied, and so were its blobs. After
them the data is sealed anew, which nobody who writes the source can keep from coming to its end: what was condemned can
be read for a while yet."""

_CHANGING = frozenset({SSE, BUCKET_KEY, CUSTOMER_ALGORITHM, STORAGE_CLASS, REDIRECT_LOCATION})


async def handle(call: Call) -> Response:
    """A copy of the source as it was at one moment; of one that is written all the time, of a later moment."""
    if RANGE in call.request.headers:
        raise not_implemented(RANGE)  # a part is for UploadPartCopy to take
    for _ in range(SHARING_ATTEMPTS):
        try:
            return await _copy(call, may_share=True)
        except Conflict:
            call.look_again()
    return await _copy(call, may_share=False)


async def _copy(call: Call, *, may_share: bool) -> Response:
    """Raises storage's Conflict if blobs of the source, which the copy was to share, were condemned meanwhile."""
    bucket = await call.bucket()
    source = await find_copy_source(call)
    check_copy_size(source.row.size)
    described = _described(call, bucket, source)
    tags = copied_tags(call, source)
    access = access_of_new_object(call, bucket)
    algorithm = requested_algorithm(call.request.headers)
    choice = choose_encryption(call, bucket)
    precondition = await check_early(call, bucket.bucket_id)
    data_key = await open_source_key(call, source)
    shares = may_share and shares_blobs(call.services, source.bucket, bucket, {source.row.wrap.mode, choice.mode})
    if not shares:
        target = NewObject(
            bucket=bucket, described=described, tags=tags, access=access, choice=choice, precondition=precondition
        )
        return await copy_anew(call, source, data_key, target, algorithm)
    row_uid = new_id()
    wrap = await rewrap(call, bucket, row_uid, choice, data_key)
    document = await _document(
        call,
        source,
        data_key,
        described=described,
        tags=tags,
        access=access,
        choice=choice,
        algorithm=algorithm,
        first_key=first_key_after(source.row.wrap, source.document, wrap),
    )
    row = ObjectRow(
        bucket_id=bucket.bucket_id,
        key=call.key.encode(),
        row_uid=row_uid,
        version_id=new_version_id(call, bucket, call.now_us),
        kind=RowKind.OBJECT,
        size=source.row.size,
        modified_us=call.now_us,
        wrap=wrap,
        blob_ids=source.row.blob_ids,
        manifest_id=None,
        part_count=0,
        revision=0,
        sealed=b"",
    )
    parts = call.services.rows.parts_of(source.row, source.document)
    envelope = object_envelope(
        bucket, BlobKind.MANIFEST, wrap, row_uid=row_uid, context=choice.context, object_arn=call.object_arn
    )
    descriptor = encode(object_descriptor(call.key, row, document, parts))
    single_bytes = row.size if parts is None else None
    async with store_manifest(call, data_key, envelope, descriptor, single_bytes=single_bytes) as manifest:
        sealed = call.services.rows.seal_object(manifest.attach(row), document, parts)
        await call.services.index.put_object(sealed, [manifest.blob], precondition)
        manifest.keep()
    return copied_response(call, bucket, source, (row, document), choice)


def _described(call: Call, bucket: BucketRow, source: CopySource) -> ObjectHeaders:
    """Headers and metadata of the copy. Raises S3Error InvalidRequest for a copy onto itself that changes nothing."""
    headers = call.request.headers
    given = ObjectHeaders.parse(headers)
    if is_metadata_replaced(headers):
        return given
    if _is_itself(call, bucket, source) and not _changes_something(call, bucket, source, given.storage_class):
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
        )
    document = source.document
    return ObjectHeaders(document.headers, document.metadata, document.storage_class).copied(headers)


def _is_itself(call: Call, bucket: BucketRow, source: CopySource) -> bool:
    """A version that the request names is something else than the key: copying an older one brings it back."""
    return (
        not source.is_version_named and source.row.bucket_id == bucket.bucket_id and source.row.key == call.key.encode()
    )


def _changes_something(call: Call, bucket: BucketRow, source: CopySource, storage_class: str) -> bool:
    """Recorded from AWS: naming storage class, redirect location or encryption is enough, even the same as before;
    without a header the object is encrypted anew where the bucket has a configuration of its own, or SSE-S3 takes the
    place of another mode.
    """
    headers = call.request.headers
    if not headers.keys().isdisjoint(_CHANGING) or storage_class != source.document.storage_class:
        return True
    return call.services.rows.open_bucket(bucket).encryption is not None or source.row.wrap.mode is not Mode.SSE_S3


async def _document(
    call: Call,
    source: CopySource,
    data_key: BodyKey,
    *,
    described: ObjectHeaders,
    tags: dict[str, str],
    access: Access,
    choice: EncryptionChoice,
    algorithm: Algorithm | None,
    first_key: str | None,
) -> ObjectDocument:
    """The copy's document: digests of the source where it has them, else of one pass through its data."""
    old = source.document
    has_md5 = source.row.wrap.mode is Mode.SSE_S3 and "-" not in old.etag
    needs_md5 = choice.mode is Mode.SSE_S3 and not has_md5
    keeps_checksum = old.checksum_type == "FULL_OBJECT" and (algorithm is None or algorithm.name in old.checksums)
    checksums = old.checksums
    etag = old.etag if choice.mode is Mode.SSE_S3 else opaque_etag()
    if needs_md5 or not keeps_checksum:
        wanted = algorithm or next((Algorithm[name] for name in old.checksums), DEFAULT_ALGORITHM)
        verified = await _digest(call, source, data_key, wanted, md5=needs_md5)
        checksums = {wanted.name: verified.checksums[wanted.name]}
        if verified.md5 is not None:
            etag = verified.md5.hex()
    return ObjectDocument(
        etag=etag,
        commitment=old.commitment,
        headers=described.headers,
        metadata=described.metadata,
        checksums=checksums,
        storage_class=described.storage_class,
        context=dict(choice.context) or None,
        tags=tags,
        owner=access.owner,
        grants=access.grants,
        first_key=first_key,
    )


async def _digest(call: Call, source: CopySource, data_key: BodyKey, algorithm: Algorithm, *, md5: bool) -> Verified:
    digests = Digests(ChecksumExpectation(), UNSIGNED_PAYLOAD, md5=md5, also=algorithm)
    stream = await open_range(call.services, data_key, source.blobs, 0, source.row.size)
    async with aclosing(call.watched(stream)) as pieces:
        async for piece in pieces:
            await digests.update(piece)
    return digests.verify({})
