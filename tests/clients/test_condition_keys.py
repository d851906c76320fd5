"""Each condition key of S3 that is served, from outside: a request that a policy lets in by it, and one it keeps out.

That these are all of them is seen to by `tests/test_condition_keys.py`.
"""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.access import policy_text, take_customer_keys
from tests.clients.conftest import make_bucket
from tests.clients.users import TestUser, make_user
from tests.harness import REGION, Gateway

Ask = Callable[[Any, str], object]
"""Sends a request by the user's client to a bucket."""


def ask(operation: str, **parameters: Any) -> Ask:
    """A request about the key `k` where the operation takes one."""

    def send(client: Any, bucket: str) -> object:
        given = {name: value(bucket) if callable(value) else value for name, value in parameters.items()}
        name = client.meta.method_to_api_mapping[operation]
        if "Key" in client.meta.service_model.operation_model(name).input_shape.members:
            given.setdefault("Key", "k")
        return getattr(client, operation)(Bucket=bucket, **given)

    return send


@dataclass(frozen=True, slots=True)
class Case:
    """The user may do `actions` where the key compares with `value`, and `beside` anyhow.

    `lets_in` is a request that meets it. `keeps_out` does not; where every request has the same, None, and `other` is a
    value that none has. `name` is the member of a family.
    """

    actions: tuple[str, ...]
    value: str
    lets_in: Ask
    keeps_out: Ask | None = None
    operator: str = "StringEquals"
    beside: tuple[str, ...] = ()
    name: str = ""
    other: str = ""
    acls: bool = False


GRANTEE = 'uri="http://acs.amazonaws.com/groups/s3/LogDelivery"'
TWICE = f"{GRANTEE}, {GRANTEE}"
PUT = ask("put_object", Body=b"x")


def copy(**more: Any) -> Ask:
    return ask("copy_object", Key="copy", CopySource=lambda bucket: {"Bucket": bucket, "Key": "k"}, **more)


def by_grant(parameter: str) -> Case:
    return Case(
        ("s3:PutObject", "s3:PutObjectAcl"),
        GRANTEE,
        ask("put_object", Body=b"x", **{parameter: GRANTEE}),
        ask("put_object", Body=b"x", **{parameter: TWICE}),
        acls=True,
    )


def create(**more: Any) -> Ask:
    """CreateBucket of a bucket of a new name."""

    def send(client: Any, _bucket: str) -> object:
        return client.create_bucket(Bucket=f"test-{uuid.uuid4()}", **more)

    return send


def presigned(client: Any, bucket: str) -> object:
    """GetObject by a presigned URL."""
    url = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        with error:
            raise ClientError({"Error": {"Code": "AccessDenied" if error.code == 403 else "?"}}, "GetObject") from None


GET = ask("get_object")

LIST_BY = "list_objects_v2"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MD5_OF_BODY = "841a2d689ad86bd1611447453c22c6fc"
SEALED = "s3:x-amz-server-side-encryption"
COPIES = ("s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging")
PUT_TAGGED = ("s3:PutObject", "s3:PutObjectTagging")
PUT_WITH_ACL = ("s3:PutObject", "s3:PutObjectAcl")


def put(**more: Any) -> Ask:
    return ask("put_object", **{"Body": b"x", **more})


