"""Policies that say how objects are to be encrypted: S3's condition keys about a request, and KMS's about a key's use.

S3's are about the headers of a request, never about a bucket's default. Sources: Service Authorization Reference,
"Condition keys for Amazon S3" and "… for AWS Key Management Service"; User Guide, "Protecting data with server-side
encryption" and "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.clients.access import EVERYONE, policy_text, put_policy, statement, take_customer_keys
from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.test_encryption_headers import KEY_ID, SSE
from tests.clients.users import TestUser, allow, make_user
from tests.harness import REGION, Gateway
from tests.properties.encryption import BUCKET_KEY, CUSTOMERS, DSSE, MODES

DENIED = (403, "AccessDenied")
USES = ("kms:GenerateDataKey", "kms:Decrypt")
VIA_S3 = f"s3.{REGION}.amazonaws.com"
BY_KMS = tuple(mode for mode in MODES if mode in ("aws:kms", BUCKET_KEY, DSSE))


def asking(mode: str | None, key: str | None = None) -> dict[str, Any]:
    """How boto3 asks for a mode."""
    if mode is None:
        return {}
    if mode in CUSTOMERS:
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMERS[mode].decode()}
    asked: dict[str, Any] = {"ServerSideEncryption": "aws:kms" if mode == BUCKET_KEY else mode}
    if mode == BUCKET_KEY:
        asked["BucketKeyEnabled"] = True
    return asked if key is None or mode not in BY_KMS else {**asked, "SSEKMSKeyId": key}


def reading(mode: str | None) -> dict[str, Any]:
    return asking(mode) if mode in CUSTOMERS else {}


def by_put(s3: Any, bucket: str, **asked: Any) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", **asked)


def by_copy(s3: Any, bucket: str, **asked: Any) -> None:
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "source"}, **asked)


def by_parts(s3: Any, bucket: str, **asked: Any) -> None:
    """As SDKs do it: only what begins the upload says how it is encrypted, but for a customer's key."""
    where = {"Bucket": bucket, "Key": "k"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, **asked)["UploadId"]}
    key = {name: value for name, value in asked.items() if name.startswith("SSECustomer")}
    s3.upload_part(**upload, PartNumber=1, Body=b"part", **key)
    source = {"Bucket": bucket, "Key": "source"}
    etag = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source, **key)["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **key)


WRITES = {"PutObject": by_put, "CopyObject": by_copy, "multipart": by_parts}


@pytest.fixture
def writable(s3: Any, bucket: str) -> str:
    """It takes customers' keys, and has a source of copies."""
    s3.put_object(Bucket=bucket, Key="source", Body=b"source")
    return take_customer_keys(s3, bucket)


def deny_unencrypted(s3: Any, bucket: str) -> None:
    """The classic: not by SSE-KMS, or not said how, is denied."""
    on = f"{bucket}/*"
    put_policy(
        s3, bucket,
        statement("Deny", EVERYONE, "s3:PutObject", on=on, StringNotEquals={f"s3:{SSE}": "aws:kms"}),
        statement("Deny", EVERYONE, "s3:PutObject", on=on, Null={f"s3:{SSE}": "true"}),
    )  # fmt: skip


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("mode", [None, *MODES])
def test_the_classic_policy_lets_in_what_says_sse_kms_alone(
    s3: Any, writable: str, kms_key: str, mode: str | None, write: str
) -> None:
    """With a bucket key or without; DSSE-KMS is another algorithm, and the bucket's default is none that was said."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=writable, ServerSideEncryptionConfiguration=rules)
    deny_unencrypted(s3, writable)
    asked = asking(mode, kms_key)
    if mode in ("aws:kms", BUCKET_KEY):
        WRITES[write](s3, writable, **asked)
        assert s3.head_object(Bucket=writable, Key="k")["SSEKMSKeyId"] == kms_key
    else:
        assert refusal(WRITES[write], s3=s3, bucket=writable, **asked) == DENIED
        assert refusal(s3.head_object, Bucket=writable, Key="k") == (404, "404")
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=writable)


def test_forms_and_urls_say_it_too(gateway: Gateway, s3: Any, writable: str, kms_key: str) -> None:
    deny_unencrypted(s3, writable)
    signing = gateway.client("s3", signature_version="s3v4")
    for fields, status in (({}, 403), ({SSE: "AES256"}, 403), ({SSE: "aws:kms", KEY_ID: kms_key}, 204)):
        conditions = [{name: value} for name, value in fields.items()]
        form = signing.generate_presigned_post(writable, "form", Fields=dict(fields), Conditions=conditions)
        answer = requests.post(form["url"], data=form["fields"], files={"file": b"body"}, timeout=30)
        assert answer.status_code == status
        asked = {"ServerSideEncryption": fields[SSE]} if fields else {}
        asked |= {"SSEKMSKeyId": fields[KEY_ID]} if KEY_ID in fields else {}
        url = signing.generate_presigned_url("put_object", {"Bucket": writable, "Key": "url", **asked})
        answer = requests.put(url, data=b"body", headers=fields, timeout=30)
        assert answer.status_code == (200 if status == 204 else status)
    for key in ("form", "url"):
        assert s3.head_object(Bucket=writable, Key=key)["SSEKMSKeyId"] == kms_key


def test_parts_are_what_began_their_upload_and_not_what_they_say(s3: Any, raw: RawClient, writable: str) -> None:
    where = {"Bucket": writable, "Key": "k"}
    uploads = [s3.create_multipart_upload(**where, ServerSideEncryption=mode) for mode in ("AES256", "aws:kms")]
    deny_unencrypted(s3, writable)
    for upload, said, status in zip(uploads, ("aws:kms", "AES256"), (403, 200), strict=True):
        target = f"/{writable}/k?partNumber=1&uploadId={upload['UploadId']}"
        for headers in ({SSE: said}, {}):
            assert raw.request("PUT", target, headers, b"part").status == status
    absent = f"/{writable}/k?partNumber=1&uploadId={'A' * 22}"
    assert raw.request("PUT", absent, {SSE: "aws:kms"}, b"part").refusal == (404, "NoSuchUpload")
    assert raw.request("PUT", absent, {}, b"part").refusal == DENIED


def test_whoever_must_not_say_how_uploads_in_parts_by_the_buckets_default(s3: Any, writable: str, kms_key: str) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=writable, ServerSideEncryptionConfiguration=rules)
    denied = (statement("Deny", EVERYONE, "s3:PutObject", on=f"{writable}/*", Null={f"s3:{name}": "false"})
              for name in (SSE, KEY_ID))  # fmt: skip
    put_policy(s3, writable, *denied)
    for write in WRITES.values():
        write(s3, writable)
        assert s3.head_object(Bucket=writable, Key="k")["SSEKMSKeyId"] == kms_key
        assert refusal(write, s3=s3, bucket=writable, **asking("aws:kms", kms_key)) == DENIED


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("mode", BY_KMS)
def test_only_this_key(s3: Any, kms: Any, writable: str, kms_key: str, mode: str, write: str) -> None:
    """Named by its ARN; another key, none, and the same key by another of its names are none of the policy's."""
    key = f"s3:{KEY_ID}"
    put_policy(
        s3, writable,
        statement("Deny", EVERYONE, "s3:PutObject", on=f"{writable}/*", StringNotEquals={key: kms_key}),
    )  # fmt: skip
    other = kms.create_key()["KeyMetadata"]["Arn"]
    for named in (None, other):
        assert refusal(WRITES[write], s3=s3, bucket=writable, **asking(mode, named)) == DENIED
    assert refusal(WRITES[write], s3=s3, bucket=writable) == DENIED
    WRITES[write](s3, writable, **asking(mode, kms_key))
    assert s3.head_object(Bucket=writable, Key="k")["SSEKMSKeyId"] == kms_key


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("mode", MODES)
def test_no_keys_of_customers_or_nothing_else(s3: Any, writable: str, kms_key: str, mode: str, write: str) -> None:
    key = f"s3:{SSE}-customer-algorithm"
    for is_denied, null in ((mode in CUSTOMERS, "false"), (mode not in CUSTOMERS, "true")):
        put_policy(
            s3, writable, statement("Deny", EVERYONE, "s3:PutObject", on=f"{writable}/*", Null={key: null})
        )  # fmt: skip
        asked = asking(mode, kms_key)
        if is_denied:
            assert refusal(WRITES[write], s3=s3, bucket=writable, **asked) == DENIED
        else:
            WRITES[write](s3, writable, **asked)
            assert s3.get_object(Bucket=writable, Key="k", **reading(mode))["Body"].read()


# Condition keys of the KMS


def may_use(user: TestUser, key: str, **condition: Any) -> None:
    document = policy_text(allow("s3:*"), {**allow(*USES, on=key), "Condition": condition})
    user.gateway.client("iam").put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=document)


