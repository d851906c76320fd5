"""The shortest way through everything: boto3 puts and gets through SSE-KMS."""

from __future__ import annotations

from typing import Any


def test_put_and_get_through_sse_kms(s3: Any, bucket: str, kms_key: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="a/b", Body=b"hello", ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    assert put["SSEKMSKeyId"] == kms_key
    got = s3.get_object(Bucket=bucket, Key="a/b")
    assert got["Body"].read() == b"hello"
    assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", kms_key)
