"""Upload ids as clients see them: URL-safe Base64 of the 16 bytes, without padding."""

from __future__ import annotations

import base64
import binascii

from gateway.operations.context import Call
from gateway.operations.documents import UploadDocument
from gateway.protocol.errors import S3Error
from gateway.storage.errors import NoSuchUpload
from gateway.storage.index.records import BucketRow, UploadRow


def format_upload_id(upload_id: bytes) -> str:
    return base64.urlsafe_b64encode(upload_id).rstrip(b"=").decode()


def parse_upload_id(text: str) -> bytes:
    """Raises S3Error NoSuchUpload for anything that this gateway never gave out."""
    try:
        upload_id = base64.b64decode(text.encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        upload_id = b""
    if len(upload_id) != 16 or format_upload_id(upload_id) != text:
        raise no_such_upload(text)
    return upload_id


def no_such_upload(text: str) -> S3Error:
    return S3Error("NoSuchUpload", fields={"UploadId": text[:256]})


def is_no_such_upload(error: Exception) -> bool:
    """Ours, or storage's: an upload may also vanish between two looks at it."""
    return isinstance(error, NoSuchUpload) or (isinstance(error, S3Error) and error.code == "NoSuchUpload")


async def find_upload(call: Call) -> tuple[BucketRow, UploadRow, UploadDocument]:
    """The upload that `uploadId` names, in the bucket and for the key of the request."""
    bucket = await call.bucket()
    text = call.query.get("uploadId") or ""
    try:
        row = await call.services.index.get_upload(bucket.bucket_id, call.key.encode(), parse_upload_id(text))
    except NoSuchUpload:
        raise no_such_upload(text) from None
    return bucket, row, call.services.rows.open_upload(row)
