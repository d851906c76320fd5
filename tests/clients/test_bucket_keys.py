"""SSE-KMS with S3 Bucket Keys: headers, defaults and errors; whom a key serves; and how often the KMS is asked."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.checks import error_of, headers_of, random_bytes, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.users import TestUser, allow, deny, make_account, make_user
from tests.harness import Gateway, running_gateway

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"
USES = ("kms:GenerateDataKey", "kms:Decrypt")
OBJECTS = 100
READS = 1000
"""Ten times as many take as few calls of the KMS, which is what the bound says."""
MOST_CALLS = 10


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("bucket-keys"), root="file", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture(scope="module")
def kms(gateway: Gateway) -> Any:
    return gateway.client("kms")


@pytest.fixture(scope="module")
def raw(gateway: Gateway) -> RawClient:
    return RawClient(gateway)


@pytest.fixture(scope="module")
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def bucket(s3: Any) -> str:
    return make_bucket(s3)


def asked(key: str, *, bucket_key: bool = True) -> dict[str, Any]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": bucket_key}


def set_default(s3: Any, bucket: str, algorithm: str, key: str | None = None, *, bucket_key: bool = True) -> None:
    default = {"SSEAlgorithm": algorithm, **({} if key is None else {"KMSMasterKeyID": key})}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def encryption_of(answer: Any) -> dict[str, str]:
    headers = answer.headers if hasattr(answer, "headers") else headers_of(answer)
    return {name: value for name, value in headers.items() if name.startswith(SSE)}


def kms_calls(gateway: Gateway) -> Counter[str]:
    """Of all workers, by operation; lines of the audit trail are told by kmsd, but are no calls of the KMS."""
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics") as answer:
        text = answer.read().decode()
    calls: Counter[str] = Counter()
    for operation, count in re.findall(r'^sealgate_kms_calls_total\{operation="(\w+)"[^}]*\} ([\d.e+]+)$', text, re.M):
        calls[operation] += int(float(count))
    del calls["RecordCall"]
    return calls


@pytest.fixture
def calls(gateway: Gateway) -> Callable[[], Counter[str]]:
    """What the KMS was asked since the last look."""
    before = kms_calls(gateway)

    def since() -> Counter[str]:
        nonlocal before
        now = kms_calls(gateway)
        before, difference = now, now - before
        return difference

    return since


def test_answers_of_every_operation(s3: Any, bucket: str, key: str) -> None:
    expected = {SSE: "aws:kms", KEY_ID: key, BUCKET_KEY: "true"}
    where = {"Bucket": bucket, "Key": "a"}
    assert encryption_of(s3.put_object(**where, Body=b"1", **asked(key))) == expected
    assert encryption_of(s3.get_object(**where)) == expected
    assert encryption_of(s3.head_object(**where)) == expected
    assert encryption_of(s3.copy_object(Bucket=bucket, Key="b", CopySource=where, **asked(key))) == expected
    created = s3.create_multipart_upload(Bucket=bucket, Key="c", **asked(key))
    assert encryption_of(created) == expected
    upload = {"Bucket": bucket, "Key": "c", "UploadId": created["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=random_bytes(5 << 20))
    assert encryption_of(part) == expected
    other = s3.upload_part_copy(**upload, PartNumber=2, CopySource=where)
    assert encryption_of(other) == expected
    etags = (part["ETag"], other["CopyPartResult"]["ETag"])
    parts = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]}
    assert encryption_of(s3.complete_multipart_upload(**upload, MultipartUpload=parts)) == expected
    assert encryption_of(s3.head_object(Bucket=bucket, Key="c")) == expected
    body = s3.get_object(Bucket=bucket, Key="c")["Body"].read()
    assert (len(body), body[-1:]) == ((5 << 20) + 1, b"1")
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"1"


@pytest.mark.parametrize(
    ("default", "said", "has_bucket_key"),
    [
        (("aws:kms", True), {}, True),
        (("aws:kms", False), {}, False),
        (("aws:kms", True), {"BucketKeyEnabled": False}, False),
        (("aws:kms", False), {"BucketKeyEnabled": True}, True),
        (("aws:kms", True), {"ServerSideEncryption": "aws:kms"}, True),
        (("AES256", True), {"ServerSideEncryption": "aws:kms"}, True),
        (("AES256", False), {"ServerSideEncryption": "aws:kms"}, False),
        (("AES256", True), {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": False}, False),
    ],
)
def test_the_request_goes_before_the_bucket(
    s3: Any, bucket: str, default: tuple[str, bool], said: dict[str, Any], has_bucket_key: bool
) -> None:
    set_default(s3, bucket, default[0], bucket_key=default[1])
    for put in (
        s3.put_object(Bucket=bucket, Key="a", Body=b"1", **said),
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"}, **said),
        s3.create_multipart_upload(Bucket=bucket, Key="c", **said),
    ):
        assert put["ServerSideEncryption"] == "aws:kms"
        assert put.get("BucketKeyEnabled", False) is has_bucket_key


def test_objects_by_sse_s3_have_none_whatever_the_bucket_says(s3: Any, bucket: str) -> None:
    set_default(s3, bucket, "AES256")
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"] is True
    assert encryption_of(s3.put_object(Bucket=bucket, Key="a", Body=b"1")) == {SSE: "AES256"}
    s3.delete_bucket_encryption(Bucket=bucket)
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"] is False


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ({SSE: "AES256", BUCKET_KEY: "true"}, "true"),
        ({BUCKET_KEY: "true"}, "true"),
        ({SSE: "aws:kms", BUCKET_KEY: "yes"}, "yes"),
        ({SSE: "aws:kms", BUCKET_KEY: ""}, ""),
    ],
)
def test_what_is_refused(raw: RawClient, s3: Any, bucket: str, headers: dict[str, str], value: str) -> None:
    for method, target, more in (
        ("PUT", f"/{bucket}/a", {}),
        ("POST", f"/{bucket}/a?uploads", {}),
        ("PUT", f"/{bucket}/a", {"x-amz-copy-source": f"/{bucket}/source"}),
    ):
        s3.put_object(Bucket=bucket, Key="source", Body=b"1")
        answer = raw.request(method, target, {**headers, **more}, b"1" if method == "PUT" and not more else b"")
        assert answer.refusal == (400, "InvalidArgument")
        assert f"<ArgumentName>{BUCKET_KEY}</ArgumentName>" in answer.body.decode()
        assert f"<ArgumentValue>{value}</ArgumentValue>" in answer.body.decode() or not value
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["source"]
    assert raw.request("GET", f"/{bucket}/source", {BUCKET_KEY: "true"}).refusal == (400, "InvalidArgument")


def test_presigned_and_by_a_browser_form(gateway: Gateway, s3: Any, bucket: str, key: str, raw: RawClient) -> None:
    signing = gateway.client("s3", signature_version="s3v4")
    url = signing.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a", **asked(key)})
    headers = {SSE: "aws:kms", KEY_ID: key, BUCKET_KEY: "true"}
    request = urllib.request.Request(url, b"1", {**headers, "content-type": ""}, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.headers[BUCKET_KEY] == "true"
    form = signing.generate_presigned_post(bucket, "b", Fields=headers, Conditions=[{n: v} for n, v in headers.items()])
    boundary = uuid.uuid4().hex
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**form["fields"], "file": "1"}.items()
    )
    body = f"{fields}--{boundary}--\r\n".encode()
    content_type = {"content-type": f"multipart/form-data; boundary={boundary}"}
    with urllib.request.urlopen(urllib.request.Request(form["url"], body, content_type)) as answer:
        assert (answer.status, answer.headers[BUCKET_KEY]) == (204, "true")
    for name in ("a", "b"):
        got = s3.get_object(Bucket=bucket, Key=name)
        assert (got["Body"].read(), got["BucketKeyEnabled"], got["SSEKMSKeyId"]) == (b"1", True, key)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000])
def test_what_was_written_is_read_in_any_range(s3: Any, bucket: str, key: str, size: int) -> None:
    body = random_bytes(size)
    etag = s3.put_object(Bucket=bucket, Key="a", Body=body, **asked(key))["ETag"]
    assert etag != f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == body
    if size:
        span = s3.get_object(Bucket=bucket, Key="a", Range=f"bytes={size // 2}-")["Body"].read()
        assert span == body[size // 2 :]


def test_a_thousand_reads_take_ten_calls_at_most(
    s3: Any, bucket: str, key: str, calls: Callable[[], Counter[str]]
) -> None:
    set_default(s3, bucket, "aws:kms", key)
    for number in range(OBJECTS):
        s3.put_object(Bucket=bucket, Key=str(number), Body=str(number).encode())
    writing = calls()
    assert writing.total() <= MOST_CALLS
    assert writing["GenerateDataKey"] >= 1
    for number in range(READS):
        name = str(number % OBJECTS)
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()
    reading = calls()
    assert reading.keys() == {"Decrypt"}
    assert reading.total() <= MOST_CALLS


CALLS_OF_MODES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "SSE-S3": ({"ServerSideEncryption": "AES256"}, [], []),
    "SSE-KMS": ({"ServerSideEncryption": "aws:kms"}, ["GenerateDataKey"], ["Decrypt"]),
    "SSE-C": ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, [], []),
}


@pytest.mark.parametrize("mode", CALLS_OF_MODES)
def test_the_kms_is_asked_as_the_table_of_modes_says(
    s3: Any, bucket: str, key: str, calls: Callable[[], Counter[str]], mode: str
) -> None:
    """Without a bucket key; those are counted above and below."""
    said, writing, reading = CALLS_OF_MODES[mode]
    if mode == "SSE-KMS":
        said = {**said, "SSEKMSKeyId": key}
    if mode == "SSE-C":
        default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        rule = {**default, "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    read = {name: value for name, value in said.items() if name.startswith("SSECustomer")}
    where = {"Bucket": bucket, "Key": "a"}
    calls()
    for _ in range(3):
        s3.put_object(**where, Body=b"1", **said)
    assert calls() == Counter(writing * 3)
    for _ in range(3):
        s3.get_object(**where, **read)["Body"].read()
    assert calls() == Counter(reading * 3)
    s3.head_object(**where, **read)
    s3.list_objects_v2(Bucket=bucket)
    assert calls() == Counter()


def test_parts_of_an_upload_share_its_data_key(
    s3: Any, bucket: str, key: str, calls: Callable[[], Counter[str]]
) -> None:
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="a", **asked(key))["UploadId"]
    upload = {"Bucket": bucket, "Key": "a", "UploadId": upload_id}
    assert calls() == Counter(GenerateDataKey=1)
    etags = [s3.upload_part(**upload, PartNumber=number, Body=random_bytes(5 << 20))["ETag"] for number in range(1, 7)]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    counted = calls()
    assert counted.keys() == {"Decrypt"}
    assert counted["Decrypt"] <= 2, "one for each worker"


def test_copies_to_and_from_every_mode(s3: Any, kms: Any, bucket: str, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["Arn"]
    body = random_bytes(100_000)
    modes: list[dict[str, Any]] = [
        {"ServerSideEncryption": "AES256"},
        asked(key, bucket_key=False),
        asked(key),
        asked(other),
    ]
    for source in range(len(modes)):
        s3.put_object(Bucket=bucket, Key=f"{source}", Body=body, **modes[source])
        for target in range(len(modes)):
            name = f"{source}-{target}"
            copied = s3.copy_object(
                Bucket=bucket, Key=name, CopySource={"Bucket": bucket, "Key": f"{source}"}, **modes[target]
            )
            got = s3.get_object(Bucket=bucket, Key=name)
            assert got["Body"].read() == body
            for answer in (copied, got):
                assert answer["ServerSideEncryption"] == modes[target]["ServerSideEncryption"]
                assert answer.get("SSEKMSKeyId") == modes[target].get("SSEKMSKeyId")
                assert answer.get("BucketKeyEnabled", False) is modes[target].get("BucketKeyEnabled", False)


def test_copies_between_buckets_and_accounts_and_renamed_objects(
    gateway: Gateway, s3: Any, bucket: str, key: str
) -> None:
    there = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="a", Body=b"body", **asked(key))
    source = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=there, Key="b", CopySource=source, **asked(key))
    s3.rename_object(Bucket=there, Key="c", RenameSource=f"{there}/b")
    got = s3.get_object(Bucket=there, Key="c")
    assert (got["Body"].read(), got["BucketKeyEnabled"]) == (b"body", True)
    abroad = make_account(gateway)
    owned = make_bucket(abroad.client("s3"))
    for name, actions in ((owned, ["s3:PutObject"]), (bucket, ["s3:GetObject"])):
        owner = abroad.client("s3") if name == owned else s3
        statement = {"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": f"arn:aws:s3:::{name}/*"}
        owner.delete_public_access_block(Bucket=name)
        owner.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.copy_object(Bucket=owned, Key="d", CopySource=source, **asked(key))
    # The owner of the copy reads it only as far as the key lets it.
    assert refusal(abroad.client("s3").get_object, Bucket=owned, Key="d") == (403, "AccessDenied")


def denied(call: Any, action: str, user: TestUser) -> None:
    response = error_of(call)
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDenied", 403)
    assert f"User: {user.arn} is not authorized to perform: {action} on" in response["Error"]["Message"]


def test_the_rights_of_one_serve_no_other_and_end_when_they_are_taken(
    gateway: Gateway, s3: Any, bucket: str, key: str
) -> None:
    """Both use the very object and bucket key that the root user just used."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", **asked(key))
    user = make_user(gateway, allow("s3:*"))
    client = user.client("s3")

    def get() -> bytes:
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
        return bytes(client.get_object(Bucket=bucket, Key="a")["Body"].read())

    def put() -> None:
        s3.put_object(Bucket=bucket, Key="b", Body=b"1", **asked(key))
        client.put_object(Bucket=bucket, Key="b", Body=b"1", **asked(key))

    denied(get, "kms:Decrypt", user)
    denied(put, "kms:GenerateDataKey", user)
    user.put_policy(allow("s3:*"), allow("kms:GenerateDataKey", on=key))
    put()
    denied(get, "kms:Decrypt", user)
    user.put_policy(allow("s3:*"), allow(*USES, on=key))
    assert [get() for _ in range(5)] == [b"1"] * 5
    user.put_policy(allow("s3:*"), allow(*USES, on=key), deny("kms:*"))
    for _ in range(5):
        denied(get, "kms:Decrypt", user)
        denied(put, "kms:GenerateDataKey", user)
    user.put_policy(allow("s3:*"), allow(*USES, on=key))
    assert [get() for _ in range(5)] == [b"1"] * 5


