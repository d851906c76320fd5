"""The document of UpdateObjectEncryption: what it may say, and AWS's messages for what it may not."""

from __future__ import annotations

import pytest

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.object_encryption import ObjectEncryption

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def document(content: str) -> bytes:
    return f'<ObjectEncryption xmlns="{NAMESPACE}">{content}</ObjectEncryption>'.encode()


@pytest.mark.parametrize(("told", "expected"), [("", False), ("true", True), ("false", False)])
def test_a_key_and_whether_with_a_bucket_key(told: str, expected: bool) -> None:
    bucket_key = f"<BucketKeyEnabled>{told}</BucketKeyEnabled>" if told else ""
    parsed = ObjectEncryption.parse(document(f"<SSE-KMS><KMSKeyArn>{ARN}</KMSKeyArn>{bucket_key}</SSE-KMS>"))
    assert parsed == ObjectEncryption(ARN, "123456789012", expected)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("", "InvalidRequest", "require a valid new encryption type"),
        ("<SSE-S3/>", "InvalidRequest", "require a valid new encryption type"),
        ("<SSE-C/>", "InvalidRequest", "doesn't support updating the encryption type to DSSE-KMS or SSE-C"),
        ("<DSSE-KMS/>", "InvalidRequest", "doesn't support updating the encryption type to DSSE-KMS or SSE-C"),
        ("<SSE-KMS/>", "InvalidRequest", "require an AWS KMS key Amazon Resource Name"),
        ("<SSE-KMS><KMSKeyArn>key</KMSKeyArn></SSE-KMS>", "InvalidRequest", "require a valid AWS KMS key"),
        (
            f"<SSE-KMS><KMSKeyArn>{ARN}</KMSKeyArn><BucketKeyEnabled>yes</BucketKeyEnabled></SSE-KMS>",
            "InvalidRequest",
            "The BucketKeyEnabled value isn't valid",
        ),
        ("<SSE-KMS/><SSE-KMS/>", "MalformedXML", ""),
        (f"<SSE-KMS><KMSKeyArn>{ARN}</KMSKeyArn><More/></SSE-KMS>", "MalformedXML", ""),
    ],
)
def test_what_is_refused(content: str, code: str, message: str) -> None:
    with pytest.raises(S3Error) as caught:
        ObjectEncryption.parse(document(content))
    assert caught.value.code == code
    assert message in (caught.value.message or "")
