"""DeleteObjects (API reference: API_DeleteObjects)."""

from __future__ import annotations

from gateway.operations.context import Call, checked_key
from gateway.operations.object.get import check_version_id
from gateway.operations.render import xml_response
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.delete import Delete, DeletedObject, DeleteError, DeleteResult, ObjectIdentifier


async def handle(call: Call) -> Response:
    """Each key is told deleted or failed; all that can be deleted go in one transaction."""
    bucket = await call.bucket()
    expectation = ChecksumExpectation.parse(call.request.headers)
    if expectation.algorithm is None and expectation.content_md5 is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    request = Delete.parse(await call.read_document(expectation))
    deleted: list[DeletedObject] = []
    errors: list[DeleteError] = []
    keys: list[bytes] = []
    for wanted in request.objects:
        try:
            keys.append(_checked(wanted))
            deleted.append(DeletedObject(wanted.key, wanted.version_id))
        except S3Error as error:
            errors.append(DeleteError(wanted.key, wanted.version_id, error.code, error.message))
    await call.services.index.delete_objects(bucket.bucket_id, keys)
    return xml_response(DeleteResult(() if request.quiet else tuple(deleted), tuple(errors)))


def _checked(wanted: ObjectIdentifier) -> bytes:
    check_version_id(wanted.version_id)
    return checked_key(wanted.key).encode()
