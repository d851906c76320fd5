"""Session tokens over the whole edge, each service in its own words; time is what the token says."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from botocore.credentials import Credentials

from iam.credentials import new_secret, new_temporary_key_id
from iam.session_tokens import PassedSession, SessionKind, SessionToken
from tests.gateway.gateway_in_process import ACCOUNT_ID, Answer, InProcessGateway

MINUTE_US = 60_000_000


def session(gateway: InProcessGateway, token: SessionToken) -> Credentials:
    access_key_id = new_temporary_key_id(ACCOUNT_ID)
    text = gateway.tokens.seal(access_key_id, token)
    return Credentials(access_key_id, token.secret.reveal().decode(), text)


def root_session(*, begins_us: int, ends_us: int) -> SessionToken:
    now_us = time.time_ns() // 1000
    return SessionToken(SessionKind.SAME, new_secret(), now_us + begins_us, now_us + ends_us, ACCOUNT_ID, ACCOUNT_ID)


async def ask_s3(gateway: InProcessGateway, credentials: Credentials) -> Answer:
    return await gateway.call("GET", "/ledger", query={"list-type": "2"}, credentials=credentials)


async def ask_kms(gateway: InProcessGateway, credentials: Credentials) -> tuple[int, str, str]:
    headers = {"X-Amz-Target": "TrentService.ListKeys", "Content-Type": "application/x-amz-json-1.1"}
    answer = await gateway.call("POST", "/", headers=headers, body=b"{}", credentials=credentials, service="kms")
    document = json.loads(answer.body)
    return answer.status, document.get("__type", ""), document.get("message", "")


async def ask_query(gateway: InProcessGateway, credentials: Credentials, service: str = "sts") -> Answer:
    form = {
        "sts": b"Action=GetCallerIdentity&Version=2011-06-15",
        "iam": b"Action=ListUsers&Version=2010-05-08",
    }[service]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await gateway.call("POST", "/", headers=headers, body=form, credentials=credentials, service=service)


async def test_a_session_is_let_in(gateway: InProcessGateway) -> None:
    credentials = session(gateway, root_session(begins_us=-MINUTE_US, ends_us=MINUTE_US))
    assert (await ask_s3(gateway, credentials)).status == 200
    assert (await ask_kms(gateway, credentials))[0] == 200
    assert (await ask_query(gateway, credentials)).text("Arn") == f"arn:aws:iam::{ACCOUNT_ID}:root"


async def test_an_expired_session(gateway: InProcessGateway) -> None:
    credentials = session(gateway, root_session(begins_us=-MINUTE_US, ends_us=-1))
    answer = await ask_s3(gateway, credentials)
    assert (answer.status, answer.code) == (400, "ExpiredToken")
    assert answer.text("Message") == "The provided token has expired."
    expired = "The security token included in the request is expired"
    assert await ask_kms(gateway, credentials) == (400, "ExpiredTokenException", expired)
    for service in ("sts", "iam"):
        answer = await ask_query(gateway, credentials, service)
        assert (answer.status, answer.code, answer.text("Message")) == (403, "ExpiredToken", expired)


def altered(credentials: Credentials, kind: str) -> Credentials:
    match kind:
        case "token":
            return Credentials(credentials.access_key, credentials.secret_key, credentials.token[:-8] + "AAAAAAAA")
        case "key":
            return Credentials(new_temporary_key_id(ACCOUNT_ID), credentials.secret_key, credentials.token)
        case "long-term":
            return Credentials("AKIAIOSFODNN7EXAMPLE", credentials.secret_key, credentials.token)
    return Credentials(credentials.access_key, credentials.secret_key)


INVALID = (
    (400, "InvalidToken"),
    (400, "UnrecognizedClientException", "The security token included in the request is invalid."),
)
UNKNOWN = ((403, "InvalidAccessKeyId"), INVALID[1])


@pytest.mark.parametrize(
    ("kind", "answers"), [("token", INVALID), ("key", INVALID), ("long-term", INVALID), ("no token", UNKNOWN)]
)
async def test_keys_and_tokens_that_do_not_go_together(
    gateway: InProcessGateway, kind: str, answers: tuple[tuple[int, str], tuple[int, str, str]]
) -> None:
    good = session(gateway, root_session(begins_us=-MINUTE_US, ends_us=MINUTE_US))
    credentials = altered(good, kind)
    answer = await ask_s3(gateway, credentials)
    assert (answer.status, answer.code) == answers[0]
    if kind != "no token":
        assert answer.text("Message") == "The provided token is malformed or otherwise invalid."
    assert await ask_kms(gateway, credentials) == answers[1]
    query = await ask_query(gateway, credentials)
    assert (query.status, query.code) == (403, "InvalidClientTokenId")


async def test_a_user_that_is_gone(gateway: InProcessGateway) -> None:
    token = replace(root_session(begins_us=-MINUTE_US, ends_us=MINUTE_US), principal_id="AIDAGONEGONEGONEGONE2")
    credentials = session(gateway, token)
    answer = await ask_s3(gateway, credentials)
    assert (answer.status, answer.code) == UNKNOWN[0]
    assert await ask_kms(gateway, credentials) == UNKNOWN[1]
    assert (await ask_query(gateway, credentials)).code == "InvalidClientTokenId"


async def test_a_federated_user_acts_within_its_policies(gateway: InProcessGateway) -> None:
    policy = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    root = root_session(begins_us=-MINUTE_US, ends_us=MINUTE_US)
    passed = PassedSession(text)
    credentials = session(gateway, replace(root, kind=SessionKind.FEDERATED_USER, name="bob", passed=passed))
    assert (await ask_s3(gateway, credentials)).status == 200
    status, code, message = await ask_kms(gateway, credentials)
    assert (status, code) == (400, "AccessDeniedException")
    assert message.startswith(f"User: arn:aws:sts::{ACCOUNT_ID}:federated-user/bob is not authorized")
    assert message.endswith("because no session policy allows the kms:ListKeys action")
    assert (await ask_query(gateway, credentials, "iam")).code == "InvalidClientTokenId"
