"""Configurations that a bucket never has here, told as S3 tells that a bucket has none; tools ask for each of them.

To put one is NotImplemented, to remove one is no error. Two are switched off by an empty document instead
(API_PutBucketLogging, API_PutBucketNotificationConfiguration): that is served, too.
"""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.operations.table import Handler
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.query import token_is_incorrect
from gateway.protocol.xml.documents.absent import EmptyDocument, EmptyList, is_empty

LOGGING = "BucketLoggingStatus"
NOTIFICATION = "NotificationConfiguration"


def missing(code: str) -> Handler:
    """The answer to asking for the one configuration of a kind: `code`, which names the bucket."""

    async def handle(call: Call) -> Response:
        await call.bucket()
        raise S3Error(code, fields={"BucketName": call.bucket_name})

    return handle


async def no_such_configuration(call: Call) -> Response:
    """Asking for, or removing, one of the configurations of a kind by its id; recorded from AWS for both."""
    await call.bucket()
    raise S3Error("NoSuchConfiguration")


def empty_list(root: str) -> Handler:
    """The answer to listing the configurations of a kind."""

    async def handle(call: Call) -> Response:
        await call.bucket()
        if (token := call.query.get("continuation-token")) is not None:
            raise token_is_incorrect(token)
        return xml_response(EmptyList(root))

    return handle


def empty(root: str) -> Handler:
    async def handle(call: Call) -> Response:
        await call.bucket()
        return xml_response(EmptyDocument(root))

    return handle


def put_empty(root: str) -> Handler:
    """Takes the document that asks for nothing. Raises S3Error NotImplemented for any other."""

    async def handle(call: Call) -> Response:
        await call.bucket()
        if not is_empty(await call.read_document(), root):
            raise S3Error("NotImplemented", fields={"Operation": call.operation_name})
        return Response()

    return handle


async def delete(call: Call) -> Response:
    await call.bucket()
    return Response(status=204)


async def without_object_lock(call: Call) -> Response:
    """Retention and legal hold of an object, in a bucket without Object Lock."""
    await call.bucket()
    raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")
