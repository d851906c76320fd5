"""CopyObject that shares nothing with its source: the data is read, authenticated and sealed anew.

So it is between accounts: what one of them deletes or makes unreadable is the other's no more. And so it is by SSE-C: a
data key that a customer's key wraps is wrapped by no other key, or the object could be opened without it. And by
DSSE-KMS, whose two layers are of other bytes than any one layer. Else a bucket of either side asked for it
(`gateway.operations.copy_sharing`).
"""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.copy_source import CopySource
from gateway.operations.digests import DEFAULT_ALGORITHM, Digests
from gateway.operations.documents import ObjectDocument
from gateway.operations.download import StoredBody
from gateway.operations.encryption import EncryptionChoice
from gateway.operations.lifecycle.headers import expiration_of_new
from gateway.operations.object.single_body import NewObject, SingleBody
from gateway.operations.render import xml_response
from gateway.operations.upload import Storing
from gateway.operations.versioning import COPY_SOURCE_VERSION_HEADER, read_headers, written_headers
from gateway.protocol.checksums import Algorithm, ChecksumExpectation
from gateway.protocol.content_sha256 import UNSIGNED_PAYLOAD
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.messages import Response
from gateway.protocol.modes import Mode
from gateway.protocol.xml.documents.objects import CopyObjectResult
from gateway.sealing.body_key import BodyKey
from gateway.storage.index.records import BucketRow, ObjectRow


async def copy_anew(
    call: Call, source: CopySource, source_key: BodyKey, target: NewObject, algorithm: Algorithm | None
) -> Response:
    """The checksum is one of the whole object, as that of any copy that moves data.

    `algorithm` is the one that the request asks for, None for the source's own.
    """
    wanted = algorithm or next((Algorithm[name] for name in source.document.checksums), DEFAULT_ALGORITHM)
    made = await SingleBody.begin(call, target, wanted)
    body = StoredBody(call.services, source_key, source.blobs, 0, source.row.size)
    digests = Digests(ChecksumExpectation(), UNSIGNED_PAYLOAD, md5=made.wrap.mode is Mode.SSE_S3, also=wanted)
    async with Storing(call.services, made.data_key, body, digests, made.footer, watching=call.watching()) as stored:
        row, document = await made.put(stored)
    return copied_response(call, target.bucket, source, (row, document), target.choice)


def copied_response(
    call: Call,
    bucket: BucketRow,
    source: CopySource,
    made: tuple[ObjectRow, ObjectDocument],
    choice: EncryptionChoice,
) -> Response:
    """What CopyObject tells of the copy, whichever way it was made."""
    row, document = made
    result = CopyObjectResult(
        etag=document.etag,
        modified_us=row.modified_us,
        checksums=document.checksums,
        checksum_type=document.checksum_type,
    )
    headers = {
        **encryption_response_headers(row.wrap, choice.context, choice.customer_key),
        **written_headers(row),
        **expiration_of_new(call, bucket, row, document),
        **read_headers(call, source.bucket, source.row, name=COPY_SOURCE_VERSION_HEADER),
    }
    return xml_response(result, headers=headers)
