"""GetSessionToken and GetFederationToken by boto3 and aws-cli, on two workers and over a restart."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.access import put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.sessions import client_with, policy_of
from tests.clients.test_post_object import post
from tests.clients.users import TestUser, accounts, allow, deny, make_user
from tests.harness import Gateway, clean_environment, running_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("sessions"), root="file", workers=2) as made:
        yield made


@pytest.fixture
def s3(gateway: Gateway) -> Any:
    """Made anew for each test: after a restart the gateway has another port."""
    return gateway.client("s3")


@pytest.fixture(scope="module")
def bucket(gateway: Gateway) -> str:
    s3 = gateway.client("s3")
    name = make_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


@pytest.fixture
def user(gateway: Gateway) -> TestUser:
    return make_user(gateway, allow("s3:*", "sts:GetFederationToken", "sts:TagSession"))


def read_often(gateway: Gateway, credentials: dict[str, str], bucket: str) -> None:
    """Each client has connections of its own, which spread over the workers."""
    for _ in range(6):
        client = client_with(gateway, "s3", credentials)
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_a_session_is_good_in_every_worker_and_after_a_restart(gateway: Gateway, bucket: str, user: TestUser) -> None:
    credentials = user.client("sts").get_session_token()["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    read_often(gateway, credentials, bucket)
    identity = client_with(gateway, "sts", credentials).get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (user.arn, user.account_id)
    gateway.stop()
    gateway.start()
    read_often(gateway, credentials, bucket)


def test_what_the_user_may_do_is_asked_now(gateway: Gateway, bucket: str, user: TestUser) -> None:
    credentials = user.client("sts").get_session_token()["Credentials"]
    read_often(gateway, credentials, bucket)
    user.put_policy(deny("s3:GetObject"), name="no")
    for _ in range(6):
        client = client_with(gateway, "s3", credentials)
        assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
    user.delete_policy("no")
    read_often(gateway, credentials, bucket)
    user.delete_policy()
    iam = gateway.client("iam")
    iam.delete_access_key(UserName=user.name, AccessKeyId=user.access_key_id)
    iam.delete_user(UserName=user.name)
    client = client_with(gateway, "s3", credentials)
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "InvalidAccessKeyId")
    assert refusal(client_with(gateway, "sts", credentials).get_caller_identity) == (403, "InvalidClientTokenId")
    assert refusal(client_with(gateway, "kms", credentials).list_keys) == (400, "UnrecognizedClientException")


def test_a_session_is_of_its_own_token(gateway: Gateway, bucket: str, user: TestUser) -> None:
    one = user.client("sts").get_session_token()["Credentials"]
    two = user.client("sts").get_session_token()["Credentials"]
    assert one["SessionToken"] != two["SessionToken"]
    for mixed in ({**one, "SessionToken": two["SessionToken"]}, {**one, "SessionToken": one["SessionToken"] + "A"}):
        client = client_with(gateway, "s3", mixed)
        refused = error_of(client.get_object, Bucket=bucket, Key="k")
        assert refused["Error"]["Code"] == "InvalidToken"
        assert refused["Error"]["Message"] == "The provided token is malformed or otherwise invalid."
    long_term = {"AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret_access_key}
    client = client_with(gateway, "s3", {**long_term, "SessionToken": one["SessionToken"]})
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (400, "InvalidToken")
    client = client_with(gateway, "s3", {**one, "SecretAccessKey": two["SecretAccessKey"]})
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_urls(gateway: Gateway, bucket: str, user: TestUser, version: str) -> None:
    credentials = user.client("sts").get_session_token()["Credentials"]
    signer = client_with(gateway, "s3", credentials, signature_version=version)
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "security-token" in url.lower()
    if version == "s3":  # not taken unless configured
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=30)
        refused.value.close()
        assert refused.value.code == 400
        return
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"body"
    user.put_policy(deny("s3:GetObject"), name="no")  # the signer's rights at the time of use
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=30)
    with refused.value as error:
        assert b"<Code>AccessDenied</Code>" in error.read()


def test_a_presigned_url_tells_whose_session_signed_it(gateway: Gateway, user: TestUser) -> None:
    """As tools prove who they are to others (Kubernetes, Vault): the other one sends the URL."""
    credentials = user.client("sts").get_session_token()["Credentials"]
    url = client_with(gateway, "sts", credentials).generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert f"<Arn>{user.arn}</Arn>".encode() in answer.read()


def test_a_browser_form(gateway: Gateway, bucket: str, s3: Any, user: TestUser) -> None:
    credentials = user.client("sts").get_session_token()["Credentials"]
    signer = client_with(gateway, "s3", credentials, signature_version="s3v4")
    form = signer.generate_presigned_post(bucket, "formed")
    assert form["fields"]["x-amz-security-token"] == credentials["SessionToken"]
    raw = RawClient(gateway)
    assert post(raw, bucket, form["fields"]).status == 204
    found = s3.head_object(Bucket=bucket, Key="formed")
    assert found["Metadata"] == {}
    changed = {**form["fields"], "x-amz-security-token": credentials["SessionToken"][:-4] + "AAAA"}
    assert post(raw, bucket, changed).refusal == (400, "InvalidToken")


def test_aws_cli_uses_a_session(gateway: Gateway, bucket: str, user: TestUser) -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": user.access_key_id,
        "AWS_SECRET_ACCESS_KEY": user.secret_access_key,
        "AWS_ENDPOINT_URL": gateway.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    told = aws(environment, "sts", "get-session-token", "--output", "json")
    credentials = json.loads(told)["Credentials"]
    environment |= {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
    assert aws(environment, "s3", "cp", f"s3://{bucket}/k", "-") == "body"


def aws(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        ["aws", *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def test_a_federated_user(gateway: Gateway, bucket: str, s3: Any, user: TestUser) -> None:
    sts = user.client("sts")
    answer = sts.get_federation_token(Name="bob", Policy=policy_of(allow("s3:GetObject")))
    federated = answer["FederatedUser"]
    assert federated["Arn"] == f"arn:aws:sts::{user.account_id}:federated-user/bob"
    credentials = answer["Credentials"]
    identity = client_with(gateway, "sts", credentials).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (federated["Arn"], federated["FederatedUserId"])
    client = client_with(gateway, "s3", credentials)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    refused = error_of(client.put_object, Bucket=bucket, Key="no", Body=b"")
    assert refused["Error"]["Message"].endswith("because no session policy allows the s3:PutObject action")
    assert refusal(client_with(gateway, "iam", credentials).list_users) == (403, "InvalidClientTokenId")
    assert refusal(client_with(gateway, "sts", credentials).get_session_token) == (403, "AccessDenied")


def test_a_bucket_policy_names_a_federated_user(gateway: Gateway, s3: Any, user: TestUser) -> None:
    """What is given to it by name needs no session policy."""
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    credentials = user.client("sts").get_federation_token(Name="eve")["Credentials"]
    client = client_with(gateway, "s3", credentials)
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
    arn = f"arn:aws:sts::{user.account_id}:federated-user/eve"
    put_policy(s3, bucket, statement("Allow", {"AWS": arn}, "s3:GetObject", on=f"{bucket}/*"))
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_session_tags_are_the_principals(gateway: Gateway, bucket: str, user: TestUser) -> None:
    red = {**allow("s3:GetObject"), "Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}}
    for value, is_allowed in (("red", True), ("blue", False)):
        answer = user.client("sts").get_federation_token(
            Name="bob", Policy=policy_of(red), Tags=[{"Key": "Team", "Value": value}]
        )
        client = client_with(gateway, "s3", answer["Credentials"])
        if is_allowed:
            assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
        else:
            assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")


def test_the_kms_knows_sessions(gateway: Gateway, user: TestUser) -> None:
    root = gateway.client("sts").get_session_token()["Credentials"]
    kms = client_with(gateway, "kms", root)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    user.put_policy(allow("kms:*"), name="kms")
    own = client_with(gateway, "kms", user.client("sts").get_session_token()["Credentials"])
    assert own.decrypt(CiphertextBlob=blob)["Plaintext"] == b"p"
    without_mfa = {**deny("kms:Decrypt"), "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}
    user.put_policy(without_mfa, name="mfa")
    assert refusal(own.decrypt, CiphertextBlob=blob) == (400, "AccessDeniedException")
    assert user.client("kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"p"  # no session, no such key


def test_the_account_of_a_key(gateway: Gateway, user: TestUser) -> None:
    sts = gateway.client("sts")
    temporary = user.client("sts").get_session_token()["Credentials"]["AccessKeyId"]
    for named in (temporary, user.access_key_id):
        assert sts.get_access_key_info(AccessKeyId=named)["Account"] == accounts(gateway)[0]


def test_what_is_logged_has_no_token(gateway: Gateway, bucket: str, user: TestUser) -> None:
    credentials = user.client("sts").get_session_token()["Credentials"]
    signer = client_with(gateway, "s3", credentials, signature_version="s3v4")
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    with urllib.request.urlopen(url, timeout=30) as answer:
        answer.read()
    client = client_with(gateway, "s3", {**credentials, "SecretAccessKey": "wrong"})
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "SignatureDoesNotMatch")
    logged = gateway.log_path.read_text()
    assert credentials["SessionToken"][:40] not in logged
    assert credentials["SecretAccessKey"] not in logged
