"""Roles by boto3 and aws-cli: sessions for S3 and the KMS, in the role's account and from another, and their end."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.access import put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.sessions import client_with, policy_of
from tests.clients.users import TestUser, accounts, allow, deny, make_account, make_user
from tests.harness import Gateway, clean_environment, running_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("roles"), root="file", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    return make_user(gateway, allow("sts:*"))


@pytest.fixture
def bucket(s3: Any) -> str:
    name = make_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


ALL = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def make_role(iam: Any, trusted: str, *statements: dict[str, Any], path: str = "/", **more: Any) -> str:
    """A role that trusts an ARN, or account, and has one policy; its ARN."""
    name = f"role-{uuid.uuid4()}"
    document = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": ALL}
    role = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=policy_of(document), **more)["Role"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy_of(*statements))
    return str(role["Arn"])


def assume(sts: Any, arn: str, **parameters: Any) -> dict[str, str]:
    answer = sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "session", **parameters})
    credentials: dict[str, str] = answer["Credentials"]
    return credentials


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def read(gateway: Gateway, credentials: dict[str, str], bucket: str) -> bytes:
    body: bytes = client_with(gateway, "s3", credentials).get_object(Bucket=bucket, Key="k")["Body"].read()
    return body


def test_a_role_is_assumed_and_used_in_every_worker(gateway: Gateway, iam: Any, user: TestUser, bucket: str) -> None:
    arn = make_role(iam, user.arn, allow("s3:GetObject"), path="/a/path/")
    answer = user.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")
    assert answer["AssumedRoleUser"]["Arn"] == (f"arn:aws:sts::{user.account_id}:assumed-role/{name_of(arn)}/session")
    for _ in range(6):
        assert read(gateway, answer["Credentials"], bucket) == b"body"
        identity = client_with(gateway, "sts", answer["Credentials"]).get_caller_identity()
        assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
        assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    client = client_with(gateway, "s3", answer["Credentials"])
    assert refusal(client.put_object, Bucket=bucket, Key="no", Body=b"") == (403, "AccessDenied")
    assert "RoleLastUsed" in iam.get_role(RoleName=name_of(arn))["Role"]


def test_a_role_that_changes_changes_its_sessions(gateway: Gateway, iam: Any, user: TestUser, bucket: str) -> None:
    arn = make_role(iam, user.arn, allow("s3:GetObject"))
    name, credentials = name_of(arn), assume(user.client("sts"), arn)
    url = client_with(gateway, "s3", credentials, signature_version="s3v4").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"}
    )
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"body"
    iam.put_role_policy(RoleName=name, PolicyName="no", PolicyDocument=policy_of(deny("s3:*")))
    for _ in range(4):
        client = client_with(gateway, "s3", credentials)
        assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
    assert b"<Code>AccessDenied</Code>" in refused_url(url)
    for policy in ("p", "no"):
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    client = client_with(gateway, "s3", credentials)
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "InvalidAccessKeyId")
    assert b"<Code>InvalidAccessKeyId</Code>" in refused_url(url)
    document = policy_of({"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": ALL})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    assert refusal(client_with(gateway, "sts", credentials).get_caller_identity) == (403, "InvalidClientTokenId")


def refused_url(url: str) -> bytes:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=30)
    with caught.value as error:
        return error.read()


def test_a_role_of_another_account(gateway: Gateway, iam: Any, bucket: str) -> None:
    other = make_account(gateway)
    stranger = other.make_user()
    arn = make_role(iam, other.account_id, allow("s3:*"))
    sts = stranger.client("sts")
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="session") == (403, "AccessDenied")
    stranger.put_policy(allow("sts:AssumeRole", on=arn))
    credentials = assume(sts, arn)
    assert read(gateway, credentials, bucket) == b"body"
    client = client_with(gateway, "s3", credentials)
    owner = client.list_buckets()["Owner"]["ID"]
    assert owner == gateway.client("s3").list_buckets()["Owner"]["ID"]  # whose role it is, not who assumed it
    mine = f"made-{uuid.uuid4()}"
    client.create_bucket(Bucket=mine)
    assert mine in [each["Name"] for each in gateway.client("s3").list_buckets()["Buckets"]]
    absent = f"{arn}-not"
    message = error_of(sts.assume_role, RoleArn=absent, RoleSessionName="session")["Error"]["Message"]
    assert message == f"User: {stranger.arn} is not authorized to perform: sts:AssumeRole on resource: {absent}"


def test_root_users_assume_no_role(gateway: Gateway, iam: Any) -> None:
    arn = make_role(iam, accounts(gateway)[0])
    refused = error_of(gateway.client("sts").assume_role, RoleArn=arn, RoleSessionName="session")
    assert refused["Error"]["Message"] == "Roles may not be assumed by root accounts."
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_sessions_manage_iam_as_far_as_the_role_goes(gateway: Gateway, iam: Any, user: TestUser) -> None:
    arn = make_role(iam, user.arn, allow("iam:CreateUser", "iam:DeleteUser"))
    client = client_with(gateway, "iam", assume(user.client("sts"), arn))
    name = f"user-{uuid.uuid4()}"
    client.create_user(UserName=name)
    client.delete_user(UserName=name)
    assert refusal(client.list_users) == (403, "AccessDenied")
    assert refusal(client.get_user) == (400, "ValidationError")  # a session is no user


def test_a_boundary_holds_for_sessions(gateway: Gateway, iam: Any, user: TestUser, bucket: str) -> None:
    boundary = iam.create_policy(
        PolicyName=f"boundary-{uuid.uuid4()}", PolicyDocument=policy_of(allow("s3:ListBucket"))
    )["Policy"]["Arn"]
    arn = make_role(iam, user.arn, allow("s3:*"), PermissionsBoundary=boundary)
    client = client_with(gateway, "s3", assume(user.client("sts"), arn))
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    refused = error_of(client.get_object, Bucket=bucket, Key="k")
    assert refused["Error"]["Message"].endswith("because no permissions boundary allows the s3:GetObject action")


def test_bucket_policies_name_roles_and_sessions(gateway: Gateway, iam: Any, s3: Any, user: TestUser) -> None:
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    arn = make_role(iam, user.arn, path="/p/")
    limits = policy_of(allow("s3:ListBucket"))
    free, limited = assume(user.client("sts"), arn), assume(user.client("sts"), arn, Policy=limits)
    client = client_with(gateway, "s3", free)
    assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")
    put_policy(s3, bucket, statement("Allow", {"AWS": arn}, "s3:GetObject", on=f"{bucket}/*"))
    assert read(gateway, free, bucket) == b"body"
    refused = error_of(client_with(gateway, "s3", limited).get_object, Bucket=bucket, Key="k")
    assert refused["Error"]["Message"].endswith("because no session policy allows the s3:GetObject action")
    session = f"arn:aws:sts::{user.account_id}:assumed-role/{name_of(arn)}/session"
    put_policy(s3, bucket, statement("Allow", {"AWS": session}, "s3:GetObject", on=f"{bucket}/*"))
    assert read(gateway, limited, bucket) == b"body"  # what is given to the session itself
    other = assume(user.client("sts"), arn, RoleSessionName="another")
    assert refusal(client_with(gateway, "s3", other).get_object, Bucket=bucket, Key="k") == (403, "AccessDenied")


def test_the_kms_knows_roles(gateway: Gateway, iam: Any, s3: Any, user: TestUser) -> None:
    """Key policies and grants name the role; objects under the key are opened as the session."""
    kms, bucket = gateway.client("kms"), make_bucket(s3)
    arn = make_role(iam, user.arn, allow("s3:*"))
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": user.account_id}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "kms:GenerateDataKey", "Resource": "*"},
        ],
    }
    key = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["KeyId"]
    client = client_with(gateway, "s3", assume(user.client("sts"), arn))
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    client.put_object(Bucket=bucket, Key="sealed", Body=b"body", **sealed)
    assert refusal(client.get_object, Bucket=bucket, Key="sealed") == (403, "AccessDenied")
    kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Decrypt"])
    assert client.get_object(Bucket=bucket, Key="sealed")["Body"].read() == b"body"
    limited = assume(user.client("sts"), arn, Policy=policy_of(allow("s3:*")))
    client = client_with(gateway, "s3", limited)
    assert refusal(client.get_object, Bucket=bucket, Key="sealed") == (403, "AccessDenied")


def test_session_tags_choose_what_is_read(gateway: Gateway, iam: Any, s3: Any, user: TestUser) -> None:
    bucket = make_bucket(s3)
    for team in ("red", "blue"):
        s3.put_object(Bucket=bucket, Key=f"{team}/k", Body=team.encode())
    own = allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/team}}/*")
    arn = make_role(iam, user.arn, own, Tags=[{"Key": "team", "Value": "blue"}])
    red = assume(user.client("sts"), arn, Tags=[{"Key": "Team", "Value": "red"}])
    for credentials, mine, others in ((red, "red", "blue"), (assume(user.client("sts"), arn), "blue", "red")):
        client = client_with(gateway, "s3", credentials)
        assert client.get_object(Bucket=bucket, Key=f"{mine}/k")["Body"].read() == mine.encode()
        assert refusal(client.get_object, Bucket=bucket, Key=f"{others}/k") == (403, "AccessDenied")


def test_a_chain_of_roles(gateway: Gateway, iam: Any, user: TestUser, bucket: str) -> None:
    first = make_role(iam, user.arn, MaxSessionDuration=7200)
    second = make_role(iam, first, allow("s3:GetObject"), MaxSessionDuration=7200)
    sts = client_with(gateway, "sts", assume(user.client("sts"), first, SourceIdentity="alice", DurationSeconds=7200))
    answer = sts.assume_role(RoleArn=second, RoleSessionName="second")
    assert answer["SourceIdentity"] == "alice"
    assert read(gateway, answer["Credentials"], bucket) == b"body"
    refused = error_of(sts.assume_role, RoleArn=second, RoleSessionName="second", DurationSeconds=3601)
    assert refused["Error"]["Code"] == "ValidationError"


def test_a_profile_of_aws_cli_assumes_a_role(
    gateway: Gateway, iam: Any, user: TestUser, bucket: str, tmp_path: Path
) -> None:
    arn = make_role(iam, user.arn, allow("s3:GetObject", "s3:ListBucket"))
    config = tmp_path / "config"
    config.write_text(
        f"[default]\nregion = us-east-1\naws_access_key_id = {user.access_key_id}\n"
        f"aws_secret_access_key = {user.secret_access_key}\n"
        f"[profile reader]\nrole_arn = {arn}\nsource_profile = default\nregion = us-east-1\n"
    )
    environment = {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": gateway.endpoint_url, "HOME": str(tmp_path)}

    def aws(*arguments: str) -> str:
        return subprocess.run(
            ["aws", "--profile", "reader", *arguments],
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout

    assert aws("s3", "cp", f"s3://{bucket}/k", "-") == "body"
    told = json.loads(aws("sts", "get-caller-identity", "--output", "json"))
    assert told["Arn"].startswith(f"arn:aws:sts::{user.account_id}:assumed-role/{name_of(arn)}/")