def test_policies_ask_for_the_bucket_and_no_more_for_the_object(
    gateway: Gateway, s3: Any, bucket: str, key: str
) -> None:
    def if_context(arn: str) -> dict[str, Any]:
        return {**allow(*USES, on=key), "Condition": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": arn}}}

    user = make_user(gateway, allow("s3:*"), if_context(f"arn:aws:s3:::{bucket}/*"))
    client = user.client("s3")
    client.put_object(Bucket=bucket, Key="a", Body=b"1", **asked(key, bucket_key=False))
    denied(lambda: client.put_object(Bucket=bucket, Key="b", Body=b"1", **asked(key)), "kms:GenerateDataKey", user)
    user.put_policy(allow("s3:*"), if_context(f"arn:aws:s3:::{bucket}"))
    client.put_object(Bucket=bucket, Key="b", Body=b"1", **asked(key))
    assert client.get_object(Bucket=bucket, Key="b")["Body"].read() == b"1"
    denied(lambda: client.get_object(Bucket=bucket, Key="a"), "kms:Decrypt", user)


def test_states_of_the_key_hold_at_once(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", **asked(key))
    for _ in range(8):
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    kms.disable_key(KeyId=key)
    for _ in range(8):
        assert refusal(s3.get_object, Bucket=bucket, Key="a") == (400, "KMS.DisabledException")
        assert refusal(s3.put_object, Bucket=bucket, Key="b", **asked(key)) == (400, "KMS.DisabledException")
    assert s3.head_object(Bucket=bucket, Key="a")["BucketKeyEnabled"] is True
    kms.enable_key(KeyId=key)
    for _ in range(8):
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for _ in range(8):
        assert refusal(s3.get_object, Bucket=bucket, Key="a") == (400, "KMS.KMSInvalidStateException")


def test_a_rotated_key_makes_a_new_bucket_key_and_opens_the_old(
    s3: Any, kms: Any, bucket: str, calls: Callable[[], Counter[str]]
) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="old", Body=b"old", **asked(key))
    kms.rotate_key_on_demand(KeyId=key)
    calls()
    s3.put_object(Bucket=bucket, Key="new", Body=b"new", **asked(key))
    assert calls()["GenerateDataKey"] == 1
    for name in ("old", "new"):
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()


def test_an_alias_that_moves_is_followed(s3: Any, kms: Any, bucket: str, key: str) -> None:
    alias, other = f"alias/moved-{uuid.uuid4()}", kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"1", **asked(alias))["SSEKMSKeyId"] == key
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    assert s3.put_object(Bucket=bucket, Key="b", Body=b"1", **asked(alias))["SSEKMSKeyId"] == other
    for name in ("a", "b"):
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"1"


