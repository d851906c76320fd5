"""The public access block of an account, by S3 Control: what is put, and what it keeps its buckets from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest

from tests.clients.access import EVERYONE, anonymous_client, open_bucket, policy_text, put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.raw import RawClient
from tests.clients.users import TestAccount, TestUser, allow, make_account
from tests.harness import Gateway, running_gateway

ALL = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
NONE = dict.fromkeys(ALL, False)
OPERATIONS = ("get_public_access_block", "put_public_access_block", "delete_public_access_block")


@pytest.fixture(scope="module")
def account(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


def control_of(who: Gateway | TestAccount | TestUser) -> Any:
    return sent_to_endpoint(who.client("s3control"))


def sent_to_endpoint(client: Any) -> Any:
    """The client, whose requests reach the gateway although their host, which is signed, is `ACCOUNT.127.0.0.1`: SDKs
    put the account before the endpoint's name, for which a resolver would need a wildcard."""

    def send_to_endpoint(request: AWSPreparedRequest, **_: Any) -> None:
        host = urlsplit(request.url).netloc
        request.headers["Host"] = host
        request.url = request.url.replace(host, host.partition(".")[2], 1)

    client.meta.events.register("before-send.s3-control", send_to_endpoint)
    return client


@pytest.fixture
def control(account: TestAccount) -> Iterator[Any]:
    client = control_of(account)
    yield client
    client.delete_public_access_block(AccountId=account.account_id)


def put(control: Any, account: TestAccount, **settings: bool) -> None:
    control.put_public_access_block(AccountId=account.account_id, PublicAccessBlockConfiguration={**NONE, **settings})


def test_what_is_put_is_told(control: Any, account: TestAccount) -> None:
    missing = error_of(control.get_public_access_block, AccountId=account.account_id)
    assert missing["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert missing["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration"
    for settings in (ALL, NONE, {**NONE, "RestrictPublicBuckets": True}):
        put(control, account, **settings)
        told = control.get_public_access_block(AccountId=account.account_id)
        assert told["PublicAccessBlockConfiguration"] == settings
    for _ in range(2):
        gone = control.delete_public_access_block(AccountId=account.account_id)
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(control.get_public_access_block, AccountId=account.account_id)[0] == 404


def test_a_public_policy_counts_for_nobody_else_and_cannot_be_put(
    gateway: Gateway, control: Any, account: TestAccount, s3: Any
) -> None:
    own = account.client("s3")
    bucket = open_bucket(own)
    policy = statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*")
    put_policy(own, bucket, policy)
    own.put_object(Bucket=bucket, Key="k")
    for client in (s3, anonymous_client(gateway)):
        client.get_object(Bucket=bucket, Key="k")
        put(control, account, RestrictPublicBuckets=True)
        assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
        put(control, account, BlockPublicPolicy=True)
        client.get_object(Bucket=bucket, Key="k")
    assert refusal(own.put_bucket_policy, Bucket=bucket, Policy=policy_text(policy)) == (403, "AccessDenied")
    own.get_object(Bucket=bucket, Key="k")
    assert refusal(own.get_public_access_block, Bucket=bucket)[0] == 404  # that of the bucket itself


def test_public_acls_count_for_nobody_and_cannot_be_put(gateway: Gateway, control: Any, account: TestAccount) -> None:
    own, nobody = account.client("s3"), anonymous_client(gateway)
    bucket = open_bucket(own)
    own.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    own.put_object(Bucket=bucket, Key="k", ACL="public-read")
    nobody.get_object(Bucket=bucket, Key="k")
    put(control, account, IgnorePublicAcls=True)
    assert refusal(nobody.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
    own.put_object(Bucket=bucket, Key="k", ACL="public-read")
    put(control, account, BlockPublicAcls=True)
    nobody.get_object(Bucket=bucket, Key="k")
    refused: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (own.put_object, {"Key": "k"}),
        (own.put_object_acl, {"Key": "k"}),
        (own.put_bucket_acl, {}),
    ]
    for call, parameters in refused:
        assert refusal(call, Bucket=bucket, ACL="public-read", **parameters) == (403, "AccessDenied")
    own.put_bucket_acl(Bucket=bucket, ACL="private")


def test_the_buckets_own_block_counts_beside(gateway: Gateway, control: Any, account: TestAccount, s3: Any) -> None:
    own = account.client("s3")
    bucket = open_bucket(own)
    put_policy(own, bucket, statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*"))
    own.put_object(Bucket=bucket, Key="k")
    put(control, account, **NONE)
    s3.get_object(Bucket=bucket, Key="k")
    own.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={**NONE, "RestrictPublicBuckets": True})
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")


def test_rights(gateway: Gateway, control: Any, account: TestAccount) -> None:
    """Another account's block is nobody's business; one's own is a matter of two actions."""
    other = make_account(gateway)
    nobody, reader = account.make_user(), account.make_user(allow("s3:GetAccountPublicAccessBlock"))
    writer = account.make_user(allow("s3:PutAccountPublicAccessBlock"))
    put(control, account, **ALL)
    assert _allowed(control_of(other), account) == set()
    assert _allowed(control_of(nobody), account) == set()
    assert _allowed(control_of(reader), account) == {"get_public_access_block"}
    assert _allowed(control_of(writer), account) == {"put_public_access_block", "delete_public_access_block"}


def _allowed(client: Any, account: TestAccount) -> set[str]:
    found = set()
    for name in OPERATIONS:
        parameters = {"PublicAccessBlockConfiguration": ALL} if name == "put_public_access_block" else {}
        try:
            getattr(client, name)(AccountId=account.account_id, **parameters)
            found.add(name)
        except client.exceptions.ClientError as error:
            assert (error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]) == (
                403,
                "AccessDenied",
            )
    return found


