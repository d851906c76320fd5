"""ListTagsForResource, TagResource, UntagResource of S3 Control, for buckets (API_control_TagResource, …).

The tags are those of PutBucketTagging. Of the other things that S3 Control gives tags there are none here.
"""

from __future__ import annotations

import msgspec

from gateway.operations.authorisation import resource_arn
from gateway.operations.bucket.configuration import alter_bucket
from gateway.operations.condition_keys import tag_keys, tags_of_resource
from gateway.operations.context import Call
from gateway.operations.documents import BucketDocument
from gateway.operations.render import xml_response
from gateway.protocol.control import named_account
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.tags import BUCKET_TAGS, tag_set
from gateway.protocol.xml.documents.tagging import ResourceTags, TagResourceRequest
from gateway.storage.index.records import BucketRow

TAG_ACTION, UNTAG_ACTION = "s3:TagResource", "s3:UntagResource"


async def get(call: Call) -> Response:
    """Empty for a bucket without tags."""
    bucket = await _bucket(call)
    return xml_response(ResourceTags(call.services.rows.open_bucket(bucket).tags))


async def add(call: Call) -> Response:
    """Tags that the bucket has and the request does not name stay as they are."""
    bucket = await _bucket(call)
    given = TagResourceRequest.parse(await call.read_document()).tags
    call.permissions.require(TAG_ACTION, resource_arn(call.address), more=tags_of_resource(given))

    def added(document: BucketDocument) -> BucketDocument:
        merged = {**document.tags, **given}
        return msgspec.structs.replace(document, tags=tag_set(merged.items(), BUCKET_TAGS))

    await alter_bucket(call, bucket, added)
    return Response(status=204)


async def remove(call: Call) -> Response:
    """Idempotent."""
    bucket = await _bucket(call)
    keys = call.query.get_all("tagKeys")
    call.permissions.require(UNTAG_ACTION, resource_arn(call.address), more=tag_keys(keys))

    def without(document: BucketDocument) -> BucketDocument:
        kept = {key: value for key, value in document.tags.items() if key not in keys}
        return msgspec.structs.replace(document, tags=kept)

    await alter_bucket(call, bucket, without)
    return Response(status=204)


async def _bucket(call: Call) -> BucketRow:
    """The bucket, which is the named account's, or the caller names its own.

    Raises S3Error InvalidRequest, AccessDenied, and what `Call.bucket` does.
    """
    bucket = await call.bucket()
    if named_account(call.request.headers) not in {bucket.account_id, call.account_id}:
        raise S3Error(
            "AccessDenied",
            decided_by="another account",
            reason="refused because the account that is named is neither the bucket's nor the caller's",
        )
    return bucket
