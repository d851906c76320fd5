"""PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration, DeleteBucketLifecycle (API reference: the same).

What the rules do is done by `gateway.operations.lifecycle`.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.protocol.errors import S3Error
from gateway.protocol.lifecycle import ALL_STORAGE_CLASSES, VARIES_BY_STORAGE_CLASS, Lifecycle, LifecycleRule
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.lifecycle import MAX_BYTES, LifecycleConfiguration

MINIMUM_SIZE = "x-amz-transition-default-minimum-object-size"


async def put(call: Call) -> Response:
    bucket = await call.bucket()
    minimum_size = call.request.headers.get(MINIMUM_SIZE, ALL_STORAGE_CLASSES)
    if minimum_size not in (ALL_STORAGE_CLASSES, VARIES_BY_STORAGE_CLASS):
        raise S3Error("InvalidRequest", f"Invalid TransitionDefaultMinimumObjectSize found: {minimum_size[:64]}")
    parsed = LifecycleConfiguration.parse(await call.read_checked_document(MAX_BYTES))
    rules = tuple(rule if rule.rule_id else _named(rule) for rule in parsed.rules)
    await change_bucket(call, bucket, lifecycle=Lifecycle(rules, minimum_size))
    return Response(headers={MINIMUM_SIZE: minimum_size})


async def get(call: Call) -> Response:
    lifecycle = call.services.rows.open_bucket(await call.bucket()).lifecycle
    if lifecycle is None:
        raise S3Error("NoSuchLifecycleConfiguration", fields={"BucketName": call.bucket_name})
    headers = {"Content-Type": "application/xml", MINIMUM_SIZE: lifecycle.minimum_size}
    return Response(200, headers, LifecycleConfiguration(lifecycle.rules).format())


async def delete(call: Call) -> Response:
    """Idempotent."""
    await change_bucket(call, await call.bucket(), lifecycle=None)
    return Response(status=204)


def _named(rule: LifecycleRule) -> LifecycleRule:
    """With an id of the form that S3 gives: 48 characters, Base64 of a UUID's text."""
    return replace(rule, rule_id=base64.b64encode(str(uuid.uuid4()).encode()).decode())
