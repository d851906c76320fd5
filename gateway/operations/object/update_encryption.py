"""UpdateObjectEncryption (API reference: API_UpdateObjectEncryption).

The object's data key is wrapped anew, for the same row, and nothing else of the object changes
(`gateway.operations.rewrapping`).
"""

from __future__ import annotations

from gateway.operations.authorisation import resource_arn
from gateway.operations.condition_keys import ENCRYPTION
from gateway.operations.context import Call
from gateway.operations.encryption import EncryptionChoice, require_signature
from gateway.operations.object_owner import introduce_owner
from gateway.operations.rewrapping import Rewrapper
from gateway.operations.versioning import find_version, named_version, read_headers
from gateway.protocol.encryption import KEY_ID
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.modes import Mode
from gateway.protocol.xml.documents.object_encryption import ObjectEncryption
from gateway.storage.errors import Conflict, NoSuchKey
from gateway.storage.index.records import BucketRow, ObjectRow

ACTION = "s3:UpdateObjectEncryption"
MAX_ATTEMPTS = 5
"""Each one failed because another request changed or replaced the object in between."""

# AWS's messages: API_UpdateObjectEncryption, "Errors".
_UNSIGNED = (
    "Requests that modify an object encryption configuration require AWS Signature Version 4. Modify the request to "
    "use AWS Signature Version 4, and then try again."
)
_OTHER_SOURCE = (
    "The UpdateObjectEncryption operation doesn't support source objects with the encryption type DSSE-KMS or SSE-C. "
    "Only source objects encrypted with SSE-S3 or SSE-KMS are supported."
)
_OTHER_ACCOUNT = (
    "The AWS KMS key in the request must be owned by the same account as the bucket. Modify the request to specify a "
    "KMS key from the same account, and then try again."
)


async def handle(call: Call) -> Response:
    return await _change(call, await _read(call))


async def update(call: Call, asked: ObjectEncryption) -> Response:
    """The same for what was asked for otherwise than by the call's own document: by a job."""
    await _introduce(call, await call.bucket())
    _require(call, asked)
    return await _change(call, asked)


async def _change(call: Call, asked: ObjectEncryption) -> Response:
    """One transaction, which finds the version as it was when its data key was opened, or changes nothing."""
    bucket = await call.bucket()
    if call.is_anonymous:
        raise S3Error("InvalidRequest", _UNSIGNED)
    if asked.account_id != bucket.account_id:
        raise S3Error("AccessDenied", _OTHER_ACCOUNT, decided_by="owner of the KMS key", reason=_OTHER_ACCOUNT)
    version_id = named_version(call, bucket, call.query.get("versionId"))
    for _ in range(MAX_ATTEMPTS):
        row = await _find(call, bucket, version_id)
        try:
            await _update(call, bucket, row, asked)
        except Conflict:
            call.look_again()
            await _introduce(call, bucket)
            _require(call, asked)  # of an object that may be somebody else's by now
            continue
        return Response(headers=read_headers(call, bucket, row))
    raise S3Error("OperationAborted")


async def _read(call: Call) -> ObjectEncryption:
    """The document, if the caller has the right; read before that is known only where a policy asks what it says."""
    await _introduce(call, await call.bucket())
    is_asked = call.permissions.ask_about(ENCRYPTION, call.bucket_name)
    if not is_asked:
        call.permissions.require(ACTION, resource_arn(call.address))
    asked = ObjectEncryption.parse(await call.read_checked_document())
    if is_asked:
        _require(call, asked)
    return asked


async def _introduce(call: Call, bucket: BucketRow) -> None:
    await introduce_owner(call, bucket, call.address.key or "", call.query.get("versionId"), ACTION)


def _require(call: Call, asked: ObjectEncryption) -> None:
    """Raises S3Error AccessDenied."""
    more = {ENCRYPTION: ("aws:kms",), f"s3:{KEY_ID}": (asked.key_arn,)}
    call.permissions.require(ACTION, resource_arn(call.address), more=more)


async def _find(call: Call, bucket: BucketRow, version_id: str | None) -> ObjectRow:
    """Raises S3Error NoSuchKey, NoSuchVersion, AccessDenied, MethodNotAllowed, InvalidRequest."""
    try:
        row = await find_version(call, bucket, call.key, version_id)
    except NoSuchKey:
        missing = S3Error("NoSuchKey", fields={"Key": call.key})
        raise call.permissions.conceal(missing, call.bucket_name, call.key) from None
    except S3Error as error:
        raise call.permissions.conceal(error, call.bucket_name, call.key) from None
    if row.wrap.mode in {Mode.SSE_C, Mode.DSSE_KMS}:
        raise S3Error("InvalidRequest", _OTHER_SOURCE)
    return row


async def _update(call: Call, bucket: BucketRow, old: ObjectRow, asked: ObjectEncryption) -> None:
    """Raises storage's Conflict if the version was changed meanwhile."""
    require_signature(call, old.wrap.mode)
    mode = Mode.SSE_KMS_BUCKET_KEY if asked.has_bucket_key else Mode.SSE_KMS
    services = call.services
    rewrapper = Rewrapper(
        services.index,
        services.blobs,
        services.rows,
        services.data_keys,
        services.inline_limit_bytes,
        services.integrity_event,
        call.caller,
    )
    await rewrapper.rewrap(bucket, old, EncryptionChoice(mode, asked.key_arn), call.object_arn)
