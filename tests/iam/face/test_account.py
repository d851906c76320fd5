"""What IAM says of an account as a whole."""

from __future__ import annotations

import base64
import csv
from typing import Any
from urllib.parse import unquote

import pytest

from iam.credentials import AccessKeyUse, Credential, new_access_key_id, new_secret
from iam.principals import root_principal
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, refusal
from tests.iam.face.test_roles import trust

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
LOCAL = f"arn:aws:iam::{ACCOUNT.account_id}:policy/local"


def test_a_summary_counts_what_there_is(client: Client) -> None:
    empty = dict(client.ask("GetAccountSummary")["SummaryMap"])
    assert (empty["Users"], empty["Policies"], empty["AccountAccessKeysPresent"]) == (0, 0, 0)
    for name in ("ann", "bob"):
        client.ask("CreateUser", UserName=name)
    client.ask("CreateGroup", GroupName="gus")
    client.ask("CreateRole", RoleName="rob", AssumeRolePolicyDocument=trust())
    client.ask("CreatePolicy", PolicyName="local", PolicyDocument=POLICY)
    client.ask("CreatePolicyVersion", PolicyArn=LOCAL, PolicyDocument=POLICY)
    client.ask("CreateAccessKey")
    summary = dict(client.ask("GetAccountSummary")["SummaryMap"])
    counted = ("Users", "Groups", "Roles", "Policies", "PolicyVersionsInUse", "AccountAccessKeysPresent")
    assert [summary[name] for name in counted] == [2, 1, 1, 1, 2, 1]
    quotas = {name: value for name, value in summary.items() if name not in counted}
    assert quotas == {name: value for name, value in empty.items() if name not in counted}
    assert (quotas["UsersQuota"], quotas["AccessKeysPerUserQuota"], quotas["PolicySizeQuota"]) == (5000, 2, 6144)


def test_an_account_has_one_alias(client: Client) -> None:
    assert client.ask("ListAccountAliases") == {"AccountAliases": [], "IsTruncated": False}
    for alias in ("first", "second"):
        assert client.ask("CreateAccountAlias", AccountAlias=alias) is None
        assert client.ask("ListAccountAliases") == {"AccountAliases": [alias], "IsTruncated": False}
    told = refusal(client.ask, "DeleteAccountAlias", AccountAlias="first")
    assert told == ("NoSuchEntity", "The account alias first cannot be found.")
    client.sign_in_as_root(OTHER_ACCOUNT)
    told = refusal(client.ask, "CreateAccountAlias", AccountAlias="second")
    assert told == ("EntityAlreadyExists", "The account alias second already exists.")
    client.sign_in_as_root()
    client.ask("DeleteAccountAlias", AccountAlias="second")
    assert client.ask("ListAccountAliases")["AccountAliases"] == []


@pytest.mark.parametrize("alias", ["Capital", "-a-b", "a--b", "ab", "123456789012", "a" * 64])
def test_what_is_no_alias(client: Client, alias: str) -> None:
    assert refusal(client.ask, "CreateAccountAlias", AccountAlias=alias)[0] == "ValidationError"


def test_nobody_has_a_password(client: Client) -> None:
    assert refusal(client.ask, "GetAccountPasswordPolicy") == (
        "NoSuchEntity",
        "The Password Policy with domain name 123456789012 cannot be found.",
    )


@pytest.fixture
def estate(client: Client) -> Client:
    client.ask("CreatePolicy", PolicyName="local", PolicyDocument=POLICY, Description="mine")
    client.ask("CreateUser", UserName="ann", PermissionsBoundary=LOCAL, Tags=[{"Key": "team", "Value": "red"}])
    client.ask("PutUserPolicy", UserName="ann", PolicyName="own", PolicyDocument=POLICY)
    client.ask("CreateUser", UserName="bob")
    client.ask("CreateGroup", GroupName="gus")
    client.ask("AddUserToGroup", GroupName="gus", UserName="ann")
    client.ask("AttachGroupPolicy", GroupName="gus", PolicyArn=READ_ONLY)
    client.ask("CreateRole", RoleName="rob", AssumeRolePolicyDocument=trust(), Description="not told")
    client.ask("PutRolePolicy", RoleName="rob", PolicyName="own", PolicyDocument=POLICY)
    client.ask("AttachRolePolicy", RoleName="rob", PolicyArn=LOCAL)
    return client


def test_all_that_is_in_an_account(estate: Client) -> None:
    told = estate.ask("GetAccountAuthorizationDetails")
    assert not told["IsTruncated"]
    ann, bob = told["UserDetailList"]
    (gus,), (rob,) = told["GroupDetailList"], told["RoleDetailList"]
    own = [{"PolicyName": "own", "PolicyDocument": POLICY}]
    assert [{**each, "PolicyDocument": unquote(each["PolicyDocument"])} for each in ann["UserPolicyList"]] == own
    assert (ann["GroupList"], ann["AttachedManagedPolicies"], ann["Tags"]) == (
        ["gus"],
        [],
        [{"Key": "team", "Value": "red"}],
    )
    assert ann["PermissionsBoundary"]["PermissionsBoundaryArn"] == LOCAL
    assert (bob["UserName"], bob["UserPolicyList"], bob["GroupList"]) == ("bob", [], [])
    assert gus["AttachedManagedPolicies"] == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    assert (gus["GroupName"], gus["GroupPolicyList"]) == ("gus", [])
    assert unquote(rob["AssumeRolePolicyDocument"]) == trust()
    assert (len(rob["RolePolicyList"]), rob["InstanceProfileList"]) == (1, [])
    local, aws = told["Policies"]
    assert (local["Arn"], local["AttachmentCount"], local["PermissionsBoundaryUsageCount"]) == (LOCAL, 1, 1)
    (version,) = local["PolicyVersionList"]
    assert (unquote(version["Document"]), version["VersionId"], version["IsDefaultVersion"]) == (POLICY, "v1", True)
    assert aws["Arn"] == READ_ONLY


