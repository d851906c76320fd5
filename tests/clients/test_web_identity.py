"""Identity tokens in place of credentials: an issuer of our own over a real socket, boto3, and aws-cli's own way."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.sessions import client_with, policy_of
from tests.clients.users import allow
from tests.harness import REGION, Gateway, clean_environment
from tests.oidc_issuer import AUDIENCE, SUBJECT, Issuer, Signer, running_issuer

FILED = "https://filed.example.com"
FILED_SIGNER = Signer("PS384", "filed")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer(Signer("ES256")) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("web")
    setting = {"SEALGATE_WEBIDENTITY_LOOPBACK": "true"}
    gateway = Gateway(directory / "data", root="file", workers=2, environment=setting).init()
    (gateway.data / "filed.json").write_bytes(FILED_SIGNER.key_set())
    with (gateway.data / "sealgate.toml").open("a") as config:
        config.write(f'\n[[issuer]]\nurl = "{FILED}"\nkeys_file = "filed.json"\n')
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


@pytest.fixture(scope="module")
def provider(iam: Any, issuer: Issuer) -> str:
    made = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE], ThumbprintList=["a" * 40])
    return str(made["OpenIDConnectProviderArn"])


@pytest.fixture
def sts(gateway: Gateway) -> Any:
    """A client without any credentials."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return boto3.client("sts", endpoint_url=gateway.endpoint_url, region_name=REGION, config=config)


@pytest.fixture(scope="module")
def bucket(gateway: Gateway) -> str:
    s3 = gateway.client("s3")
    name = make_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


def make_role(iam: Any, provider: str, **condition: Any) -> str:
    name = f"role-{uuid.uuid4()}"
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]
    trusted = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": actions, "Condition": condition}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy_of(trusted))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy_of(allow("s3:GetObject", "s3:ListBucket")))
    return str(role["Arn"])


def assume(sts: Any, arn: str, token: str, **parameters: Any) -> Any:
    return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="app", WebIdentityToken=token, **parameters)


def code(sts: Any, arn: str, token: str, **parameters: Any) -> Any:
    asked = {"RoleArn": arn, "RoleSessionName": "app", "WebIdentityToken": token, **parameters}
    return refusal(sts.assume_role_with_web_identity, **asked)


def test_a_token_opens_a_bucket(
    gateway: Gateway, iam: Any, sts: Any, provider: str, issuer: Issuer, bucket: str
) -> None:
    only = {"StringEquals": {f"{issuer.name}:aud": AUDIENCE, f"{issuer.name}:sub": SUBJECT}}
    arn = make_role(iam, provider, **only)
    answer = assume(sts, arn, issuer.token())
    assert (answer["Provider"], answer["Audience"]) == (issuer.url, AUDIENCE)
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    for _ in range(4):
        client = client_with(gateway, "s3", answer["Credentials"])
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    assert refusal(client.put_object, Bucket=bucket, Key="no", Body=b"") == (403, "AccessDenied")
    identity = client_with(gateway, "sts", answer["Credentials"]).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert code(sts, arn, issuer.token(sub="another")) == (403, "AccessDenied")


def test_tokens_that_are_refused(iam: Any, sts: Any, provider: str, issuer: Issuer) -> None:
    arn = make_role(iam, provider)
    assert code(sts, arn, issuer.token(exp=1_700_000_000, iat=1_600_000_000)) == (400, "ExpiredTokenException")
    assert code(sts, arn, issuer.token(aud="nobody")) == (400, "InvalidIdentityToken")
    assert code(sts, arn, issuer.token(iss="https://elsewhere.example.com")) == (400, "InvalidIdentityToken")
    assert code(sts, arn, Signer("ES256").token(issuer.url)) == (400, "InvalidIdentityToken")
    assert code(sts, arn, "not a token") == (400, "InvalidIdentityToken")
    head, claims, _ = issuer.token().split(".")
    assert code(sts, arn, f"{head}.{claims}.") == (400, "InvalidIdentityToken")
    assert code(sts, f"{arn}-not", issuer.token()) == (403, "AccessDenied")


def test_an_issuer_that_is_gone(iam: Any, sts: Any) -> None:
    with running_issuer() as gone:
        made = iam.create_open_id_connect_provider(Url=gone.url, ClientIDList=[AUDIENCE])
    arn = make_role(iam, made["OpenIDConnectProviderArn"])
    assert code(sts, arn, gone.token()) == (400, "IDPCommunicationError")


