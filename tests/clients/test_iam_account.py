"""What IAM says of an account, and what it simulates, as boto3 reads the answers of a running gateway."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from tests.clients.access import EVERYONE, policy_text, statement
from tests.clients.checks import refusal
from tests.clients.users import TestAccount, allow, make_account
from tests.harness import Gateway


@pytest.fixture(scope="module")
def account(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


@pytest.fixture(scope="module")
def iam(account: TestAccount) -> Any:
    return account.client("iam")


def test_summary_and_alias(iam: Any, account: TestAccount) -> None:
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["AccountAccessKeysPresent"], summary["UsersQuota"]) == (1, 5000)
    alias = f"a-{account.account_id}"
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    iam.delete_account_alias(AccountAlias=alias)
    assert refusal(iam.delete_account_alias, AccountAlias=alias) == (404, "NoSuchEntity")
    assert refusal(iam.get_account_password_policy) == (404, "NoSuchEntity")


def test_a_simulation_says_what_then_happens(iam: Any, account: TestAccount) -> None:
    """Each decision is held against the answer of S3 to the request that was simulated."""
    s3 = account.client("s3")
    bucket = f"simulated-{account.account_id}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="yes/k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="no/k", Body=b"x")
    arn = f"arn:aws:s3:::{bucket}"
    denied = {"Effect": "Deny", "Action": "s3:*", "Resource": f"{arn}/no/*"}
    user = account.make_user(allow("s3:GetObject", on=f"{arn}/*"), denied)
    calls = {
        ("s3:GetObject", "yes/k"): user.client("s3").get_object,
        ("s3:GetObject", "no/k"): user.client("s3").get_object,
        ("s3:DeleteObject", "yes/k"): user.client("s3").delete_object,
    }
    for (action, key), call in calls.items():
        answer = iam.simulate_principal_policy(
            PolicySourceArn=user.arn, ActionNames=[action], ResourceArns=[f"{arn}/{key}"]
        )
        (result,) = answer["EvaluationResults"]
        (of_resource,) = result["ResourceSpecificResults"]
        assert (result["EvalDecision"], result["EvalDecisionDetails"]) == (of_resource["EvalResourceDecision"], {})
        if result["EvalDecision"] == "allowed":
            call(Bucket=bucket, Key=key)
        else:
            assert refusal(call, Bucket=bucket, Key=key) == (403, "AccessDenied")
    assert result["EvalDecision"] == "implicitDeny"


def test_a_simulation_across_accounts(iam: Any, account: TestAccount, gateway: Gateway) -> None:
    owner = gateway.client("sts").get_caller_identity()["Account"]
    answer = iam.simulate_custom_policy(
        PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": allow("s3:GetObject")})],
        ActionNames=["s3:GetObject"],
        ResourceArns=["arn:aws:s3:::theirs/k"],
        ResourcePolicy=policy_text(statement("Allow", EVERYONE, "s3:GetObject", on="theirs/*")),
        ResourceOwner=f"arn:aws:iam::{owner}:root",
        CallerArn=f"arn:aws:iam::{account.account_id}:user/ann",
        ContextEntries=[{"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip", "ContextKeyValues": ["10.0.0.1"]}],
    )
    (result,) = answer["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"
    assert result["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "allowed"}
    assert [each["SourcePolicyId"] for each in result["MatchedStatements"]] == ["PolicyInputList.1", "ResourcePolicy"]


def test_authorization_details_in_pages(iam: Any, account: TestAccount) -> None:
    user = account.make_user(allow("s3:GetObject"))
    pages = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 1})
    (found,) = [each for page in pages for each in page["UserDetailList"] if each["UserName"] == user.name]
    assert found["UserPolicyList"][0]["PolicyDocument"]["Statement"] == [allow("s3:GetObject")]


def test_a_credential_report(iam: Any, account: TestAccount) -> None:
    user = account.make_user()
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    report = iam.get_credential_report()
    rows = {row["user"]: row for row in csv.DictReader(report["Content"].decode().splitlines())}
    assert rows["<root_account>"]["access_key_1_last_used_service"] == "iam"
    assert rows[user.name]["access_key_1_active"] == "true"