def test_each_object_is_a_line_of_the_audit_trail(gateway: Gateway, s3: Any, bucket: str, key: str) -> None:
    context = base64.b64encode(b'{"team":"blue"}').decode()
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"1", **asked(key), SSEKMSEncryptionContext=context)
    got = [s3.get_object(Bucket=bucket, Key="a") for _ in range(5)]
    tail = gateway.sealgate("audit", "tail", "--json", "--object", f"{bucket}/a", str(gateway.data))
    lines = [json.loads(line) for line in tail.stdout.splitlines()]
    told = [(line["eventSource"], line["eventName"], line["requestID"]) for line in lines]
    ids = [answer["ResponseMetadata"]["RequestId"] for answer in (put, *got)]
    names = ["GenerateDataKey"] + ["Decrypt"] * 5
    assert told == [("s3.amazonaws.com", name, request_id) for name, request_id in zip(names, ids, strict=True)]
    assert {line["resourceArn"] for line in lines} == {f"arn:aws:s3:::{bucket}/a"}
    assert {resource["ARN"] for line in lines for resource in line["resources"]} == {key}
    assert len({line["requestParameters"]["bucketKeyId"] for line in lines}) == 1
    expected = {"team": "blue", "aws:s3:arn": f"arn:aws:s3:::{bucket}"}
    assert [line["requestParameters"]["encryptionContext"] for line in lines] == [expected] * 6
    assert {decision["decision"] for line in lines for decision in line["decisions"]} == {"Allow"}


def test_another_accounts_key_is_used_as_its_policy_says(gateway: Gateway, s3: Any, bucket: str) -> None:
    abroad = make_account(gateway)
    kms = abroad.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    home = gateway.client("sts").get_caller_identity()["Account"]
    assert refusal(s3.put_object, Bucket=bucket, Key="a", **asked(key)) == (403, "AccessDenied")
    policy = [
        {"Effect": "Allow", "Principal": {"AWS": abroad.account_id}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": home}, "Action": list(USES), "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": policy})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document)
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"1", **asked(key))["BucketKeyEnabled"] is True
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    document = json.dumps({"Version": "2012-10-17", "Statement": policy[:1]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document)
    for _ in range(5):
        assert refusal(s3.get_object, Bucket=bucket, Key="a") == (403, "AccessDenied")