def if_via(user: TestUser, _bucket: str, is_met: bool) -> dict[str, Any]:
    return {"StringEquals": {"kms:ViaService": VIA_S3 if is_met else f"ebs.{REGION}.amazonaws.com"}}


def if_account(user: TestUser, _bucket: str, is_met: bool) -> dict[str, Any]:
    return {"StringEquals": {"kms:CallerAccount": user.account_id if is_met else "000000000001"}}


def if_this_object(_user: TestUser, bucket: str, is_met: bool) -> dict[str, Any]:
    return {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/{'k' if is_met else 'x'}"}}


def if_this_bucket(_user: TestUser, bucket: str, is_met: bool) -> dict[str, Any]:
    return {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket if is_met else 'x'}"}}


def if_only_the_arn(_user: TestUser, _bucket: str, is_met: bool) -> dict[str, Any]:
    return {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["aws:s3:arn" if is_met else "other"]}}


Condition = Callable[[TestUser, str, bool], dict[str, Any]]
CONDITIONS: dict[str, list[Condition]] = {
    mode: [if_via, if_account, if_only_the_arn, if_this_bucket if mode == BUCKET_KEY else if_this_object]
    for mode in BY_KMS
}
"""With a bucket key the encryption context has the bucket's ARN in place of the object's."""


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    return make_user(gateway)


