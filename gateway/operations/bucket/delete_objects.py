"""DeleteObjects (API reference: API_DeleteObjects)."""

from __future__ import annotations

from gateway.operations.context import Call, checked_key
from gateway.operations.object.get import check_version_id
from gateway.operations.render import xml_response
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.conditions import check_delete
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.delete import Delete, DeletedObject, DeleteError, DeleteResult, ObjectIdentifier
from gateway.storage.index.interface import Precondition
from gateway.storage.index.records import ObjectRow


async def handle(call: Call) -> Response:
    """Each key is told deleted or failed; all without a condition of their own go in one transaction."""
    bucket = await call.bucket()
    expectation = ChecksumExpectation.parse(call.request.headers)
    if expectation.algorithm is None and expectation.content_md5 is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    request = Delete.parse(await call.read_document(expectation))
    deleted: list[DeletedObject] = []
    errors: list[DeleteError] = []
    unconditional: list[bytes] = []
    for wanted in request.objects:
        try:
            key = _checked(wanted)
            if wanted.etag is None:
                unconditional.append(key)
            else:
                await call.services.index.delete_object(bucket.bucket_id, key, _if_match(call, wanted.etag))
            deleted.append(DeletedObject(wanted.key, wanted.version_id))
        except S3Error as error:
            errors.append(DeleteError(wanted.key, wanted.version_id, error.code, error.message))
    await call.services.index.delete_objects(bucket.bucket_id, unconditional)
    return xml_response(DeleteResult(() if request.quiet else tuple(deleted), tuple(errors)))


def _checked(wanted: ObjectIdentifier) -> bytes:
    check_version_id(wanted.version_id)
    return checked_key(wanted.key).encode()


def _if_match(call: Call, etag: str) -> Precondition:
    def check(current: ObjectRow | None) -> None:
        check_delete({"if-match": etag}, None if current is None else call.services.rows.open_object(current).etag)

    return check
