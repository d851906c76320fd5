"""DeleteObjects (API reference: API_DeleteObjects)."""

from __future__ import annotations

from gateway.operations.authorisation import action_on
from gateway.operations.context import Call, checked_key
from gateway.operations.object.delete import deletion_of
from gateway.operations.preconditions import match_precondition
from gateway.operations.render import xml_response
from gateway.protocol.errors import S3Error, not_implemented
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.delete import Delete, DeletedObject, DeleteError, DeleteResult, ObjectIdentifier
from gateway.storage.index.records import Deletion, ObjectRow, RowKind


async def handle(call: Call) -> Response:
    """Each key is told deleted or failed; all without a condition of their own go in one transaction."""
    bucket = await call.bucket()
    request = Delete.parse(await call.read_checked_document())
    results: list[DeletedObject | DeleteError] = []
    unconditional: list[tuple[int, Deletion]] = []
    for wanted in request.objects:
        try:
            action = action_on("s3:DeleteObject", is_version_named=wanted.version_id is not None)
            arn = f"arn:aws:s3:::{call.bucket_name}/{wanted.key}"
            call.permissions.require(action, arn, if_match=wanted.etag)
            deletion = deletion_of(call, bucket, checked_key(wanted.key), wanted.version_id)
            if wanted.etag is None:
                unconditional.append((len(results), deletion))
                results.append(_deleted(wanted, deletion, None))  # as it will be told unless it was a marker
            else:
                if wanted.version_id is not None:
                    raise not_implemented("If-Match")
                precondition = await match_precondition(call, bucket, wanted.key, wanted.etag)
                gone = await call.services.index.delete_object(bucket.bucket_id, deletion, precondition)
                results.append(_deleted(wanted, deletion, gone))
        except S3Error as error:
            results.append(_failed(wanted, error))
    all_gone = await call.services.index.delete_objects(bucket.bucket_id, [each for _, each in unconditional])
    for (place, deletion), gone in zip(unconditional, all_gone, strict=True):
        results[place] = _deleted(request.objects[place], deletion, gone)
    deleted = tuple(each for each in results if isinstance(each, DeletedObject))
    errors = tuple(each for each in results if isinstance(each, DeleteError))
    return xml_response(DeleteResult(() if request.quiet else deleted, errors))


def _deleted(wanted: ObjectIdentifier, deletion: Deletion, gone: ObjectRow | None) -> DeletedObject:
    marker = deletion.marker
    if marker is None and gone is not None and gone.kind is RowKind.DELETE_MARKER:
        marker = gone
    return DeletedObject(wanted.key, wanted.version_id, None if marker is None else marker.version_id)


def _failed(wanted: ObjectIdentifier, error: S3Error) -> DeleteError:
    """Recorded: what is no version id is told as a version that does not exist."""
    if error.code == "InvalidArgument" and error.fields.get("ArgumentName") == "versionId":
        error = S3Error("NoSuchVersion")
    return DeleteError(wanted.key, wanted.version_id, error.code, error.message)