@pytest.mark.parametrize(
    ("mode", "condition"), [(mode, each) for mode, conditions in CONDITIONS.items() for each in conditions]
)
def test_conditions_on_the_use_of_a_key(s3: Any, kms: Any, user: TestUser, mode: str, condition: Condition) -> None:
    """Met: written in one piece, by copying and in parts, and read. Not met: neither, and what is missing is said."""
    bucket, key = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="source", Body=b"source")
    client, asked = user.client("s3"), asking(mode, key)
    may_use(user, key, **condition(user, bucket, True))
    for write in WRITES.values():
        write(client, bucket, **asked)
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read()
    may_use(user, key, **condition(user, bucket, False))
    for call, action, parameters in (
        (client.put_object, USES[0], {"Body": b"body", **asked}),
        (client.create_multipart_upload, USES[0], asked),
        (client.copy_object, USES[0], {"CopySource": {"Bucket": bucket, "Key": "source"}, **asked}),
        (client.get_object, USES[1], {}),
    ):
        error = error_of(call, Bucket=bucket, Key="k", **parameters)["Error"]
        assert (error["Code"], action in error["Message"]) == ("AccessDenied", True), error
    assert client.head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == key


@pytest.mark.parametrize("mode", BY_KMS)
def test_a_key_for_s3_alone_opens_nothing_by_itself(s3: Any, user: TestUser, kms: Any, bucket: str, mode: str) -> None:
    """kms:ViaService: whoever may use a key through S3 may not through the KMS's own door."""
    key = kms.create_key()["KeyMetadata"]["Arn"]
    may_use(user, key, StringEquals={"kms:ViaService": VIA_S3})
    by_put(user.client("s3"), bucket, **asking(mode, key))
    called = refusal(user.client("kms").generate_data_key, KeyId=key, KeySpec="AES_256")
    assert called == (400, "AccessDeniedException")
