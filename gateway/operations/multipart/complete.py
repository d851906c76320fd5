"""CompleteMultipartUpload (API reference: API_CompleteMultipartUpload).

Nothing is rewritten: the parts' blobs become the object's, in one transaction. A manifest blob (an empty body whose
footer holds the metadata and the part list) makes the object known to whoever has the blobs alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.operations.context import Call
from gateway.operations.customer_keys import key_of_upload
from gateway.operations.documents import ObjectDescriptor, ObjectDocument, encode
from gateway.operations.encryption import new_manifest_key, open_data_key
from gateway.operations.footers import object_envelope
from gateway.operations.lifecycle.headers import expiration_of_new
from gateway.operations.manifest import store_manifest
from gateway.operations.multipart.parts import ChosenParts, check_declared_size, choose_parts, multipart_etag
from gateway.operations.multipart.upload_id import find_upload, is_no_such_upload, parse_upload_id
from gateway.operations.preconditions import check_completion_early, current_or_none
from gateway.operations.render import xml_response
from gateway.operations.versioning import new_version_id, written_headers
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.modes import BlobKind, Mode
from gateway.protocol.xml.documents.multipart import (
    CompletedPart,
    CompleteMultipartUpload,
    CompleteMultipartUploadResult,
)
from gateway.storage.errors import NoSuchUpload
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind, UploadRow


async def handle(call: Call) -> Response:
    """A client that lost the answer may ask again: it gets it again, as long as the object is still the key's."""
    body = await call.read_document(ChecksumExpectation.parse_md5_only(call.request.headers))
    wanted = CompleteMultipartUpload.parse(body).parts
    try:
        return await _complete(call, wanted)
    except (S3Error, NoSuchUpload) as missing:
        completed = await _completed_before(call, wanted) if is_no_such_upload(missing) else None
        if completed is None:
            raise
        row, document = completed
        return _answer(call, await call.bucket(), document, row)


async def _completed_before(call: Call, wanted: Sequence[CompletedPart]) -> tuple[ObjectRow, ObjectDocument] | None:
    """The key's object, if it came out of this very upload and these very parts."""
    bucket = await call.bucket()
    row = await current_or_none(call, bucket.bucket_id)
    if row is None:
        return None
    document = call.services.rows.open_object(row)
    is_same = document.upload_id == parse_upload_id(call.query.get("uploadId") or "")
    return (row, document) if is_same and multipart_etag([part.etag for part in wanted]) == document.etag else None


async def _complete(call: Call, wanted: Sequence[CompletedPart]) -> Response:
    """The object's Last-Modified is the time at which the upload was begun, as on AWS."""
    bucket, upload, asked = await find_upload(call)
    # Recorded: the key may be left out, but for the object's checksum (API_CompleteMultipartUpload).
    key_of_upload(call, bucket, upload, is_needed=asked.checksum_algorithm is not None)
    precondition = await check_completion_early(call, bucket.bucket_id)
    chosen = await choose_parts(call, upload, asked, wanted)
    check_declared_size(call.request.headers, chosen.size)
    document = ObjectDocument(
        etag=chosen.etag,
        headers=asked.headers,
        metadata=asked.metadata,
        checksums={chosen.algorithm.name: chosen.checksum},
        checksum_type=chosen.checksum_type.name,
        storage_class=asked.storage_class,
        context=asked.context,
        upload_id=upload.upload_id,
        tags=asked.tags,
        owner=asked.owner,
        grants=asked.grants,
    )
    row = _row(upload, chosen, new_version_id(call, bucket, upload.initiated_us))
    descriptor = ObjectDescriptor(
        key=call.key,
        row_uid=row.row_uid,
        version_id=row.version_id,
        modified_us=row.modified_us,
        size=row.size,
        document=document,
        parts=chosen.entries,
        blob_ids=list(row.blob_ids),
    )
    manifest_wrap = None
    if upload.wrap.mode is Mode.SSE_C:
        manifest_key, manifest_wrap = await new_manifest_key(call, bucket, upload.row_uid)
    else:
        manifest_key = await open_data_key(call, bucket, upload.row_uid, upload.wrap, asked.context)
    envelope = object_envelope(
        bucket,
        BlobKind.MANIFEST,
        row.wrap,
        row_uid=row.row_uid,
        context=asked.context,
        object_arn=call.object_arn,
        manifest_wrap=manifest_wrap,
    )
    async with store_manifest(call, manifest_key, envelope, encode(descriptor), single_bytes=None) as manifest:
        sealed = call.services.rows.seal_object(manifest.attach(row), document, chosen.entries)
        await call.services.index.complete_upload(upload.upload_id, sealed, manifest.blob, precondition)
        manifest.keep()
    return _answer(call, bucket, document, row)


def _answer(call: Call, bucket: BucketRow, document: ObjectDocument, row: ObjectRow) -> Response:
    result = CompleteMultipartUploadResult(
        location=call.object_url,
        bucket=call.bucket_name,
        key=call.key,
        etag=document.etag,
        checksums=document.checksums,
        checksum_type=document.checksum_type,
    )
    told = {**encryption_response_headers(row.wrap), **written_headers(row)}
    return xml_response(result, headers={**told, **expiration_of_new(call, bucket, row, document)})


def _row(upload: UploadRow, chosen: ChosenParts, version_id: str) -> ObjectRow:
    return ObjectRow(
        bucket_id=upload.bucket_id,
        key=upload.key,
        row_uid=upload.row_uid,
        version_id=version_id,
        kind=RowKind.OBJECT,
        size=chosen.size,
        modified_us=upload.initiated_us,
        wrap=upload.wrap,
        blob_ids=chosen.blob_ids,
        manifest_id=None,
        part_count=len(chosen.entries),
        revision=0,
        sealed=b"",
    )
