"""Bucket policies: put, told again, deleted, and in force for users, other accounts and root users."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.access import EVERYONE, open_bucket, policy_text, put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.raw import RawClient
from tests.clients.users import TestAccount, TestUser, allow, make_account, make_user
from tests.harness import Gateway

DENIED = (403, "AccessDenied")


@pytest.fixture(scope="module")
def other(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    """Of the first account, without policies of its own."""
    return make_user(gateway)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = open_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


# The operations


def test_a_policy_is_told_as_it_was_put(s3: Any, bucket: str) -> None:
    text = policy_text(statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*")).replace(": ", " :\n")
    answer = s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    answer = s3.get_bucket_policy(Bucket=bucket)
    assert answer["Policy"] == text
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"


def test_a_policy_is_deleted(s3: Any, bucket: str) -> None:
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:GetObject", on=f"{bucket}/*"))
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    for _ in range(2):
        assert s3.delete_bucket_policy(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@pytest.mark.parametrize("operation", ["get_bucket_policy", "get_bucket_policy_status"])
def test_a_bucket_without_a_policy(s3: Any, bucket: str, operation: str) -> None:
    response = error_of(getattr(s3, operation), Bucket=bucket)
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (404, "NoSuchBucketPolicy")
    assert (response["Error"]["Message"], response["Error"]["BucketName"]) == (
        "The bucket policy does not exist",
        bucket,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Resource": "arn:aws:s3:::another/*"}, "Policy has invalid resource"),
        ({"Resource": "*"}, "Policy has invalid resource"),
        ({"Resource": "{bucket}"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::{bucket}"}, "Action does not apply to any resource(s) in statement"),
        ({"Action": "s3:ListBucket"}, "Action does not apply to any resource(s) in statement"),
        ({"Action": "ec2:RunInstances"}, "Policy has invalid action"),
        ({"Action": "GetObject"}, "Policy has invalid action"),
        ({"Action": ["s3:GetObject", "s3:GetObjects"]}, "Policy has invalid action"),
        (
            {"Condition": {"StringLike": {"s3:prefix": "a"}}},
            "Conditions do not apply to combination of actions and resources in statement",
        ),
        ({"Condition": {"StringEquals": {"s3:prefixes": "a"}}}, "Policy has an invalid condition key"),
        ({"Principal": {"AWS": "nobody"}}, "Invalid principal in policy"),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:user/*"}}, "Invalid principal in policy"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Effect": None}, "Missing required field Effect"),
        ({"Effect": "allow"}, "Invalid effect: allow"),
        ({"Action": None}, "Missing required field Action"),
        ({"Resource": None}, "Missing required field Resource"),
        ({"Extra": 1}, "Unknown field Extra"),
    ],
)
def test_malformed_policies(s3: Any, bucket: str, changes: dict[str, Any], message: str) -> None:
    wanted = {**statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*"), **changes}
    text = policy_text({name: value for name, value in wanted.items() if value is not None})
    response = error_of(s3.put_bucket_policy, Bucket=bucket, Policy=text.replace("{bucket}", bucket))
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (400, "MalformedPolicy")
    assert response["Error"]["Message"] == message
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")


@pytest.mark.parametrize(
    "name",
    [
        "arn:aws:iam::{account}:user/nobody",
        "arn:aws:iam::{account}:role/nobody",
        "arn:aws:sts::{account}:assumed-role/nobody/s",
        "AIDANOBODY0000000000",
    ],
)
def test_who_is_not_there_is_no_principal(s3: Any, bucket: str, user: TestUser, name: str) -> None:
    principals = {"AWS": [user.arn, name.format(account=user.account_id)]}
    text = policy_text(statement("Allow", principals, "s3:GetObject", on=f"{bucket}/*"))
    response = error_of(s3.put_bucket_policy, Bucket=bucket, Policy=text)
    assert (response["Error"]["Code"], response["Error"]["Message"]) == (
        "MalformedPolicy",
        "Invalid principal in policy",
    )
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")


def test_who_is_there_or_elsewhere_can_be_a_principal(
    s3: Any, bucket: str, user: TestUser, other: TestAccount, gateway: Gateway
) -> None:
    role = "role-of-a-bucket-policy"
    trust = {"Effect": "Allow", "Principal": {"AWS": user.account_id}, "Action": "sts:AssumeRole"}
    iam = gateway.client("iam")
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy_text(trust))["Role"]
    names = [
        user.arn,
        made["Arn"],
        made["RoleId"],
        f"arn:aws:sts::{user.account_id}:assumed-role/{role}/any",
        other.account_id,
        f"arn:aws:iam::{other.account_id}:root",
        "000000000001",
        "arn:aws:iam::000000000001:user/of-another-installation",
    ]
    text = policy_text(statement("Allow", {"AWS": names}, "s3:GetObject", on=f"{bucket}/*"))
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    iam.delete_role(RoleName=role)
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text) == (400, "MalformedPolicy")


NOT_JSON = "Policies must be valid JSON and the first byte must be '{'"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", NOT_JSON),
        (b"x", NOT_JSON),
        (b"[]", NOT_JSON),
        (b"{" * 10_000, NOT_JSON),
        (b'{"Version": "\xff"}', NOT_JSON),
        (b' {"Version": "2012-10-17"}', NOT_JSON),
        (b'{"Version": "2012-10-18", "Statement": []}', "The policy must contain a valid version string"),
        (b'{"Version": "2012-10-17"}', "Missing required field Statement"),
        (b'{"Id": "' + b"x" * 20_480 + b'"}', "Policy exceeds the maximum allowed document size."),
    ],
)
def test_bodies_that_are_no_policy(raw: RawClient, shared_bucket: str, body: bytes, message: str) -> None:
    answer = raw.request("PUT", f"/{shared_bucket}?policy", {}, body)
    assert (answer.refusal, answer.message.replace("&#39;", "'").replace("&apos;", "'")) == (
        (400, "MalformedPolicy"),
        message,
    )


def test_a_policy_of_20_kilobytes_is_taken(s3: Any, bucket: str) -> None:
    text = policy_text(statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*"))
    text = text[:-1] + ', "Id": "' + "x" * (20_480 - len(text) - 10) + '"}'
    assert len(text) == 20_480
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text


@pytest.mark.parametrize(
    ("principal", "condition", "is_public"),
    [
        (EVERYONE, {}, True),
        ({"AWS": "*"}, {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
        (EVERYONE, {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"AWS": "123456789012"}, {}, False),
    ],
)
def test_policy_status(
    raw: RawClient, s3: Any, bucket: str, principal: object, condition: dict[str, Any], is_public: bool
) -> None:
    put_policy(s3, bucket, statement("Allow", principal, "s3:GetObject", on=f"{bucket}/*", **condition))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is is_public


# In force


def test_users_of_the_account_are_let_in_by_name(s3: Any, bucket: str, user: TestUser) -> None:
    client = user.client("s3")
    assert refusal(client.get_object, Bucket=bucket, Key="k") == DENIED
    put_policy(s3, bucket, statement("Allow", {"AWS": user.arn}, "s3:GetObject", on=f"{bucket}/*"))
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(client.put_object, Bucket=bucket, Key="k", Body=b"x") == DENIED
    assert refusal(client.list_objects_v2, Bucket=bucket) == DENIED
    put_policy(s3, bucket, statement("Allow", {"AWS": user.account_id}, "s3:GetObject", on=f"{bucket}/*"))
    assert refusal(client.get_object, Bucket=bucket, Key="k") == DENIED


def test_a_deny_holds_for_everyone_but_says_why_only_at_home(
    gateway: Gateway, s3: Any, bucket: str, other: TestAccount
) -> None:
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:GetObject", on=f"{bucket}/secret"))
    s3.put_object(Bucket=bucket, Key="secret", Body=b"x")
    user = make_user(gateway, allow("s3:*"))
    client = user.client("s3")
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    message = error_of(client.get_object, Bucket=bucket, Key="secret")["Error"]["Message"]
    assert message == (
        f"User: {user.arn} is not authorized to perform: s3:GetObject on resource: "
        f'"arn:aws:s3:::{bucket}/secret" with an explicit deny in a resource-based policy'
    )
    stranger = error_of(other.client("s3").get_object, Bucket=bucket, Key="secret")
    assert (stranger["Error"]["Code"], stranger["Error"]["Message"]) == ("AccessDenied", "Access Denied")


def test_another_account_needs_the_bucket_policy_and_its_users_their_own(
    s3: Any, bucket: str, other: TestAccount
) -> None:
    root, plain, allowed = other.client("s3"), other.make_user(), other.make_user(allow("s3:*"))
    calls: list[Callable[..., Any]] = [
        root.get_object,
        plain.client("s3").get_object,
        allowed.client("s3").get_object,
    ]
    assert [refusal(call, Bucket=bucket, Key="k") for call in calls] == [DENIED] * 3
    put_policy(s3, bucket, statement("Allow", {"AWS": other.account_id}, "s3:GetObject", on=f"{bucket}/*"))
    assert root.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert allowed.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(plain.client("s3").get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(root.delete_object, Bucket=bucket, Key="k") == DENIED


def test_a_canonical_user_is_an_account(s3: Any, bucket: str, other: TestAccount) -> None:
    named = {"CanonicalUser": other.canonical_id}
    put_policy(s3, bucket, statement("Allow", named, "s3:GetObject", on=f"{bucket}/*"))
    assert other.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(other.make_user().client("s3").get_object, Bucket=bucket, Key="k") == DENIED


def test_what_is_missing_is_told_to_those_who_may_list(s3: Any, bucket: str, other: TestAccount) -> None:
    client, named = other.client("s3"), {"AWS": other.account_id}
    reads = statement("Allow", named, "s3:GetObject", on=f"{bucket}/*")
    put_policy(s3, bucket, reads)
    assert refusal(client.get_object, Bucket=bucket, Key="none") == DENIED
    put_policy(s3, bucket, reads, statement("Allow", named, "s3:ListBucket", on=bucket))
    assert refusal(client.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    put_policy(s3, bucket, statement("Allow", named, "s3:ListBucket", on=bucket))
    assert refusal(client.get_object, Bucket=bucket, Key="none") == DENIED
    under = statement("Allow", named, "s3:ListBucket", on=bucket, StringLike={"s3:prefix": "public/*"})
    put_policy(s3, bucket, reads, under)
    assert refusal(client.get_object, Bucket=bucket, Key="public/none") == (404, "NoSuchKey")
    assert refusal(client.head_object, Bucket=bucket, Key="private/none") == (403, "403")


def test_conditions(s3: Any, bucket: str, other: TestAccount) -> None:
    client, named = other.client("s3"), {"AWS": other.account_id}
    put_policy(
        s3,
        bucket,
        statement("Allow", named, "s3:ListBucket", on=bucket, StringEquals={"s3:prefix": "a/"}),
        statement(
            "Allow", named, "s3:PutObject", on=f"{bucket}/*", StringEquals={"s3:x-amz-server-side-encryption": "AES256"}
        ),
        statement("Allow", named, "s3:GetObject", on=f"{bucket}/*", IpAddress={"aws:SourceIp": "192.0.2.0/24"}),
    )
    client.list_objects_v2(Bucket=bucket, Prefix="a/")
    assert refusal(client.list_objects_v2, Bucket=bucket) == DENIED
    client.put_object(Bucket=bucket, Key="new", Body=b"x", ServerSideEncryption="AES256")
    assert refusal(client.put_object, Bucket=bucket, Key="new", Body=b"x") == DENIED
    assert refusal(client.get_object, Bucket=bucket, Key="k") == DENIED


def test_a_stranger_uploads_in_parts_and_may_abort_what_it_began(
    gateway: Gateway, s3: Any, bucket: str, other: TestAccount
) -> None:
    """User Guide, "Multipart upload API and permissions"."""
    client, named = other.client("s3"), {"AWS": other.account_id}
    put_policy(s3, bucket, statement("Allow", named, "s3:PutObject", "s3:ListMultipartUploadParts", on=f"{bucket}/*"))
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    target = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    etag = client.upload_part(**target, PartNumber=1, Body=b"part")["ETag"]
    assert [each["ETag"] for each in client.list_parts(**target)["Parts"]] == [etag]
    assert refusal(make_account(gateway).client("s3").abort_multipart_upload, **target) == DENIED
    begun = {**target, "UploadId": client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]}
    client.abort_multipart_upload(**begun)
    assert refusal(s3.list_parts, **begun) == (404, "NoSuchUpload")
    client.complete_multipart_upload(**target, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"part"


def test_each_object_of_a_bulk_delete_is_asked_for(s3: Any, bucket: str, other: TestAccount) -> None:
    named = {"AWS": other.account_id}
    put_policy(s3, bucket, statement("Allow", named, "s3:DeleteObject", on=f"{bucket}/theirs/*"))
    s3.put_object(Bucket=bucket, Key="theirs/a", Body=b"x")
    answer = other.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "theirs/a"}, {"Key": "k"}]})
    assert [each["Key"] for each in answer["Deleted"]] == ["theirs/a"]
    assert [(each["Key"], each["Code"], each["Message"]) for each in answer["Errors"]] == [
        ("k", "AccessDenied", "Access Denied")
    ]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_copies_between_accounts(s3: Any, bucket: str, other: TestAccount, size: int) -> None:
    client = other.client("s3")
    target = open_bucket(client)
    body = bytes(range(256)) * (size // 256 + 1)
    s3.put_object(Bucket=bucket, Key="big", Body=body, Metadata={"a": "b"}, ContentType="text/x")
    copy = {"Bucket": target, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "big"}}
    assert refusal(client.copy_object, **copy) == DENIED
    put_policy(s3, bucket, statement("Allow", {"AWS": other.account_id}, "s3:GetObject", on=f"{bucket}/*"))
    told = client.copy_object(**copy, ChecksumAlgorithm="SHA256")["CopyObjectResult"]
    s3.delete_object(Bucket=bucket, Key="big")
    found = client.get_object(Bucket=target, Key="copy", ChecksumMode="ENABLED")
    assert found["Body"].read() == body
    assert (found["ETag"], found["ChecksumSHA256"]) == (told["ETag"], told["ChecksumSHA256"])
    assert (found["Metadata"], found["ContentType"]) == ({"a": "b"}, "text/x")
    assert refusal(s3.get_object, Bucket=target, Key="copy") == DENIED


# Who may change it


def test_the_root_user_is_never_locked_out(s3: Any, bucket: str) -> None:
    locked = statement("Deny", EVERYONE, "s3:*", on=[bucket, f"{bucket}/*"])
    put_policy(s3, bucket, locked)
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(s3.list_objects_v2, Bucket=bucket) == DENIED
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"] == [locked]
    put_policy(s3, bucket, locked)
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_a_user_who_would_lose_the_policy_must_say_so(gateway: Gateway, s3: Any, bucket: str) -> None:
    client = make_user(gateway, allow("s3:*")).client("s3")
    text = policy_text(statement("Deny", EVERYONE, "s3:PutBucketPolicy", on=bucket))
    assert refusal(client.put_bucket_policy, Bucket=bucket, Policy=text) == DENIED
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")
    client.put_bucket_policy(Bucket=bucket, Policy=text, ConfirmRemoveSelfBucketAccess=True)
    assert refusal(client.put_bucket_policy, Bucket=bucket, Policy=text) == DENIED
    client.delete_bucket_policy(Bucket=bucket)


def test_the_policy_is_the_affair_of_the_buckets_account(s3: Any, bucket: str, other: TestAccount) -> None:
    client = other.client("s3")
    calls: list[tuple[str, dict[str, str]]] = [
        ("get_bucket_policy", {}),
        ("get_bucket_policy_status", {}),
        ("put_bucket_policy", {"Policy": policy_text(statement("Allow", EVERYONE, "s3:*", on=bucket))}),
        ("delete_bucket_policy", {}),
    ]
    for name, parameters in calls:
        assert refusal(getattr(client, name), Bucket=bucket, **parameters) == DENIED
    put_policy(s3, bucket, statement("Allow", {"AWS": other.account_id}, "s3:*", on=bucket))
    for name, parameters in calls:
        assert refusal(getattr(client, name), Bucket=bucket, **parameters) == (405, "MethodNotAllowed")
    assert client.get_bucket_versioning(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_new_policy_is_in_force_at_once_and_leaves_the_rest_of_the_configuration(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:GetObject", on=f"{bucket}/k"))
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:GetObject", on=f"{bucket}/other"))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
