"""CreateMultipartUpload (API reference: API_CreateMultipartUpload)."""

from __future__ import annotations

from gateway.operations.acl import access_of_new_object
from gateway.operations.condition_keys import asked_encryption
from gateway.operations.context import Call
from gateway.operations.documents import UploadDocument
from gateway.operations.encryption import choose_encryption, new_data_key
from gateway.operations.lifecycle.headers import abortion_of
from gateway.operations.multipart.upload_id import format_upload_id
from gateway.operations.render import xml_response
from gateway.operations.tagging import requested_tags
from gateway.protocol.checksums import ChecksumType
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.messages import Response
from gateway.protocol.object_headers import ObjectHeaders
from gateway.protocol.xml.documents.multipart import InitiateMultipartUploadResult
from gateway.sealing.ids import new_id
from gateway.storage.index.records import UploadRow


async def handle(call: Call) -> Response:
    """The data key of the whole upload is made here; every part has a key of its own derived from it."""
    bucket = await call.bucket()
    described = ObjectHeaders.parse(call.request.headers)
    algorithm, checksum_type = ChecksumType.requested(call.request.headers)
    tags = requested_tags(call)
    access = access_of_new_object(call, bucket)
    choice = choose_encryption(call, bucket)
    row_uid = new_id()
    _, wrap = await new_data_key(call, bucket, row_uid, choice)
    row = UploadRow(
        upload_id=new_id(),
        bucket_id=bucket.bucket_id,
        key=call.key.encode(),
        row_uid=row_uid,
        initiated_us=call.now_us,
        wrap=wrap,
        revision=0,
        sealed=b"",
    )
    document = UploadDocument(
        headers=described.headers,
        metadata=described.metadata,
        checksum_algorithm=algorithm.name if algorithm else None,
        checksum_type=checksum_type.name if checksum_type else None,
        storage_class=described.storage_class,
        context=dict(choice.context) or None,
        tags=tags,
        owner=access.owner,
        grants=access.grants,
        asked_encryption=asked_encryption(call.request.headers),
        initiator=None if call.account_id == bucket.account_id else call.account_id,
    )
    await call.services.index.create_upload(call.services.rows.seal_upload(row, document))
    headers = encryption_response_headers(wrap, choice.context, choice.customer_key)
    if algorithm and checksum_type:
        headers["x-amz-checksum-algorithm"] = algorithm.name
        headers["x-amz-checksum-type"] = checksum_type.name
    headers.update(abortion_of(call, bucket, row))
    return xml_response(
        InitiateMultipartUploadResult(call.bucket_name, call.key, format_upload_id(row.upload_id)), headers=headers
    )