@pytest.mark.parametrize(
    ("wanted", "counts"),
    [
        (["User"], [2, 0, 0, 0]),
        (["Group", "Role"], [0, 1, 1, 0]),
        (["LocalManagedPolicy"], [0, 0, 0, 1]),
        (["AWSManagedPolicy", "User"], [2, 0, 0, 1]),
    ],
)
def test_what_is_asked_for_alone(estate: Client, wanted: list[str], counts: list[int]) -> None:
    assert _counts(estate.ask("GetAccountAuthorizationDetails", Filter=wanted)) == counts
    assert refusal(estate.ask, "GetAccountAuthorizationDetails", Filter=["Machine"])[0] == "ValidationError"


def _counts(told: Any) -> list[int]:
    return [len(told[name]) for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")]


def test_pages_go_through_all_lists(estate: Client) -> None:
    pages, marker = [], {}
    while True:
        told = estate.ask("GetAccountAuthorizationDetails", MaxItems=1, **marker)
        pages.append(_counts(told))
        if not told["IsTruncated"]:
            break
        marker = {"Marker": told["Marker"]}
    assert pages == [[1, 0, 0, 0]] * 2 + [[0, 1, 0, 0], [0, 0, 1, 0]] + [[0, 0, 0, 1]] * 2


def test_a_credential_report_has_a_line_for_each(client: Client) -> None:
    client.ask("CreateUser", UserName="ann")
    assert client.ask("GenerateCredentialReport") == {"State": "COMPLETE"}
    key = client.ask("CreateAccessKey", UserName="ann")["AccessKey"]["AccessKeyId"]
    client.ask("UpdateAccessKey", UserName="ann", AccessKeyId=key, Status="Inactive")
    client.store.note_access_key_uses([AccessKeyUse(key, 1_600_000_000_000_000, "s3", "us-east-1")])
    for _ in range(3):
        root_key = Credential(new_access_key_id(), new_secret(), root_principal(ACCOUNT.account_id))
        client.store.create_access_key(root_key, 1_550_000_000_000_000)
    told = client.ask("GetCredentialReport")
    assert told["ReportFormat"] == "text/csv"
    root, ann = csv.DictReader(base64.b64decode(told["Content"]).decode().splitlines())
    assert (root["user"], root["arn"]) == ("<root_account>", f"arn:aws:iam::{ACCOUNT.account_id}:root")
    assert root["user_creation_time"] == "2017-07-14T02:40:00+00:00"
    assert (root["password_enabled"], root["mfa_active"]) == ("not_supported", "false")
    assert (root["access_key_1_active"], root["access_key_2_active"]) == ("true", "true")
    assert root["access_key_2_last_rotated"] == "2019-02-12T19:33:20+00:00"
    assert root["access_key_1_last_used_date"] == "N/A"
    assert (ann["user"], ann["password_enabled"], ann["access_key_1_active"]) == ("ann", "false", "false")
    assert ann["access_key_1_last_used_date"] == "2020-09-13T12:26:40+00:00"
    assert (ann["access_key_1_last_used_region"], ann["access_key_1_last_used_service"]) == ("us-east-1", "s3")
    assert (ann["access_key_2_active"], ann["access_key_2_last_rotated"], ann["cert_2_active"]) == (
        "false",
        "N/A",
        "false",
    )


def test_the_policies_that_let_into_a_service(estate: Client) -> None:
    everything_else = POLICY.replace('"Action":"s3:GetObject"', '"NotAction":"s3:*"')
    estate.ask("PutGroupPolicy", GroupName="gus", PolicyName="others", PolicyDocument=everything_else)
    estate.ask("AttachUserPolicy", UserName="ann", PolicyArn=READ_ONLY)
    arn = f"arn:aws:iam::{ACCOUNT.account_id}:user/ann"
    services = ["s3", "S3-Object-Lambda", "kms", "iam"]
    answer = estate.ask("ListPoliciesGrantingServiceAccess", Arn=arn, ServiceNamespaces=services)
    told = {each["ServiceNamespace"]: each["Policies"] for each in answer["PoliciesGrantingServiceAccess"]}
    managed = {"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyType": "MANAGED", "PolicyArn": READ_ONLY}
    own = {"PolicyName": "own", "PolicyType": "INLINE", "EntityType": "USER", "EntityName": "ann"}
    others = {"PolicyName": "others", "PolicyType": "INLINE", "EntityType": "GROUP", "EntityName": "gus"}
    assert told["s3"] == [own, managed]
    assert told["S3-Object-Lambda"] == [managed, others]
    assert told["kms"] == told["iam"] == [others]
    denied = POLICY.replace("Allow", "Deny").replace("s3:GetObject", "*")
    estate.ask("PutGroupPolicy", GroupName="gus", PolicyName="others", PolicyDocument=denied)
    (only,) = estate.ask("ListPoliciesGrantingServiceAccess", Arn=arn, ServiceNamespaces=["kms"])[
        "PoliciesGrantingServiceAccess"
    ]
    assert only == {"ServiceNamespace": "kms", "Policies": []}