CASES: dict[str, Case] = {
    "aws:PrincipalTag/": Case(("s3:GetObject",), "red", GET, name="aws:PrincipalTag/team", other="blue"),
    "aws:RequestedRegion": Case(("s3:GetObject",), REGION, GET, other="mars-1"),
    "aws:SourceIp": Case(("s3:GetObject",), "127.0.0.0/8", GET, operator="IpAddress", other="192.0.2.0/24"),
    "aws:UserAgent": Case(("s3:GetObject",), "Boto3/*", GET, operator="StringLike", other="aws-cli/*"),
    "aws:SecureTransport": Case(("s3:GetObject",), "false", GET, operator="Bool", other="true"),
    "s3:ExistingObjectTag/": Case(
        ("s3:GetObject",), "red", GET, ask("get_object", Key="blue"), name="s3:ExistingObjectTag/team"
    ),
    "s3:ObjectCreationOperation": Case(("s3:PutObject",), "true", PUT, ask("create_multipart_upload"), operator="Bool"),
    "s3:RequestObjectTag/": Case(
        PUT_TAGGED, "red", put(Tagging="team=red"), put(Tagging="team=blue"), name="s3:RequestObjectTag/team"
    ),
    "s3:RequestObjectTagKeys": Case(
        PUT_TAGGED,
        "team",
        put(Tagging="team=red"),
        put(Tagging="team=red&stage=test"),
        operator="ForAllValues:StringEquals",
    ),
    "s3:ResourceAccount": Case(("s3:GetObject",), "${ACCOUNT}", GET, other="000000000001"),
    "s3:TlsVersion": Case(("s3:GetObject",), "true", GET, operator="Null", other="false"),
    "s3:authType": Case(("s3:GetObject",), "REST-HEADER", GET, presigned),
    "s3:delimiter": Case(("s3:ListBucket",), "/", ask(LIST_BY, Delimiter="/"), ask(LIST_BY, Delimiter="-")),
    "s3:if-match": Case(
        ("s3:PutObject",), "false", put(IfMatch=f'"{MD5_OF_BODY}"'), PUT, operator="Null", beside=("s3:GetObject",)
    ),
    "s3:if-none-match": Case(("s3:PutObject",), "*", put(Key="new", IfNoneMatch="*"), put(Key="new")),
    "s3:locationconstraint": Case(
        ("s3:CreateBucket",),
        "true",
        create(),
        create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}),
        operator="Null",
    ),
    "s3:max-keys": Case(
        ("s3:ListBucket",), "10", ask(LIST_BY, MaxKeys=10), ask(LIST_BY, MaxKeys=11), operator="NumericLessThanEquals"
    ),
    "s3:prefix": Case(("s3:ListBucket",), "home/", ask(LIST_BY, Prefix="home/"), ask(LIST_BY, Prefix="other/")),
    "s3:signatureAge": Case(("s3:GetObject",), "600000", GET, operator="NumericLessThan", other="0"),
    "s3:signatureversion": Case(("s3:GetObject",), "AWS4-HMAC-SHA256", GET, other="AWS"),
    "s3:versionid": Case(
        ("s3:GetObjectVersion",), "null", ask("get_object", VersionId="null"), ask("get_object", VersionId="0" * 32)
    ),
    "s3:x-amz-acl": Case(
        PUT_WITH_ACL, "bucket-owner-full-control", put(ACL="bucket-owner-full-control"), put(ACL="private")
    ),
    "s3:x-amz-bucket-namespace": Case(("s3:CreateBucket",), "global", create(BucketNamespace="global"), create()),
    "s3:x-amz-content-sha256": Case(("s3:GetObject",), EMPTY_SHA256, GET, other="UNSIGNED-PAYLOAD"),
    "s3:x-amz-copy-source": Case(("s3:PutObject",), "${BUCKET}/k", copy(), PUT, beside=COPIES),
    "s3:x-amz-grant-full-control": by_grant("GrantFullControl"),
    "s3:x-amz-grant-read": by_grant("GrantRead"),
    "s3:x-amz-grant-read-acp": by_grant("GrantReadACP"),
    "s3:x-amz-grant-write": Case(
        ("s3:PutBucketAcl",),
        GRANTEE,
        ask("put_bucket_acl", GrantWrite=GRANTEE),
        ask("put_bucket_acl", GrantWrite=TWICE),
        acls=True,
    ),
    "s3:x-amz-grant-write-acp": by_grant("GrantWriteACP"),
    "s3:x-amz-metadata-directive": Case(
        ("s3:PutObject",),
        "REPLACE",
        copy(MetadataDirective="REPLACE"),
        copy(MetadataDirective="COPY"),
        beside=COPIES,
    ),
    "s3:x-amz-object-ownership": Case(
        ("s3:CreateBucket",),
        "BucketOwnerEnforced",
        create(ObjectOwnership="BucketOwnerEnforced"),
        create(),
        beside=("s3:PutBucketOwnershipControls",),
    ),
    SEALED: Case(("s3:PutObject",), "AES256", put(ServerSideEncryption="AES256"), put(ServerSideEncryption="aws:kms")),
    f"{SEALED}-aws-kms-key-id": Case(
        ("s3:PutObject",),
        "true",
        PUT,
        put(ServerSideEncryption="aws:kms", SSEKMSKeyId=f"arn:aws:kms:{REGION}:123456789012:key/{uuid.uuid4()}"),
        operator="Null",
    ),
    f"{SEALED}-customer-algorithm": Case(
        ("s3:PutObject",), "true", PUT, put(SSECustomerAlgorithm="AES256", SSECustomerKey="0" * 32), operator="Null"
    ),
    "s3:x-amz-storage-class": Case(
        ("s3:PutObject",), "STANDARD_IA", put(StorageClass="STANDARD_IA"), put(StorageClass="STANDARD")
    ),
    "s3:x-amz-website-redirect-location": Case(
        ("s3:PutObject",), "/there", put(WebsiteRedirectLocation="/there"), put(WebsiteRedirectLocation="/elsewhere")
    ),
}
"""By key; those of a family by its beginning."""


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


@pytest.fixture(scope="module")
def user(gateway: Gateway, iam: Any) -> TestUser:
    made = make_user(gateway)
    iam.tag_user(UserName=made.name, Tags=[{"Key": "team", "Value": "red"}])
    return made


@pytest.mark.parametrize("key", CASES)
def test_keys(s3: Any, iam: Any, user: TestUser, key: str) -> None:
    case, bucket = CASES[key], take_customer_keys(s3, make_bucket(s3))
    if case.acls:
        s3.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        )
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", Tagging="team=red")
    s3.put_object(Bucket=bucket, Key="blue", Body=b"body", Tagging="team=blue")

    def allow(value: str) -> Any:
        value = value.replace("${BUCKET}", bucket).replace("${ACCOUNT}", user.account_id)
        statements = [
            {"Effect": "Allow", "Action": list(actions), "Resource": "*", "Condition": condition}
            for actions, condition in (
                (case.actions, {case.operator: {case.name or key: value}}),
                (case.beside, {}),
            )
            if actions
        ]
        iam.put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=policy_text(*statements))
        return user.client("s3", signature_version="s3v4")

    case.lets_in(allow(case.value), bucket)
    keeps_out = case.keeps_out or case.lets_in
    client = allow(case.other if case.keeps_out is None else case.value)
    with pytest.raises(ClientError) as refused:
        keeps_out(client, bucket)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.put_user_policy(UserName=user.name, PolicyName="p", PolicyDocument=policy_text(everything))
    try:
        keeps_out(user.client("s3"), bucket)
    except ClientError as other:  # whatever else is wrong with it, it is not the policy
        assert other.response["Error"]["Code"] != "AccessDenied" or "kms:" in str(other)
