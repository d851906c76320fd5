"""How the KMS is asked for a caller: with which encryption context, and on behalf of which object or bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from iam.principals import Caller

S3_MANAGED_KEY_ALIAS: Final = "alias/aws/s3"
ARN_CONTEXT: Final = "aws:s3:arn"


def acting_on(arn: str, caller: Caller) -> Caller:
    """The caller, with the object (or bucket) that the gateway works on for it: so the audit trail names it."""
    return replace(caller, resource_arn=arn)


def kms_context(context: Mapping[str, str], arn: str) -> dict[str, str]:
    """The encryption context as the KMS sees it: the client's pairs, and aws:s3:arn unless the client gave that one.

    `arn` is the object's, with a bucket key the bucket's. S3 User Guide, "Using server-side encryption with AWS KMS
    keys", "Encryption context"; "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys".
    """
    return {ARN_CONTEXT: arn, **context}


def bucket_of(object_arn: str) -> tuple[str, str]:
    """The ARN of an object's bucket, and the object's key."""
    bucket_arn, _, key = object_arn.partition("/")
    return bucket_arn, key
