"""PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption (API reference: API_PutBucketEncryption, …)."""

from __future__ import annotations

from dataclasses import replace

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.customer_keys import takes_customer_keys
from gateway.operations.documents import BucketDocument
from gateway.operations.encryption import default_encryption
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration


async def put(call: Call) -> Response:
    """The key is kept as it was written, and resolved when an object is written: it need not exist yet.

    Observed: what does not say whether SSE-C is blocked changes nothing about that.
    """
    bucket = await call.bucket()
    configuration = ServerSideEncryptionConfiguration.parse(await call.read_document())
    changes: dict[str, object] = _said_before(call.services.rows.open_bucket(bucket))
    if configuration.mode is not None:
        changes["encryption"] = replace(configuration, takes_customer_keys=None).format().decode()
    if configuration.takes_customer_keys is not None:
        changes["takes_customer_keys"] = configuration.takes_customer_keys
    await change_bucket(call, bucket, **changes)
    return Response()


async def get(call: Call) -> Response:
    document = call.services.rows.open_bucket(await call.bucket())
    return xml_response(replace(default_encryption(document), takes_customer_keys=takes_customer_keys(document)))


async def delete(call: Call) -> Response:
    """Back to SSE-S3; idempotent. What is blocked stays so."""
    bucket = await call.bucket()
    changes = _said_before(call.services.rows.open_bucket(bucket))
    await change_bucket(call, bucket, **changes, encryption=None)
    return Response(status=204)


def _said_before(document: BucketDocument) -> dict[str, object]:
    """That the bucket takes customers' keys, if its stored rule says so: the rule is about to be replaced."""
    if document.takes_customer_keys is None and takes_customer_keys(document):
        return {"takes_customer_keys": True}
    return {}
