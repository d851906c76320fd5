"""UpdateObjectEncryption: an object under another key, and nothing else of it changed; who may, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import error_of, random_bytes, refusal
from tests.clients.test_multipart import PART, TAIL, begin, complete
from tests.clients.users import allow, make_account, make_user
from tests.harness import Gateway

BIG = random_bytes(300_000)
OF_ENCRYPTION = {"ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"}


@pytest.fixture
def other_key(gateway: Gateway) -> str:
    return str(gateway.client("kms").create_key()["KeyMetadata"]["Arn"])


def update(s3: Any, bucket: str, key_arn: str, key: str = "a", *, bucket_key: bool = False, **parameters: Any) -> Any:
    encryption = {"SSEKMS": {"KMSKeyArn": key_arn, **({"BucketKeyEnabled": True} if bucket_key else {})}}
    return s3.update_object_encryption(Bucket=bucket, Key=key, ObjectEncryption=encryption, **parameters)


def described(s3: Any, bucket: str, **named: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """What HEAD says of the encryption, all else that it says with the tags, and the body."""
    answer = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED", **named)
    body = answer.pop("Body").read()
    del answer["ResponseMetadata"]
    encryption = {name: answer.pop(name) for name in OF_ENCRYPTION if name in answer}
    return encryption, {**answer, "Tags": s3.get_object_tagging(Bucket=bucket, Key="a", **named)["TagSet"]}, body


@pytest.mark.parametrize("bucket_key", [False, True], ids=["no bucket key", "bucket key"])
@pytest.mark.parametrize("body", [b"", b"small", BIG], ids=["empty", "inline", "blob"])
@pytest.mark.parametrize("mode", ["AES256", "aws:kms", "with a bucket key"])
def test_nothing_else_of_the_object_changes(
    s3: Any, bucket: str, kms_key: str, other_key: str, body: bytes, mode: str, bucket_key: bool
) -> None:
    encryption: dict[str, Any] = {"ServerSideEncryption": "AES256" if mode == "AES256" else "aws:kms"}
    if mode != "AES256":
        encryption |= {"SSEKMSKeyId": kms_key, "SSEKMSEncryptionContext": "eyJpbnZvaWNlIjoiNDcxMSJ9"}
    if mode == "with a bucket key":
        encryption["BucketKeyEnabled"] = True
    s3.put_object(
        Bucket=bucket, Key="a", Body=body, Metadata={"colour": "red"}, ContentType="text/plain",
        Tagging="team=blue", ChecksumAlgorithm="SHA256", **encryption,
    )  # fmt: skip
    _, before, _ = described(s3, bucket)
    answer = update(s3, bucket, other_key, bucket_key=bucket_key)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    now, after, read = described(s3, bucket)
    assert (after, read) == (before, body)
    expected = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other_key}
    assert now == {**expected, **({"BucketKeyEnabled": True} if bucket_key else {})}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/a")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body


def test_it_needs_the_new_key_and_no_longer_the_old_one(gateway: Gateway, s3: Any, bucket: str, other_key: str) -> None:
    kms = gateway.client("kms")
    old_key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="a", Body=BIG, ServerSideEncryption="aws:kms", SSEKMSKeyId=old_key)
    update(s3, bucket, other_key)
    kms.disable_key(KeyId=old_key)
    assert described(s3, bucket)[2] == BIG
    kms.disable_key(KeyId=other_key)
    assert refusal(s3.get_object, Bucket=bucket, Key="a") == (400, "KMS.DisabledException")
    kms.enable_key(KeyId=old_key)
    assert refusal(update, s3=s3, bucket=bucket, key_arn=old_key) == (400, "KMS.DisabledException")
    kms.enable_key(KeyId=other_key)
    kms.disable_key(KeyId=old_key)
    assert refusal(update, s3=s3, bucket=bucket, key_arn=old_key) == (400, "KMS.DisabledException")
    assert described(s3, bucket)[0]["SSEKMSKeyId"] == other_key


def test_an_upload_in_parts_and_its_parts(s3: Any, bucket: str, other_key: str) -> None:
    upload = begin(s3, bucket)
    etags = [s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"] for number, body in ((1, PART), (2, TAIL))]
    complete(s3, upload, [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)])
    key = upload["Key"]
    update(s3, bucket, other_key, key=key)
    update(s3, bucket, other_key, key=key, bucket_key=True)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == PART + TAIL
    part = s3.get_object(Bucket=bucket, Key=key, PartNumber=2)
    assert (part["Body"].read(), part["PartsCount"], part["SSEKMSKeyId"]) == (TAIL, 2, other_key)


def test_a_version_by_its_id_and_no_other(s3: Any, bucket: str, kms_key: str, other_key: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old, new = (s3.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"] for body in (b"old", b"new"))
    assert update(s3, bucket, kms_key, VersionId=old)["ResponseMetadata"]["HTTPHeaders"]["x-amz-version-id"] == old
    assert described(s3, bucket, VersionId=old)[0]["SSEKMSKeyId"] == kms_key
    assert described(s3, bucket, VersionId=new)[0] == {"ServerSideEncryption": "AES256"}
    update(s3, bucket, other_key)
    assert described(s3, bucket)[0]["SSEKMSKeyId"] == other_key
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [each["VersionId"] for each in versions] == [new, old]
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    assert refusal(update, s3=s3, bucket=bucket, key_arn=kms_key) == (404, "NoSuchKey")
    assert refusal(update, s3=s3, bucket=bucket, key_arn=kms_key, VersionId=marker) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"SSEKMS": {"KMSKeyArn": "alias/of-a-key-of-mine"}}, (400, "InvalidRequest")),
        ({"SSEKMS": {"KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:alias/mine"}}, (400, "InvalidRequest")),
        ({"SSEKMS": {"KMSKeyArn": "x" * 4000}}, (400, "InvalidRequest")),
    ],
    ids=["an alias", "ARN of an alias", "too long"],
)
def test_what_names_no_key_is_refused(s3: Any, bucket: str, document: Any, status: tuple[int, str]) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"body")
    assert refusal(s3.update_object_encryption, Bucket=bucket, Key="a", ObjectEncryption=document) == status
    assert described(s3, bucket)[0] == {"ServerSideEncryption": "AES256"}


def test_objects_under_customers_keys_and_keys_of_others_are_refused(
    gateway: Gateway, s3: Any, bucket: str, kms_key: str
) -> None:
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]},
    )
    s3.put_object(Bucket=bucket, Key="a", Body=b"body", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    assert refusal(update, s3=s3, bucket=bucket, key_arn=kms_key) == (400, "InvalidRequest")
    s3.put_object(Bucket=bucket, Key="a", Body=b"body")
    theirs = make_account(gateway).client("kms").create_key()["KeyMetadata"]["Arn"]
    assert refusal(update, s3=s3, bucket=bucket, key_arn=theirs) == (403, "AccessDenied")
    assert refusal(update, s3=s3, bucket=bucket, key_arn=kms_key, key="missing") == (404, "NoSuchKey")
    assert described(s3, bucket)[0] == {"ServerSideEncryption": "AES256"}


def test_a_policy_may_ask_for_the_key(gateway: Gateway, s3: Any, bucket: str, kms_key: str, other_key: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"body")
    condition = {"StringEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": kms_key}}
    user = make_user(gateway, allow("kms:*"), {**allow("s3:UpdateObjectEncryption"), "Condition": condition})
    assert error_of(update, s3=user.client("s3"), bucket=bucket, key_arn=other_key)["Error"]["Code"] == "AccessDenied"
    update(user.client("s3"), bucket, kms_key)
    assert described(s3, bucket)[0]["SSEKMSKeyId"] == kms_key


@pytest.mark.parametrize("ownership", ["BucketOwnerEnforced", "ObjectWriter"])
def test_beside_writers_the_object_is_one_or_the_other(
    s3: Any, bucket: str, kms_key: str, other_key: str, ownership: str
) -> None:
    """Whatever meets, the body is of one write, and opens. With ACLs the row is read for its owner before."""
    rule = {"ObjectOwnership": ownership}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [rule]})
    s3.put_object(Bucket=bucket, Key="a", Body=b"0" * 1000)
    start = threading.Barrier(4)

    def repeat(act: Callable[[int], object]) -> None:
        start.wait()
        for number in range(12):
            try:
                act(number)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "OperationAborted", error

    acts: list[Callable[[int], object]] = [
        lambda _: update(s3, bucket, kms_key),
        lambda _: update(s3, bucket, other_key, bucket_key=True),
        lambda number: s3.put_object(Bucket=bucket, Key="a", Body=b"%d" % (number % 10) * 1000),
        lambda number: s3.put_object_tagging(
            Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "n", "Value": str(number)}]}
        ),
    ]
    with ThreadPoolExecutor(len(acts)) as pool:
        list(pool.map(repeat, acts))
    _, _, body = described(s3, bucket)
    assert len(body) == 1000
    assert len(set(body)) == 1
