"""RestoreObject (API reference: API_RestoreObject): no object here is in an archive, so none comes out of one."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.versioning import find_version, named_version
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.reader import read_document
from gateway.storage.errors import NoSuchKey


async def handle(call: Call) -> Response:
    """What S3 answers for objects of every other storage class than the archives."""
    bucket = await call.bucket()
    version_id = named_version(call, bucket, call.query.get("versionId"))
    body = await call.read_document()
    if not body:
        raise S3Error("MissingRequestBodyError")
    read_document(body, "RestoreRequest")
    try:
        row = await find_version(call, bucket, call.key, version_id)
    except NoSuchKey:
        raise call.permissions.conceal(
            S3Error("NoSuchKey", fields={"Key": call.key}), call.bucket_name, call.key
        ) from None
    except S3Error as error:
        raise call.permissions.conceal(error, call.bucket_name, call.key) from None
    document = call.services.rows.open_object(row)
    raise S3Error(
        "InvalidObjectState",
        "Restore is not allowed for the object's current storage class",
        fields={"StorageClass": document.storage_class},
    )
