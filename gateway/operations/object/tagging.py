"""PutObjectTagging, GetObjectTagging, DeleteObjectTagging (API reference: API_PutObjectTagging, …)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.operations.condition_keys import REQUESTED_TAGS
from gateway.operations.context import Call
from gateway.operations.documents import ObjectDocument
from gateway.operations.object.changes import change_object
from gateway.operations.object_access import require_on_object
from gateway.operations.render import xml_response
from gateway.operations.versioning import find_version, named_version, read_headers
from gateway.protocol.messages import Response
from gateway.protocol.tags import OBJECT_TAGS
from gateway.protocol.xml.documents.tagging import Tagging

PUT_ACTION = "s3:PutObjectTagging"


async def put(call: Call) -> Response:
    """All tags at once: those that the document leaves out are gone.

    It is read before the caller's right is known only where a policy asks what it says (s3:RequestObjectTag).
    """
    is_asked = call.permissions.ask_about(REQUESTED_TAGS, call.bucket_name)
    if not is_asked:
        await require_on_object(call, PUT_ACTION)
    tagging = Tagging.parse(await call.read_checked_document(), OBJECT_TAGS)
    if is_asked:
        await require_on_object(call, PUT_ACTION, tagging.tags)
    return Response(headers=await _replace_tags(call, tagging.tags))


async def get(call: Call) -> Response:
    """An empty set for an object without tags."""
    bucket = await call.bucket()
    version_id = named_version(call, bucket, call.query.get("versionId"))
    row = await find_version(call, bucket, call.key, version_id, tells_marker=True)
    document = call.services.rows.open_object(row)
    return xml_response(Tagging(document.tags), headers=read_headers(call, bucket, row))


async def delete(call: Call) -> Response:
    """Idempotent."""
    return Response(status=204, headers=await _replace_tags(call, {}))


async def _replace_tags(call: Call, tags: Mapping[str, str]) -> dict[str, str]:
    """The headers of the answer."""
    bucket = await call.bucket()
    version_id = named_version(call, bucket, call.query.get("versionId"))

    def change(document: ObjectDocument) -> ObjectDocument:
        return msgspec.structs.replace(document, tags=dict(tags))

    return read_headers(call, bucket, await change_object(call, bucket, version_id, change))
