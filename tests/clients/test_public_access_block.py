"""The public access block of buckets: kept, told, and in force against public policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.access import EVERYONE, anonymous_client, open_bucket, policy_text, put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.users import TestAccount, make_account
from tests.harness import Gateway

DENIED = (403, "AccessDenied")
ALL = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
NONE = dict.fromkeys(ALL, False)


@pytest.fixture(scope="module")
def other(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


@pytest.fixture
def opened(s3: Any) -> str:
    name = open_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


def block(s3: Any, bucket: str, **members: bool) -> None:
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=members)


def told(s3: Any, bucket: str) -> dict[str, bool]:
    return dict(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])


def public(bucket: str) -> dict[str, Any]:
    return statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*")


def test_a_new_bucket_blocks_everything(s3: Any, bucket: str) -> None:
    assert told(s3, bucket) == ALL
    response = error_of(s3.put_bucket_policy, Bucket=bucket, Policy=policy_text(public(bucket)))
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == DENIED
    assert response["Error"]["Message"].endswith(
        f'is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{bucket}" because public '
        "policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."
    )
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")


def test_a_block_is_put_told_and_deleted(s3: Any, bucket: str) -> None:
    for members in (NONE, {**NONE, "IgnorePublicAcls": True}, ALL):
        block(s3, bucket, **members)
        assert told(s3, bucket) == members
    block(s3, bucket, RestrictPublicBuckets=True)
    assert told(s3, bucket) == {**NONE, "RestrictPublicBuckets": True}
    for _ in range(2):
        assert s3.delete_public_access_block(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_public_access_block, Bucket=bucket) == (404, "NoSuchPublicAccessBlockConfiguration")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Other/>",
        b"<PublicAccessBlockConfiguration><Else>true</Else></PublicAccessBlockConfiguration>",
        b"<PublicAccessBlockConfiguration><BlockPublicAcls>x</BlockPublicAcls></PublicAccessBlockConfiguration>",
    ],
)
def test_malformed_documents(raw: RawClient, s3: Any, bucket: str, body: bytes) -> None:
    assert raw.request("PUT", f"/{bucket}?publicAccessBlock", {}, body).refusal == (400, "MalformedXML")
    assert told(s3, bucket) == ALL


def test_policies_that_are_not_public_are_taken(s3: Any, bucket: str, other: TestAccount) -> None:
    put_policy(s3, bucket, statement("Allow", {"AWS": other.account_id}, "s3:GetObject", on=f"{bucket}/*"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    assert other.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_blocking_policies_leaves_those_that_are_there(gateway: Gateway, s3: Any, opened: str) -> None:
    put_policy(s3, opened, public(opened))
    block(s3, opened, BlockPublicPolicy=True)
    assert anonymous_client(gateway).get_object(Bucket=opened, Key="k")["Body"].read() == b"body"
    assert refusal(s3.put_bucket_policy, Bucket=opened, Policy=policy_text(public(opened))) == DENIED


def test_restricting_a_bucket_shuts_strangers_out_of_a_public_policy(
    gateway: Gateway, s3: Any, opened: str, other: TestAccount
) -> None:
    client, nobody = other.client("s3"), anonymous_client(gateway)
    named = statement("Allow", {"AWS": other.account_id}, "s3:GetObject", on=f"{opened}/*")
    put_policy(s3, opened, public(opened), named)
    block(s3, opened, RestrictPublicBuckets=True)
    for reader in (client, nobody):
        assert refusal(reader.get_object, Bucket=opened, Key="k") == DENIED
    assert s3.get_object(Bucket=opened, Key="k")["Body"].read() == b"body"
    put_policy(s3, opened, named)
    assert client.get_object(Bucket=opened, Key="k")["Body"].read() == b"body"
    block(s3, opened)
    put_policy(s3, opened, public(opened))
    assert nobody.get_object(Bucket=opened, Key="k")["Body"].read() == b"body"


def test_denials_of_a_restricted_policy_stay(s3: Any, opened: str) -> None:
    put_policy(s3, opened, public(opened), statement("Deny", EVERYONE, "s3:GetObject", on=f"{opened}/k"))
    block(s3, opened, RestrictPublicBuckets=True)
    assert refusal(s3.get_object, Bucket=opened, Key="k") == DENIED


@pytest.fixture(scope="module")
def private_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(
        tmp_path_factory.mktemp("private") / "data",
        root="file",
        environment={"SEALGATE_ACCESS_BLOCK_PUBLIC": "true", "SEALGATE_ACCESS_NEW_BUCKETS_BLOCK_PUBLIC": "false"},
    )
    made.init().start()
    yield made
    made.stop()


def test_an_installation_may_block_everything_for_all(private_gateway: Gateway) -> None:
    s3 = private_gateway.client("s3")
    bucket = make_bucket(s3)
    assert refusal(s3.get_public_access_block, Bucket=bucket) == (404, "NoSuchPublicAccessBlockConfiguration")
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=policy_text(public(bucket))) == DENIED
    block(s3, bucket)
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=policy_text(public(bucket))) == DENIED
