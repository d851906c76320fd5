"""What an action on an object is decided by besides who asks: the tags that the object has.

They are looked up only where a policy in force asks for one (Service Authorization Reference, `s3:ExistingObjectTag`).
What was looked up is kept, so that the object which is read or changed then is the one that was decided about.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.operations.authorisation import ObjectTags
from gateway.operations.condition_keys import EXISTING_TAGS
from gateway.operations.context import Call
from gateway.operations.object_owner import introduce_owner
from gateway.operations.versioning import named_version
from gateway.protocol.errors import S3Error
from gateway.storage.errors import NoSuchKey, NoSuchVersion
from gateway.storage.index.records import BucketRow

_NO_TAGS: Mapping[str, str] = {}


async def tags_in_question(call: Call, bucket: BucketRow, key: str, version_id: str | None) -> Mapping[str, str]:
    """The tags of the object, or version, that a request names by `version_id` as it wrote it.

    Empty where no policy asks for them, and where there is no such object: that is told after the decision.
    """
    if not call.permissions.ask_about(EXISTING_TAGS, bucket.name):
        return _NO_TAGS
    try:
        row = await call.version(bucket, key, named_version(call, bucket, version_id), keep=True)
    except (NoSuchKey, NoSuchVersion, S3Error):
        return _NO_TAGS
    return call.services.rows.open_object(row).tags


async def require_on_object(call: Call, action: str, requested: Mapping[str, str] = _NO_TAGS) -> None:
    """The right to `action` on the object or version of the request; `requested` are tags that its document sets.

    Raises S3Error AccessDenied.
    """
    bucket = await call.bucket()
    await introduce_owner(call, bucket, call.address.key or "", call.query.get("versionId"), action)
    existing = await tags_in_question(call, bucket, call.address.key or "", call.query.get("versionId"))
    call.permissions.require_at(action, call.address, call.query, ObjectTags(existing, requested))
