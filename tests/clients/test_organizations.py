"""Organizations: accounts that are made, told and closed without a shell, by the management account alone."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.raw import RawClient
from tests.clients.users import TestAccount, allow, make_account, make_user
from tests.harness import REGION, Gateway

TARGET = "AWSOrganizationsV20161128."


@pytest.fixture(scope="module")
def organizations(gateway: Gateway) -> Any:
    return gateway.client("organizations")


@pytest.fixture(scope="module")
def member(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


def create(organizations: Any, **more: Any) -> Any:
    unique = uuid.uuid4().hex[:20]
    given = {"AccountName": f"made {unique}", "Email": f"{unique}@example.com", **more}
    return organizations.create_account(**given)["CreateAccountStatus"]


def test_an_account_is_made_and_told(organizations: Any, gateway: Gateway) -> None:
    status = create(organizations)
    assert status["State"] == "SUCCEEDED"
    told = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])
    assert told["CreateAccountStatus"] == status
    account = organizations.describe_account(AccountId=status["AccountId"])["Account"]
    assert (account["Name"], account["Status"], account["JoinedMethod"]) == (status["AccountName"], "ACTIVE", "CREATED")
    organization = organizations.describe_organization()["Organization"]
    assert account["Arn"].endswith(f":account/{organization['Id']}/{status['AccountId']}")
    assert organization["MasterAccountId"] == gateway.client("sts").get_caller_identity()["Account"]
    (root,) = organizations.list_roots()["Roots"]
    assert organizations.list_parents(ChildId=status["AccountId"])["Parents"] == [{"Id": root["Id"], "Type": "ROOT"}]
    assert organizations.list_tags_for_resource(ResourceId=status["AccountId"])["Tags"] == []
    shown = json.loads(gateway.sealgate("account", "show", str(gateway.data), status["AccountId"], "--json").stdout)
    assert (shown["Name"], shown["Email"]) == (status["AccountName"], account["Email"])


@pytest.mark.parametrize(("given", "role"), [({}, "OrganizationAccountAccessRole"), ({"RoleName": "own"}, "own")])
def test_the_management_account_gets_into_a_new_account(
    organizations: Any, gateway: Gateway, given: dict[str, str], role: str
) -> None:
    """By a role that has all rights there, for those who may assume it."""
    account_id = create(organizations, **given)["AccountId"]
    arn = f"arn:aws:iam::{account_id}:role/{role}"
    asked = {"RoleArn": arn, "RoleSessionName": "first"}
    assert refusal(make_user(gateway).client("sts").assume_role, **asked) == (403, "AccessDenied")
    made = make_user(gateway, allow("sts:AssumeRole", on=arn)).client("sts").assume_role(**asked)["Credentials"]
    iam = boto3.client(
        "iam",
        endpoint_url=gateway.endpoint_url,
        region_name=REGION,
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )
    assert iam.create_user(UserName="ann")["User"]["Arn"] == f"arn:aws:iam::{account_id}:user/ann"


def test_accounts_in_pages(organizations: Any, gateway: Gateway) -> None:
    made = {create(organizations)["AccountId"] for _ in range(3)}
    pages = [*organizations.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 2})]
    told = [each["Id"] for page in pages for each in page["Accounts"]]
    assert made <= set(told)
    assert len(told) == len(set(told))
    assert max(len(page["Accounts"]) for page in pages) == 2
    assert refusal(organizations.list_accounts, NextToken="nonsense!") == (400, "ValidationException")


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"Email": "TAKEN@example.com"}, "EMAIL_ALREADY_EXISTS"), ({"Email": "(no)@example.com"}, "INVALID_EMAIL")],
)
def test_what_fails_is_told_by_the_status(organizations: Any, given: dict[str, str], reason: str) -> None:
    create(organizations, Email="taken@example.com")
    before = len(organizations.list_accounts()["Accounts"])
    status = create(organizations, **given)
    assert (status["State"], status["FailureReason"]) == ("FAILED", reason)
    assert "AccountId" not in status
    told = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])
    assert told["CreateAccountStatus"] == status
    assert len(organizations.list_accounts()["Accounts"]) == before


def test_a_closed_account_is_suspended(organizations: Any, gateway: Gateway) -> None:
    member = make_account(gateway)
    member.client("s3").list_buckets()
    organizations.close_account(AccountId=member.account_id)
    assert refusal(member.client("s3").list_buckets) == (403, "InvalidAccessKeyId")
    account = organizations.describe_account(AccountId=member.account_id)["Account"]
    assert (account["Status"], account["State"]) == ("SUSPENDED", "SUSPENDED")
    again = refusal(organizations.close_account, AccountId=member.account_id)
    assert again == (400, "AccountAlreadyClosedException")
    own = gateway.client("sts").get_caller_identity()["Account"]
    assert refusal(organizations.close_account, AccountId=own) == (400, "ConstraintViolationException")


def test_members_are_told_of_the_organization_and_nothing_else(member: TestAccount) -> None:
    client = member.client("organizations")
    assert client.describe_organization()["Organization"]["MasterAccountId"] != member.account_id
    for call, given in (
        (client.list_accounts, {}),
        (client.list_roots, {}),
        (client.create_account, {"AccountName": "a", "Email": "a@b.example"}),
        (client.describe_account, {"AccountId": member.account_id}),
        (client.close_account, {"AccountId": member.account_id}),
        (client.describe_create_account_status, {"CreateAccountRequestId": "car-12345678"}),
    ):
        assert refusal(call, **given) == (400, "AccessDeniedException")


def test_users_of_the_management_account_need_a_permission(gateway: Gateway, member: TestAccount) -> None:
    nobody = make_user(gateway).client("organizations")
    told = error_of(nobody.list_accounts)["Error"]
    assert told["Code"] == "AccessDeniedException"
    assert "is not authorized to perform: organizations:ListAccounts" in told["Message"]
    organization = gateway.client("organizations").describe_organization()["Organization"]
    arn = f"{organization['Arn'].replace(':organization/', ':account/')}/{member.account_id}"
    reader = make_user(gateway, allow("organizations:DescribeAccount", on=arn)).client("organizations")
    assert reader.describe_account(AccountId=member.account_id)["Account"]["Arn"] == arn
    assert refusal(reader.close_account, AccountId=member.account_id) == (400, "AccessDeniedException")


@pytest.mark.parametrize(
    ("operation", "given", "code"),
    [
        ("describe_account", {"AccountId": "999999999999"}, "AccountNotFoundException"),
        ("close_account", {"AccountId": "999999999999"}, "AccountNotFoundException"),
        ("list_parents", {"ChildId": "999999999999"}, "ChildNotFoundException"),
        ("list_tags_for_resource", {"ResourceId": "999999999999"}, "TargetNotFoundException"),
        (
            "describe_create_account_status",
            {"CreateAccountRequestId": "car-12345678"},
            "CreateAccountStatusNotFoundException",
        ),
        ("describe_account", {"AccountId": "nobody"}, "ValidationException"),
        ("create_account", {"AccountName": "é", "Email": "a@b.example"}, "ValidationException"),
        (
            "create_account",
            {"AccountName": "a", "Email": "a@b.example", "Tags": [{"Key": "k", "Value": "v"}]},
            "UnsupportedAPIEndpointException",
        ),
        ("list_policies", {"Filter": "SERVICE_CONTROL_POLICY"}, "UnsupportedAPIEndpointException"),
    ],
)
def test_what_is_not_there_or_not_served(organizations: Any, operation: str, given: dict[str, Any], code: str) -> None:
    assert refusal(getattr(organizations, operation), **given) == (400, code)


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("ListAccounts", b"{", "SerializationException"),
        ("ListAccounts", b"[]", "SerializationException"),
        ("ListAccounts", b"\xff", "SerializationException"),
        ("ListAccounts", b'{"MaxResults": "1"}', "SerializationException"),
        ("ListAccounts", b'{"MaxResults": true}', "SerializationException"),
        ("ListAccounts", b'{"MaxResults": 0}', "ValidationException"),
        ("ListAccounts", b'{"MaxResults": 1, "MaxResults": 2}', "SerializationException"),
        ("ListAccounts", b"[" * 100_000, "SerializationException"),
        ("CreateAccount", b'{"AccountName": 5, "Email": "a@b.example"}', "SerializationException"),
        ("CreateAccount", b'{"AccountName": "a"}', "ValidationException"),
        ("CreateAccount", b'{"AccountName": "a", "Email": "a@b.example", "Tags": {}}', "SerializationException"),
        ("NoSuchOperation", b"{}", "UnknownOperationException"),
    ],
)
def test_requests_that_are_none(raw: RawClient, target: str, body: bytes, code: str) -> None:
    headers = {"x-amz-target": TARGET + target, "content-type": "application/x-amz-json-1.1"}
    answer = raw.request("POST", "/", headers, body, service="organizations")
    assert answer.refusal == (400, code)
    assert answer.headers["x-amzn-errortype"] == code


def test_nothing_without_a_good_signature(raw: RawClient) -> None:
    headers = {"x-amz-target": f"{TARGET}ListAccounts", "content-type": "application/x-amz-json-1.1"}
    unsigned = raw.send("POST", "/", {"host": raw.host, **headers}, b"{}")
    assert unsigned.refusal == (400, "MissingAuthenticationTokenException")
    assert raw.request("POST", "/", headers, b"{}", service="kms").refusal[0] == 400
    empty = raw.request("POST", "/", headers, b"", service="organizations")
    assert empty.status == 200
