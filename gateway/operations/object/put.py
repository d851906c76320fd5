"""PutObject (API reference: API_PutObject)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from gateway.operations.acl import access_of_new_object
from gateway.operations.context import Call
from gateway.operations.documents import ObjectDocument
from gateway.operations.encryption import EncryptionChoice, choose_encryption
from gateway.operations.lifecycle.headers import expiration_of_new
from gateway.operations.object.single_body import NewObject, SingleBody
from gateway.operations.preconditions import check_early
from gateway.operations.tagging import requested_tags
from gateway.operations.upload import checksum_headers, receive
from gateway.operations.versioning import written_headers
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.messages import Response
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.object_headers import ObjectHeaders

MAX_SINGLE_PUT_BYTES = 5 << 30
"""Amazon S3 limits, "Upload object using a single operation": 5 GiB."""


async def handle(call: Call) -> Response:
    """Nothing is visible before the body was verified and its blob is durable; then one transaction."""
    bucket = await call.bucket()
    described, tags = ObjectHeaders.parse(call.request.headers), requested_tags(call)
    access, choice = access_of_new_object(call, bucket), choose_encryption(call, bucket)
    precondition = await check_early(call, bucket.bucket_id)
    target = NewObject(
        bucket=bucket, described=described, tags=tags, access=access, choice=choice, precondition=precondition
    )
    with _expecting(call):
        made = await SingleBody.begin(call, target)
    async with receive(
        call,
        made.data_key,
        maximum_bytes=MAX_SINGLE_PUT_BYTES,
        md5_etag=made.wrap.mode is Mode.SSE_S3,
        footer_of=made.footer,
    ) as upload:
        row, document = await made.put(upload)
    told = {**write_headers(made.wrap, choice, document), **written_headers(row)}
    return Response(headers={**told, **expiration_of_new(call, bucket, row, document)})


def _expecting(call: Call) -> AbstractContextManager[None]:
    """A body that goes into the index mostly follows its data key at once; others are written into files before."""
    length = call.request.content_length
    is_small = length is not None and length <= call.services.inline_limit_bytes
    return call.services.index.expecting() if is_small else nullcontext()


def write_headers(wrap: Wrap, choice: EncryptionChoice, document: ObjectDocument) -> dict[str, str]:
    """ETag, encryption and checksum, as the answer of PutObject carries them."""
    return {
        "ETag": f'"{document.etag}"',
        **encryption_response_headers(wrap, choice.context, choice.customer_key),
        **checksum_headers(document.checksums),
        "x-amz-checksum-type": document.checksum_type,
    }