PATH = "/v20180820/configuration/publicAccessBlock"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "answer"),
    [
        ("GET", PATH, {"x-amz-account-id": "12345"}, b"", (400, "InvalidRequest")),
        ("PUT", PATH, {}, b"<x/>", (400, "MalformedXML")),
        ("PUT", PATH, {}, b"", (400, "MalformedXML")),
        ("POST", PATH, {}, b"", (501, "NotImplemented")),
        ("GET", "/v20180820/accesspoint", {}, b"", (501, "NotImplemented")),
        ("GET", "/v20180820/", {}, b"", (501, "NotImplemented")),
    ],
)
def test_requests_that_are_none(
    gateway: Gateway, raw: RawClient, method: str, path: str, headers: dict[str, str], body: bytes, answer: Any
) -> None:
    account_id = gateway.client("sts").get_caller_identity()["Account"]
    response = raw.request(method, path, {"x-amz-account-id": account_id, **headers}, body)
    assert response.refusal == answer
    assert b"<ErrorResponse><Error>" in response.body


def test_nobody_who_signed_nothing(gateway: Gateway, raw: RawClient) -> None:
    account_id = gateway.client("sts").get_caller_identity()["Account"]
    for method in ("GET", "PUT", "DELETE"):
        response = raw.send(method, PATH, {"host": raw.host, "x-amz-account-id": account_id})
        assert response.refusal == (403, "AccessDenied")


def test_a_bucket_of_that_name_is_a_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="v20180820")
    s3.put_object(Bucket="v20180820", Key="configuration/publicAccessBlock", Body=b"x")
    assert s3.get_object(Bucket="v20180820", Key="configuration/publicAccessBlock")["Body"].read() == b"x"


def test_in_force_in_every_worker_when_it_is_answered(tmp_path: Path) -> None:
    with running_gateway(tmp_path, workers=2) as gateway:
        own = gateway.client("s3")
        account_id = gateway.client("sts").get_caller_identity()["Account"]
        control = control_of(gateway)
        bucket = open_bucket(own)
        put_policy(own, bucket, statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*"))
        own.put_object(Bucket=bucket, Key="k")
        strangers = [anonymous_client(gateway) for _ in range(12)]  # each with a connection of its own
        for stranger in strangers:
            stranger.get_object(Bucket=bucket, Key="k")
        for _ in range(3):
            control.put_public_access_block(AccountId=account_id, PublicAccessBlockConfiguration=ALL)
            for stranger in strangers:
                assert refusal(stranger.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
            control.delete_public_access_block(AccountId=account_id)
            for stranger in strangers:
                stranger.get_object(Bucket=bucket, Key="k")
