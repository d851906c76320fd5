"""`sealgate simulate`: questions that no request of the kinds in `test_explanations.py` asks."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from tests.clients.access import open_bucket, policy_text, put_policy, statement
from tests.clients.checks import refusal
from tests.clients.conftest import make_bucket
from tests.clients.users import allow, make_user
from tests.harness import Gateway, running_gateway


def run(gateway: Gateway, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", str(gateway.data), *arguments])


def simulated(gateway: Gateway, principal: str | None, action: str, resource: str = "*", **context: str) -> Any:
    who = ["--anonymous"] if principal is None else ["--principal", principal]
    said = [f"--context={key}={value}" for key, value in context.items()]
    result = run(gateway, "--action", action, "--resource", resource, *who, *said, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_what_a_condition_asks_for_is_missing_until_it_is_said(gateway: Gateway, s3: Any) -> None:
    bucket = open_bucket(s3)
    put_policy(
        s3,
        bucket,
        statement("Allow", "*", "s3:GetObject", on=f"{bucket}/*", IpAddress={"aws:SourceIp": "192.0.2.0/24"}),
        statement("Deny", "*", "s3:GetObject", on=f"{bucket}/*", Bool={"aws:SecureTransport": "false"}),
    )
    arn = f"arn:aws:s3:::{bucket}/k"
    unknown = simulated(gateway, None, "s3:GetObject", arn)
    assert (unknown["isAllowed"], unknown["missingContextKeys"]) == (False, ["aws:securetransport", "aws:sourceip"])
    inside = {"aws:SourceIp": "192.0.2.9", "aws:SecureTransport": "true"}
    allowed = simulated(gateway, None, "s3:GetObject", arn, **inside)
    assert (allowed["isAllowed"], allowed["missingContextKeys"]) == (True, [])
    assert allowed["statements"][0]["text"]["Condition"] == {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    assert not simulated(gateway, None, "s3:GetObject", arn, **{**inside, "aws:SourceIp": "198.51.100.1"})["isAllowed"]
    denied = simulated(gateway, None, "s3:GetObject", arn, **{**inside, "aws:SecureTransport": "false"})
    assert denied["decidedBy"] == "bucket policy, statement 2"
    assert allowed["remarks"] == ["there is no such object now: whoever may not s3:ListBucket is refused for that"]


def test_the_tags_of_an_object_are_those_that_it_has(gateway: Gateway, s3: Any) -> None:
    bucket, user = make_bucket(s3), make_user(gateway)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="team=a")
    only = {"StringEquals": {"s3:ExistingObjectTag/team": "a"}}
    put_policy(s3, bucket, statement("Allow", {"AWS": user.arn}, "s3:GetObject", on=f"{bucket}/*", **only))
    assert simulated(gateway, user.arn, "s3:GetObject", f"arn:aws:s3:::{bucket}/k")["isAllowed"]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "b"}]})
    assert not simulated(gateway, user.arn, "s3:GetObject", f"arn:aws:s3:::{bucket}/k")["isAllowed"]


def test_an_object_under_a_kms_key_says_that_its_key_is_needed(gateway: Gateway, s3: Any, kms_key: str) -> None:
    bucket, user = make_bucket(s3), make_user(gateway, allow("s3:GetObject"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    told = simulated(gateway, user.arn, "s3:GetObject", f"arn:aws:s3:::{bucket}/k")
    assert told["isAllowed"]
    assert told["remarks"] == [f"the object is under KMS key {kms_key}: kms:Decrypt is needed, too"]


def test_keys_their_policies_grants_contexts_and_states(gateway: Gateway, kms: Any) -> None:
    user = make_user(gateway)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    alias = f"alias/{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert not simulated(gateway, user.arn, "kms:Decrypt", key)["isAllowed"]
    constraints = {"EncryptionContextSubset": {"Dept": "A"}}
    grant = kms.create_grant(KeyId=key, GranteePrincipal=user.arn, Operations=["Decrypt"], Constraints=constraints)
    by_grant = simulated(gateway, user.arn, "kms:Decrypt", alias, **{"kms:EncryptionContext:Dept": "A"})
    assert (by_grant["isAllowed"], by_grant["decidedBy"]) == (True, f"grant {grant['GrantId']}")
    assert by_grant["resource"] == key
    assert not simulated(gateway, user.arn, "kms:Decrypt", key)["isAllowed"]
    assert not simulated(gateway, user.arn, "kms:CreateGrant", key)["isAllowed"]
    kms.disable_key(KeyId=key)
    disabled = simulated(gateway, user.arn, "kms:Decrypt", key, **{"kms:EncryptionContext:Dept": "A"})
    assert disabled["remarks"] == [f"refused all the same: {key} is disabled."]
    user.put_policy(allow("kms:ListKeys"))
    assert simulated(gateway, user.arn, "kms:ListKeys")["isAllowed"]


def test_identities_roles_and_who_may_assume_them(gateway: Gateway) -> None:
    iam, user = gateway.client("iam"), make_user(gateway)
    trusts = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}
    name = f"role-{uuid.uuid4()}"
    role = iam.create_role(RoleName=name, Path="/p/", AssumeRolePolicyDocument=policy_text(trusts))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy_text(allow("iam:GetUser")))
    assumed = simulated(gateway, user.arn, "sts:AssumeRole", role)
    assert (assumed["isAllowed"], assumed["decidedBy"]) == (True, f"trust policy of {role}, statement 1")
    other = make_user(gateway)
    assert not simulated(gateway, other.arn, "sts:AssumeRole", role)["isAllowed"]
    for arn in (role, f"arn:aws:sts::{user.account_id}:assumed-role/{name}/session"):
        told = simulated(gateway, arn, "iam:GetUser", user.arn)
        assert (told["isAllowed"], told["decidedBy"]) == (True, f"role {name} policy p, statement 1")
    tagged = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    other.put_policy({**allow("iam:TagUser"), "Condition": tagged})
    missing = simulated(gateway, other.arn, "iam:TagUser", user.arn)
    assert (missing["isAllowed"], missing["missingContextKeys"]) == (False, ["aws:resourcetag/team"])
    iam.tag_user(UserName=user.name, Tags=[{"Key": "team", "Value": "a"}])
    assert simulated(gateway, other.arn, "iam:TagUser", user.arn)["isAllowed"]


def test_what_is_simulated_happens_to_who_does_it(gateway: Gateway, s3: Any) -> None:
    user = make_user(gateway, allow("s3:CreateBucket"))
    name = f"test-{uuid.uuid4()}"
    assert simulated(gateway, user.arn, "s3:CreateBucket", f"arn:aws:s3:::{name}")["isAllowed"]
    assert not simulated(gateway, user.arn, "s3:ListAllMyBuckets")["isAllowed"]
    assert refusal(user.client("s3").list_buckets) == (403, "AccessDenied")
    user.client("s3").create_bucket(Bucket=name)


def test_a_text_names_outcome_statement_and_what_is_not_known(gateway: Gateway) -> None:
    user = make_user(gateway, {**allow("s3:ListAllMyBuckets"), "Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    asked = ["--principal", user.arn, "--action", "s3:ListAllMyBuckets"]
    told = run(gateway, *asked).output
    assert "outcome     refused because no identity-based policy allows the s3:ListAllMyBuckets action" in told
    assert "not known   aws:securetransport" in told
    told = run(gateway, *asked, "--context", "aws:SecureTransport=true").output
    assert "outcome     allowed" in told
    assert f"user {user.name} policy p, statement 1:" in told
    assert '"aws:SecureTransport": "true"' in told


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--anonymous", "--action", "s3:GetObject", "--resource", "arn:aws:s3:::missing-bucket/k"], 1, "no bucket"),
        (["--anonymous", "--action", "s3:GetObject", "--resource", "bucket/k"], 1, "no ARN of S3's"),
        (["--anonymous", "--action", "s3:*"], 1, "is no action"),
        (["--anonymous", "--action", "ec2:RunInstances"], 1, "is no action"),
        (["--anonymous", "--action", "iam:GetUser"], 1, "anonymous"),
        (["--principal", "arn:aws:iam::000000000001:user/missing", "--action", "iam:GetUser"], 1, "no user"),
        (["--principal", "arn:aws:iam::000000000001:group/g", "--action", "iam:GetUser"], 1, "is the ARN of no"),
        (
            ["--principal", "arn:aws:iam::000000000001:root", "--action", "kms:Decrypt", "--resource", "alias/x"],
            1,
            "no key",
        ),
        (["--action", "iam:GetUser"], 2, "--principal"),
        (["--anonymous", "--principal", "x", "--action", "iam:GetUser"], 2, "--principal"),
        (["--anonymous", "--action", "s3:ListAllMyBuckets", "--context", "x"], 2, "KEY=VALUE"),
    ],
)
def test_questions_without_an_answer(gateway: Gateway, arguments: list[str], status: int, message: str) -> None:
    result = run(gateway, *arguments)
    assert result.exit_code == status, result.output
    assert message in result.output


def test_while_nobody_serves_and_for_a_suspended_account(tmp_path: Any) -> None:
    with running_gateway(tmp_path) as gateway:
        bucket = make_bucket(gateway.client("s3"))
        account = gateway.client("sts").get_caller_identity()["Account"]
    root = f"arn:aws:iam::{account}:root"
    assert simulated(gateway, root, "s3:ListBucket", f"arn:aws:s3:::{bucket}")["remarks"] == []
    gateway.sealgate("account", "suspend", str(gateway.data), account)
    told = simulated(gateway, root, "s3:ListBucket", f"arn:aws:s3:::{bucket}")
    assert told["remarks"] == [
        f"account {account} does not exist or is suspended: its access keys are refused",
        f"account {account}, which owns the bucket, is suspended",
    ]
