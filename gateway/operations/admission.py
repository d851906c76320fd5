"""Before an operation's handler runs: may the caller do what the operation's row asks for?

That a bucket does not exist is told to everyone, as S3 tells it: whose policy would forbid to tell? What is in a bucket
is told only to those who may list it (`Permissions.conceal`).
"""

from __future__ import annotations

from gateway.operations.authorisation import resource_arn
from gateway.operations.condition_keys import ASKED_FOR_EXISTING_TAGS, ENCRYPTION, encryption_of_upload
from gateway.operations.context import Call
from gateway.operations.multipart.upload_id import find_upload
from gateway.operations.object_access import require_on_object
from gateway.operations.object_owner import introduce_initiator, introduce_owner
from gateway.operations.request_payment import require_payer
from gateway.operations.table import Operation
from gateway.protocol.errors import S3Error
from gateway.storage.index.records import BucketRow
from iam.policy.variables import NOTHING_KNOWN, Context

_NEVER_ANONYMOUS = {
    "CopyObject": "Anonymous users cannot copy objects.  Please authenticate.",
    "CreateMultipartUpload": "Anonymous users cannot initiate multipart uploads.  Please authenticate.",
    "UploadPartCopy": "Anonymous users cannot copy objects.  Please authenticate.",
}
"""Whatever a bucket's policy says; recorded from S3."""

_OF_AN_UPLOAD = frozenset({"CompleteMultipartUpload", "UploadPart", "UploadPartCopy"})
"""What writes into an upload, by the right that began it (s3:PutObject)."""


async def admit(call: Call, operation: Operation) -> None:
    """Raises S3Error AccessDenied, and what `Call.bucket` raises."""
    if call.is_anonymous and operation.name in _NEVER_ANONYMOUS:
        raise S3Error(
            "AccessDenied",
            _NEVER_ANONYMOUS[operation.name],
            decided_by="anonymous request",
            reason=f"refused because nobody signed the request, which {operation.name} needs",
        )
    if operation.name == "CreateBucket" and not call.is_anonymous:
        return  # decided once its document was read, which says what policies may ask for (s3:LocationConstraint)
    if call.address.bucket is None and operation.authorises_each:
        return  # decided by the handler, which knows what it is about: a job
    if call.address.bucket is None or operation.name == "CreateBucket":
        call.permissions.require_of_account(operation.action, resource_arn(call.address))
        return
    bucket = await call.bucket()
    if not operation.authorises_each:
        if call.permissions.are_unlimited(bucket.name):
            call.permissions.note_unlimited(operation.action, call.address, call.query)
        else:
            await _require(call, bucket, operation)
    require_payer(call, bucket)


async def _require(call: Call, bucket: BucketRow, operation: Operation) -> None:
    if operation.action in ASKED_FOR_EXISTING_TAGS:
        await require_on_object(call, operation.action)
        return
    more: Context = NOTHING_KNOWN
    if call.address.key is not None:
        await introduce_owner(call, bucket, call.address.key, call.query.get("versionId"), operation.action)
        await introduce_initiator(call, bucket, operation.action)
        if operation.name in _OF_AN_UPLOAD and call.permissions.ask_about(ENCRYPTION, bucket.name):
            more = await _asked_when_begun(call)
    call.permissions.require_at(operation.action, call.address, call.query, more=more)


async def _asked_when_begun(call: Call) -> Context:
    """How the upload is encrypted that a part, or a completion, belongs to.

    S3 takes no header of encryption on these, and yet policies that demand one let uploads in parts through: what began
    the upload said it. Of an upload that is not there the handler tells, to those who may know.
    """
    try:
        _, _, document = await find_upload(call)
    except S3Error:
        return NOTHING_KNOWN
    asked = document.asked_encryption
    return NOTHING_KNOWN if asked is None else encryption_of_upload(asked)