def test_keys_of_the_configuration(gateway: Gateway, iam: Any, sts: Any, bucket: str) -> None:
    made = iam.create_open_id_connect_provider(Url=FILED, ClientIDList=[AUDIENCE])
    arn = make_role(iam, made["OpenIDConnectProviderArn"])
    answer = assume(sts, arn, FILED_SIGNER.token(FILED))
    client = client_with(gateway, "s3", answer["Credentials"])
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_tags_of_a_token_are_the_sessions(gateway: Gateway, iam: Any, sts: Any, provider: str, issuer: Issuer) -> None:
    s3, bucket = gateway.client("s3"), make_bucket(gateway.client("s3"))
    for team in ("red", "blue"):
        s3.put_object(Bucket=bucket, Key=f"{team}/k", Body=team.encode())
    arn = make_role(iam, provider)
    own = allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/Team}}/*")
    iam.put_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="p", PolicyDocument=policy_of(own))
    token = issuer.token(**{"https://aws.amazon.com/tags": {"principal_tags": {"Team": ["red"]}}})
    client = client_with(gateway, "s3", assume(sts, arn, token)["Credentials"])
    assert client.get_object(Bucket=bucket, Key="red/k")["Body"].read() == b"red"
    assert refusal(client.get_object, Bucket=bucket, Key="blue/k") == (403, "AccessDenied")


def test_aws_cli_finds_the_token_in_a_file(
    gateway: Gateway, iam: Any, provider: str, issuer: Issuer, bucket: str, tmp_path: Path
) -> None:
    """As pods of EKS do it: a role and a file with a token, in the environment."""
    arn = make_role(iam, provider)
    (tmp_path / "token").write_text(issuer.token())
    environment = {
        "AWS_ROLE_ARN": arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_SESSION_NAME": "pod",
        "AWS_ENDPOINT_URL": gateway.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "HOME": str(tmp_path),
    }

    def aws(*arguments: str) -> str:
        command = ["aws", *arguments]
        done = subprocess.run(
            command, env=clean_environment(**environment), capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    assert aws("s3", "cp", f"s3://{bucket}/k", "-") == "body"
    told = json.loads(aws("sts", "get-caller-identity", "--output", "json"))
    assert told["Arn"].endswith("/pod")


def test_a_signature_beside_the_token_means_nothing(gateway: Gateway, iam: Any, provider: str, issuer: Issuer) -> None:
    wrong = RawClient(gateway, access_key_id="AKIAUNKNOWNUNKNOWN12", secret="wrong")
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": make_role(iam, provider),
        "RoleSessionName": "app",
        "WebIdentityToken": issuer.token(),
    }
    head = {"content-type": "application/x-www-form-urlencoded"}
    answer = wrong.request("POST", "/", head, urllib.parse.urlencode(form).encode(), service="sts")
    assert (answer.status, answer.element("Provider")) == (200, issuer.url)


def test_nothing_else_is_done_without_credentials(sts: Any) -> None:
    assert refusal(sts.get_caller_identity) == (403, "MissingAuthenticationToken")
    refused = error_of(sts.assume_role, RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="app")
    assert refused["Error"]["Code"] == "MissingAuthenticationToken"


def test_neither_token_nor_secret_is_logged(
    gateway: Gateway, iam: Any, sts: Any, provider: str, issuer: Issuer
) -> None:
    token = issuer.token()
    credentials = assume(sts, make_role(iam, provider), token)["Credentials"]
    written = gateway.log_path.read_text()
    written += "".join(
        path.read_text(errors="replace") for path in (gateway.data / "audit").rglob("*") if path.is_file()
    )
    assert token.rpartition(".")[2] not in written
    assert credentials["SessionToken"][:60] not in written
    assert credentials["SecretAccessKey"] not in written
    assert "AssumeRoleWithWebIdentity" in written


def test_who_the_token_is_about_is_told_once_it_is_verified(
    gateway: Gateway, iam: Any, sts: Any, provider: str, issuer: Issuer
) -> None:
    """What is refused before that names nobody, and is no line of the audit trail."""
    arn = make_role(iam, provider, StringEquals={f"{issuer.name}:sub": SUBJECT})
    allowed = assume(sts, arn, issuer.token())["ResponseMetadata"]["RequestId"]
    refused = error_of(
        sts.assume_role_with_web_identity, RoleArn=arn, RoleSessionName="app", WebIdentityToken=issuer.token(sub="eve")
    )["ResponseMetadata"]["RequestId"]
    garbage = error_of(
        sts.assume_role_with_web_identity, RoleArn=arn, RoleSessionName="app", WebIdentityToken="not a token"
    )["ResponseMetadata"]["RequestId"]

    def told(request_id: str) -> list[dict[str, Any]]:
        output = gateway.sealgate("audit", "tail", "--json", "--request", request_id, str(gateway.data)).stdout
        return [json.loads(line) for line in output.split("\n") if line]

    [made], [denied] = told(allowed), told(refused)
    assert (made["userIdentity"]["type"], made["userIdentity"]["principalId"]) == (
        "WebIdentityUser",
        f"{provider}:{AUDIENCE}:{SUBJECT}",
    )
    assert made["responseElements"]["subjectFromWebIdentityToken"] == SUBJECT
    assert "webIdentityToken" not in made["requestParameters"]
    assert denied["userIdentity"]["principalId"] == f"{provider}:{AUDIENCE}:eve"
    assert denied["decisions"][0]["decidedBy"] == f"no resource-based policy allows it (trust policy of {arn})"
    assert told(garbage) == []
    line = next(each for each in gateway.log_path.read_text().splitlines() if f'"id":"{refused}"' in each)
    assert json.loads(line)["principal"] == f"{provider}:{AUDIENCE}:eve"
