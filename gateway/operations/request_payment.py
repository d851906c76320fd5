"""Requester Pays: who is not the bucket's owner must say that it would pay.

S3 User Guide, "Using Requester Pays general purpose buckets for storage transfers and usage". Nobody is billed here:
the header is asked for, and its answer given, so that what works here works on AWS.
"""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.protocol.errors import S3Error
from gateway.storage.index.records import BucketRow

REQUESTER = "requester"

CHARGED_OPERATIONS = frozenset(
    {
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
        "DeleteObject",
        "DeleteObjects",
        "GetBucketAccelerateConfiguration",
        "GetObject",
        "GetObjectAcl",
        "GetObjectAttributes",
        "GetObjectLegalHold",
        "GetObjectRetention",
        "GetObjectTagging",
        "HeadObject",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjects",
        "ListObjectsV2",
        "ListParts",
        "PostObject",
        "PutObject",
        "PutObjectAcl",
        "PutObjectTagging",
        "RestoreObject",
        "UpdateObjectEncryption",
        "UploadPart",
        "UploadPartCopy",
    }
)
"""The operations that take x-amz-request-payer (`RequestPayer` in the service model; a form has it as a field)."""


def require_payer(call: Call, bucket: BucketRow) -> None:
    """Raises S3Error AccessDenied where the caller would have to pay and does not say so, or is nobody.

    Notes in `call` that the caller pays.
    """
    if bucket.account_id == call.account_id or call.operation_name not in CHARGED_OPERATIONS:
        return
    if call.services.rows.open_bucket(bucket).payer is None:
        return
    if call.is_anonymous or call.request.headers.get("x-amz-request-payer") != REQUESTER:
        raise S3Error(
            "AccessDenied",
            decided_by="Requester Pays",
            reason="refused because the requester would pay, and is nobody or did not say so",
        )
    call.is_requester_charged = True
