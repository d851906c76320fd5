"""SimulateCustomPolicy, SimulatePrincipalPolicy, and the keys that policies ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iam.face.operations.simulation import MAX_REQUESTS
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, Client, refusal
from tests.iam.face.test_roles import trust

OWN, OTHER = ACCOUNT.account_id, OTHER_ACCOUNT.account_id
ANN = f"arn:aws:iam::{OWN}:user/ann"
OBJECT = "arn:aws:s3:::b/k"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str, action: str = "s3:GetObject", on: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": on, **more}


ALLOW, DENY = policy(statement("Allow")), policy(statement("Deny"))


def simulate(client: Client, *policies: str, **parameters: Any) -> Any:
    """The one result for s3:GetObject on everything, unless parameters say otherwise."""
    given = {"ActionNames": ["s3:GetObject"], **parameters}
    (result,) = client.ask("SimulateCustomPolicy", PolicyInputList=list(policies), **given)["EvaluationResults"]
    return result


def sources(result: Any) -> list[str]:
    return [each["SourcePolicyId"] for each in result["MatchedStatements"]]


@pytest.mark.parametrize(
    ("policies", "decision", "matched"),
    [
        ([ALLOW], "allowed", ["PolicyInputList.1"]),
        ([policy(statement("Allow", "s3:PutObject"))], "implicitDeny", []),
        ([DENY], "explicitDeny", ["PolicyInputList.1"]),
        ([ALLOW, DENY], "explicitDeny", ["PolicyInputList.2"]),
        (
            [ALLOW, policy(statement("Allow"), statement("Allow", "s3:*"))],
            "allowed",
            ["PolicyInputList.1"] + ["PolicyInputList.2"] * 2,
        ),
        ([policy(statement("Allow", on=OBJECT))], "implicitDeny", []),
    ],
)
def test_decisions(client: Client, policies: list[str], decision: str, matched: list[str]) -> None:
    result = simulate(client, *policies)
    assert (result["EvalActionName"], result["EvalResourceName"]) == ("s3:GetObject", "*")
    assert (result["EvalDecision"], sources(result)) == (decision, matched)
    assert "EvalDecisionDetails" not in result
    assert "ResourceSpecificResults" not in result


def test_statements_are_told_by_their_place(client: Client) -> None:
    text = '{"Version":"2012-10-17","Statement":[\n{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    assert simulate(client, text)["MatchedStatements"] == [
        {
            "SourcePolicyId": "PolicyInputList.1",
            "SourcePolicyType": "IAM Policy",
            "StartPosition": {"Line": 1, "Column": 38},
            "EndPosition": {"Line": 2, "Column": 50},
        }
    ]


def test_resources_are_told_one_by_one_and_together(client: Client) -> None:
    text = policy(statement("Allow", on="arn:aws:s3:::b/*"), statement("Deny", on="arn:aws:s3:::b/no"))
    arns = [OBJECT, "arn:aws:s3:::c/k", "arn:aws:s3:::b/no"]
    result = simulate(client, text, ResourceArns=arns)
    told = [(each["EvalResourceName"], each["EvalResourceDecision"]) for each in result["ResourceSpecificResults"]]
    assert told == list(zip(arns, ("allowed", "implicitDeny", "explicitDeny"), strict=True))
    assert (result["EvalResourceName"], result["EvalDecision"], result["EvalDecisionDetails"]) == (
        "*",
        "explicitDeny",
        (),
    )
    assert [each["StartPosition"] for each in result["MatchedStatements"]] == [
        each["StartPosition"] for each in result["ResourceSpecificResults"][2]["MatchedStatements"]
    ]
    assert simulate(client, text, ResourceArns=[OBJECT])["EvalResourceName"] == OBJECT


def test_what_the_context_lacks_is_told(client: Client) -> None:
    conditions = {
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        "StringEquals": {"s3:Prefix": "${aws:PrincipalTag/team}"},
    }
    text = policy(
        statement("Allow", Condition=conditions),
        statement("Deny", "s3:PutObject", Condition={"Null": {"s3:TlsVersion": "true"}}),
    )
    result = simulate(client, text)
    assert result["EvalDecision"] == "implicitDeny"
    assert result["MissingContextValues"] == ["aws:SourceIp", "s3:Prefix", "aws:PrincipalTag/team"]
    entries = [
        {"ContextKeyName": "aws:sourceip", "ContextKeyType": "ip", "ContextKeyValues": ["10.1.2.3"]},
        {"ContextKeyName": "S3:PREFIX", "ContextKeyType": "string", "ContextKeyValues": ["red"]},
        {"ContextKeyName": "aws:PrincipalTag/team", "ContextKeyType": "string", "ContextKeyValues": ["red"]},
    ]
    result = simulate(client, text, ContextEntries=entries)
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("allowed", [])
    result = simulate(client, text, ContextEntries=entries[:2], ResourceArns=[OBJECT])
    assert result["MissingContextValues"] == ["aws:PrincipalTag/team"]
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:PrincipalTag/team"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("numeric", ["1.5"], ["x"]),
        ("boolean", ["TRUE"], ["yes"]),
        ("ip", ["::1"], ["1.2.3"]),
        ("binary", ["QUJD"], ["A"]),
        ("date", ["2026-01-01T00:00:00Z"], ["tomorrow"]),
        ("string", ["a"], ["a", "b"]),
        ("stringList", ["a", "b"], None),
        ("numericList", ["1", "2"], ["1", "x"]),
    ],
)
def test_entries_are_of_their_type(client: Client, kind: str, good: list[str], bad: list[str] | None) -> None:
    def entries(values: list[str]) -> list[dict[str, Any]]:
        return [{"ContextKeyName": "aws:Thing", "ContextKeyType": kind, "ContextKeyValues": values}]

    text = policy(statement("Allow", Condition={"Null": {"aws:Thing": "false"}}))
    assert simulate(client, text, ContextEntries=entries(good))["EvalDecision"] == "allowed"
    if bad is not None:
        assert refusal(simulate, client, text, ContextEntries=entries(bad))[0] == "InvalidInput"
    assert refusal(simulate, client, text, ContextEntries=entries(good) * 2)[0] == "InvalidInput"


def test_a_boundary_limits(client: Client) -> None:
    for boundary, within, decision in (
        (ALLOW, True, "allowed"),
        (policy(statement("Allow", "kms:*")), False, "implicitDeny"),
    ):
        result = simulate(client, ALLOW, PermissionsBoundaryPolicyInputList=[boundary], ResourceArns=[OBJECT])
        assert result["EvalDecision"] == decision
        assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": within}
        (each,) = result["ResourceSpecificResults"]
        assert each["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": within}
    assert simulate(client, ALLOW, PermissionsBoundaryPolicyInputList=[DENY])["EvalDecision"] == "explicitDeny"
    assert refusal(simulate, client, ALLOW, PermissionsBoundaryPolicyInputList=[ALLOW] * 2)[0] == "InvalidInput"


def test_a_resource_policy_within_an_account(client: Client) -> None:
    bucket_policy = policy({**statement("Allow", on="arn:aws:s3:::b/*"), "Principal": {"AWS": ANN}})
    nothing = policy(statement("Allow", "kms:*"))
    result = simulate(client, nothing, ResourcePolicy=bucket_policy, CallerArn=ANN, ResourceArns=[OBJECT])
    assert (result["EvalDecision"], sources(result)) == ("allowed", ["ResourcePolicy"])
    other = f"arn:aws:iam::{OWN}:user/bob"
    result = simulate(client, nothing, ResourcePolicy=bucket_policy, CallerArn=other, ResourceArns=[OBJECT])
    assert result["EvalDecision"] == "implicitDeny"
    assert refusal(simulate, client, nothing, ResourcePolicy=bucket_policy)[0] == "InvalidInput"


def test_across_accounts_both_are_told(client: Client) -> None:
    bucket_policy = policy({**statement("Allow", on="arn:aws:s3:::b/*"), "Principal": {"AWS": OWN}})
    owner = {"ResourceOwner": f"arn:aws:iam::{OTHER}:root", "CallerArn": ANN, "ResourceArns": [OBJECT]}
    for identity, resource, decision, details in (
        (ALLOW, bucket_policy, "allowed", ("allowed", "allowed")),
        (policy(statement("Allow", "kms:*")), bucket_policy, "implicitDeny", ("implicitDeny", "allowed")),
        (ALLOW, bucket_policy.replace("Allow", "Deny"), "explicitDeny", ("allowed", "explicitDeny")),
    ):
        result = simulate(client, identity, ResourcePolicy=resource, **owner)
        assert result["EvalDecision"] == decision
        assert dict(result["EvalDecisionDetails"]) == dict(zip(("IAM Policy", "Resource Policy"), details, strict=True))
    result = simulate(client, ALLOW, **owner)
    assert dict(result["EvalDecisionDetails"])["Resource Policy"] == "implicitDeny"


def test_a_key_policy_comes_first(client: Client) -> None:
    key = f"arn:aws:kms:us-east-1:{OWN}:key/1"
    identity = policy(statement("Allow", "kms:*"))
    given = {"ActionNames": ["kms:Decrypt"], "ResourceArns": [key], "CallerArn": ANN}
    for principal, decision in (
        (f"arn:aws:iam::{OWN}:root", "allowed"),
        (f"arn:aws:iam::{OWN}:user/bob", "implicitDeny"),
    ):
        key_policy = policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": principal}})
        assert simulate(client, identity, ResourcePolicy=key_policy, **given)["EvalDecision"] == decision


def test_the_policies_of_a_user_are_those_in_force(client: Client) -> None:
    client.ask("CreateUser", UserName="ann", Tags=[{"Key": "team", "Value": "red"}])
    client.ask(
        "PutUserPolicy",
        UserName="ann",
        PolicyName="own",
        PolicyDocument=policy(statement("Allow", on="arn:aws:s3:::${aws:PrincipalTag/team}/${aws:username}/*")),
    )
    client.ask("AttachUserPolicy", UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    client.ask("CreateGroup", GroupName="gus")
    client.ask(
        "PutGroupPolicy",
        GroupName="gus",
        PolicyName="shared",
        PolicyDocument=policy(statement("Allow", "s3:PutObject")),
    )
    client.ask("AddUserToGroup", GroupName="gus", UserName="ann")
    answer = client.ask(
        "SimulatePrincipalPolicy",
        PolicySourceArn=ANN,
        ActionNames=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        ResourceArns=["arn:aws:s3:::red/ann/k"],
    )
    assert [(each["EvalDecision"], sources(each)) for each in answer["EvaluationResults"]] == [
        ("allowed", ["user_ann_own", "AmazonS3ReadOnlyAccess"]),
        ("allowed", ["group_gus_shared"]),
        ("implicitDeny", []),
    ]
    answer = client.ask(
        "SimulatePrincipalPolicy",
        PolicySourceArn=ANN,
        ActionNames=["s3:PutObject"],
        PolicyInputList=[policy(statement("Deny", "s3:Put*"))],
    )
    assert [each["EvalDecision"] for each in answer["EvaluationResults"]] == ["explicitDeny"]
    group = client.ask(
        "SimulatePrincipalPolicy", PolicySourceArn=f"arn:aws:iam::{OWN}:group/gus", ActionNames=["s3:PutObject"]
    )
    assert [sources(each) for each in group["EvaluationResults"]] == [["group_gus_shared"]]


def test_the_policies_of_a_role_within_its_boundary(client: Client) -> None:
    client.ask("CreatePolicy", PolicyName="limit", PolicyDocument=policy(statement("Allow", "s3:Get*")))
    limit = f"arn:aws:iam::{OWN}:policy/limit"
    client.ask("CreateRole", RoleName="rob", Path="/p/", AssumeRolePolicyDocument=trust(), PermissionsBoundary=limit)
    client.ask("PutRolePolicy", RoleName="rob", PolicyName="all", PolicyDocument=policy(statement("Allow", "*")))
    given = {"PolicySourceArn": f"arn:aws:iam::{OWN}:role/p/rob", "ActionNames": ["s3:GetObject", "s3:PutObject"]}
    answer = client.ask("SimulatePrincipalPolicy", **given)
    assert [
        (each["EvalDecision"], each["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"])
        for each in answer["EvaluationResults"]
    ] == [("allowed", True), ("implicitDeny", False)]
    answer = client.ask(
        "SimulatePrincipalPolicy", **given, PermissionsBoundaryPolicyInputList=[policy(statement("Allow", "*"))]
    )
    assert [each["EvalDecision"] for each in answer["EvaluationResults"]] == ["allowed", "allowed"]
    by_role = policy({**statement("Allow", "s3:GetObject"), "Principal": {"AWS": given["PolicySourceArn"]}})
    nothing = {"PolicySourceArn": ANN, "CallerArn": given["PolicySourceArn"], "ResourcePolicy": by_role}
    client.ask("CreateUser", UserName="ann")
    answer = client.ask("SimulatePrincipalPolicy", **nothing, ActionNames=["s3:GetObject"])
    assert [sources(each) for each in answer["EvaluationResults"]] == [["ResourcePolicy"]]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"ActionNames": ["s3:*"]}, "InvalidInput"),
        ({"ActionNames": ["GetObject"]}, "InvalidInput"),
        ({"ActionNames": ["s3:GetObject"] * 51, "ResourceArns": [OBJECT] * 50}, "InvalidInput"),
        ({"PolicyInputList": ["{}"]}, "InvalidInput"),
        ({"PolicyInputList": [policy({**statement("Allow"), "Principal": "*"})]}, "InvalidInput"),
        ({"CallerArn": f"arn:aws:iam::{OWN}:root"}, "InvalidInput"),
        ({"CallerArn": f"arn:aws:sts::{OWN}:assumed-role/a/b"}, "InvalidInput"),
        ({"CallerArn": ANN, "ResourcePolicy": "{"}, "InvalidInput"),
        ({"ResourceOwner": "nobody"}, "InvalidInput"),
        ({"ResourceHandlingOption": "EC2-VPC-InstanceStore"}, "NotImplemented"),
        ({"OrderedOrganizationPolicyInputList": [{"ServiceControlPolicyInputList": [ALLOW]}]}, "NotImplemented"),
        ({"Marker": "nonsense!"}, "ValidationError"),
        ({"ContextEntries": [{"ContextKeyName": "aws:Thing"}]}, "InvalidInput"),
    ],
)
def test_what_is_no_simulation(client: Client, parameters: dict[str, Any], code: str) -> None:
    given = {"PolicyInputList": [ALLOW], "ActionNames": ["s3:GetObject"], **parameters}
    assert refusal(client.ask, "SimulateCustomPolicy", **given)[0] == code


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (f"arn:aws:iam::{OTHER}:user/ann", "InvalidInput"),
        (f"arn:aws:iam::{OWN}:root", "InvalidInput"),
        (f"arn:aws:iam::{OWN}:policy/ann", "InvalidInput"),
        (f"arn:aws:iam::{OWN}:user/bob", "NoSuchEntity"),
        (f"arn:aws:iam::{OWN}:user/elsewhere/ann", "NoSuchEntity"),
        (f"arn:aws:iam::{OWN}:role/ann", "NoSuchEntity"),
    ],
)
def test_who_is_not_there(client: Client, arn: str, code: str) -> None:
    client.ask("CreateUser", UserName="ann")
    for operation in ("SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"):
        more = {"ActionNames": ["s3:GetObject"]} if operation.startswith("Simulate") else {}
        assert refusal(client.ask, operation, PolicySourceArn=arn, **more)[0] == code


def test_pages(client: Client) -> None:
    actions = [f"s3:Action{number}" for number in range(7)]
    told, marker = [], {}
    while True:
        answer = client.ask("SimulateCustomPolicy", PolicyInputList=[ALLOW], ActionNames=actions, MaxItems=3, **marker)
        told += [each["EvalActionName"] for each in answer["EvaluationResults"]]
        if not answer["IsTruncated"]:
            break
        marker = {"Marker": answer["Marker"]}
    assert told == actions


def test_as_many_requests_as_there_may_be(client: Client) -> None:
    actions, resources = ["s3:GetObject"] * (MAX_REQUESTS // 50), [OBJECT] * 50
    answer = client.ask("SimulateCustomPolicy", PolicyInputList=[ALLOW], ActionNames=actions, ResourceArns=resources)
    assert {len(each["ResourceSpecificResults"]) for each in answer["EvaluationResults"]} == {50}


def test_context_keys(client: Client) -> None:
    first = policy(
        statement("Allow", on="arn:aws:s3:::${aws:username}"),
        statement("Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    )
    second = policy(statement("Allow", Condition={"Null": {"aws:securetransport": "true", "s3:prefix": "true"}}))
    answer = client.ask("GetContextKeysForCustomPolicy", PolicyInputList=[first, second])
    assert answer == {"ContextKeyNames": ["aws:username", "aws:SecureTransport", "s3:prefix"]}
    client.ask("CreateUser", UserName="ann")
    client.ask("PutUserPolicy", UserName="ann", PolicyName="own", PolicyDocument=second)
    answer = client.ask("GetContextKeysForPrincipalPolicy", PolicySourceArn=ANN, PolicyInputList=[first])
    assert answer == {"ContextKeyNames": ["aws:securetransport", "s3:prefix", "aws:username"]}
    assert refusal(client.ask, "GetContextKeysForCustomPolicy", PolicyInputList=["{}"])[0] == "InvalidInput"
