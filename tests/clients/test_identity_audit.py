"""Changes of identities in the audit trail of a real gateway: by the API and by commands."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.checks import error_of
from tests.clients.users import allow, client_of, make_account
from tests.harness import Gateway, wait_until

Tail = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


@pytest.fixture
def tail(gateway: Gateway) -> Tail:
    """The lines with this text in them."""

    def run(text: str) -> list[dict[str, Any]]:
        output = gateway.sealgate("audit", "tail", "--json", str(gateway.data)).stdout
        return [json.loads(line) for line in output.split("\n") if line and text in line]

    return run


def request_id(response: Any) -> str:
    return str(response["ResponseMetadata"]["RequestId"])


def test_the_life_of_a_user_is_told_line_by_line(iam: Any, tail: Tail, gateway: Gateway) -> None:
    name = f"user-{uuid.uuid4()}"
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:GetObject")]})
    made = iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": "a"}])
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.list_users()
    client = client_of(gateway, "iam", key["AccessKeyId"], key["SecretAccessKey"])
    refused = error_of(client.delete_user, UserName=name)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    lines = tail(name)
    names = ["CreateUser", "PutUserPolicy", "CreateAccessKey", "DeleteUser", "DeleteAccessKey"]
    assert [line["eventName"] for line in lines] == names
    assert {line["eventSource"] for line in lines} == {"iam.amazonaws.com"}
    assert lines[0]["requestID"] == request_id(made)
    assert lines[0]["requestParameters"] == {"userName": name, "tags": [{"key": "team", "value": "a"}]}
    assert lines[0]["responseElements"]["user"]["arn"] == made["User"]["Arn"]
    assert lines[1]["requestParameters"]["policyDocument"] == document
    assert lines[2]["responseElements"]["accessKey"]["accessKeyId"] == key["AccessKeyId"]
    assert (lines[3]["errorCode"], lines[3]["requestID"]) == ("AccessDenied", request_id(refused))
    assert lines[3]["userIdentity"]["arn"] == made["User"]["Arn"]
    [decision] = lines[3]["decisions"]
    assert (decision["action"], decision["decision"]) == ("iam:DeleteUser", "Deny")
    assert decision["decidedBy"] == f"no identity-based policy allows it (user {name} policy p)"
    assert key["SecretAccessKey"] not in json.dumps(tail(""))
    assert "The trail is whole." in gateway.sealgate("audit", "verify", str(gateway.data)).stdout


def test_session_tokens_are_told_without_themselves(gateway: Gateway, tail: Tail) -> None:
    answer = gateway.client("sts").get_session_token()
    [line] = tail(request_id(answer))
    made = answer["Credentials"]
    assert (line["eventSource"], line["eventName"]) == ("sts.amazonaws.com", "GetSessionToken")
    assert line["responseElements"]["credentials"]["accessKeyId"] == made["AccessKeyId"]
    assert not [name for name in ("SecretAccessKey", "SessionToken") if made[name] in json.dumps(line)]


def test_acts_of_commands_are_told_and_those_that_failed_are_not(gateway: Gateway, tail: Tail) -> None:
    data, account = str(gateway.data), make_account(gateway)
    user = account.make_user(allow("s3:GetObject"))
    gateway.sealgate("access-key", "disable", data, user.access_key_id)
    failed = gateway.sealgate("user", "delete", data, user.name, "--account", account.account_id, check=False)
    assert failed.returncode == 1
    wanted = ["CreateAccount", "CreateAccessKey", "CreateUser", "CreateAccessKey", "PutUserPolicy", "DisableAccessKey"]

    def told() -> bool:
        return [line["eventName"] for line in acts()] == wanted

    def acts() -> list[dict[str, Any]]:
        lines = [*tail(account.account_id), *tail(user.access_key_id)]
        unique = {line["eventID"]: line for line in lines if line["eventType"] == "AwsServiceEvent"}
        return sorted(unique.values(), key=lambda line: int(line["seq"]))

    wait_until(told, "kmsd took the acts into the trail")
    assert acts()[-1]["serviceEventDetails"] == {"accessKeyId": user.access_key_id}
    assert acts()[4]["serviceEventDetails"]["userArn"] == user.arn
    assert user.secret_access_key not in json.dumps(tail(""))
