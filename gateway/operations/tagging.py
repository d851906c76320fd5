"""The tags that a request which writes an object brings along, and whether the caller may set them."""

from __future__ import annotations

from gateway.operations.authorisation import ObjectTags, action_on
from gateway.operations.context import Call
from gateway.operations.copy_source import CopySource
from gateway.operations.documents import ObjectDocument
from gateway.protocol.tags import TAGGING_COUNT, is_tagging_replaced, tags_of_header


def requested_tags(call: Call) -> dict[str, str]:
    """What `x-amz-tagging` of PutObject, CreateMultipartUpload or CopyObject says; {} without it.

    API_PutObject: tags need s3:PutObjectTagging besides. Raises S3Error AccessDenied, and what `tags_of_header` does.
    """
    tags = tags_of_header(call.request.headers)
    if tags:
        call.permissions.require("s3:PutObjectTagging", call.object_arn)
    return tags


def copied_tags(call: Call, source: CopySource) -> dict[str, str]:
    """The tags of a copy: the source's, which the caller must be allowed to read and to set, or those of the request.

    User Guide, "Categorizing your storage using tags". Raises S3Error AccessDenied, and what `tags_of_header` does.
    """
    if is_tagging_replaced(call.request.headers):
        return requested_tags(call)
    tags = source.document.tags
    if tags:
        action = action_on("s3:GetObjectTagging", is_version_named=source.is_version_named)
        call.permissions.require(action, source.arn, tags=ObjectTags(tags))
        call.permissions.require("s3:PutObjectTagging", call.object_arn, tags=ObjectTags(requested=tags))
    return tags


def tag_count_header(call: Call, document: ObjectDocument) -> dict[str, str]:
    """For GetObject and HeadObject: told to those alone who may read the tags (API_GetObject)."""
    if not document.tags:
        return {}
    action = action_on("s3:GetObjectTagging", is_version_named=call.query.has("versionId"))
    if not call.permissions.allows(action, call.object_arn, tags=ObjectTags(document.tags)):
        return {}
    return {TAGGING_COUNT: str(len(document.tags))}
