"""STS GetCallerIdentity by boto3, aws-cli and presigned URL, and how the query services refuse."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from tests.clients.checks import error_of, headers_of
from tests.clients.raw import Answer, RawClient
from tests.clients.users import accounts, deny, make_user
from tests.harness import REGION, Gateway

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
STS_VERSION = "2011-06-15"
IAM_VERSION = "2010-05-08"


def ask(raw: RawClient, form: str | bytes, *, service: str = "sts", method: str = "POST", **options: Any) -> Answer:
    body = form if isinstance(form, bytes) else form.encode()
    return raw.request(method, "/", FORM, body, service=service, **options)


def test_the_root_user_is_itself(gateway: Gateway) -> None:
    identity = gateway.client("sts").get_caller_identity()
    account_id = accounts(gateway)[0]
    assert (identity["Account"], identity["UserId"]) == (account_id, account_id)
    assert identity["Arn"] == f"arn:aws:iam::{account_id}:root"
    assert identity["ResponseMetadata"]["RequestId"] == headers_of(identity)["x-amzn-requestid"]
    assert headers_of(identity)["content-type"] == "text/xml"


def test_no_policy_can_deny_it(gateway: Gateway) -> None:
    user = make_user(gateway, deny("*"))
    identity = user.client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (user.account_id, user.arn)
    assert identity["UserId"].startswith("AIDA")


def test_aws_cli_asks_who_it_is(gateway: Gateway) -> None:
    told = gateway.aws("sts", "get-caller-identity", "--query", "Arn", "--output", "text").stdout.strip()
    assert told == gateway.client("sts").get_caller_identity()["Arn"]


def test_a_presigned_url_tells_who_signed_it(gateway: Gateway) -> None:
    url = gateway.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert f"<Account>{accounts(gateway)[0]}</Account>".encode() in answer.read()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"), timeout=30)
    with caught.value as refused:
        assert refused.code == 403
        assert b"<Code>SignatureDoesNotMatch</Code>" in refused.read()


def test_nobody_is_refused(gateway: Gateway) -> None:
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("sts", endpoint_url=gateway.endpoint_url, region_name=REGION, config=config)
    refused = error_of(client.get_caller_identity)
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refused["Error"]["Type"] == "Sender"
    assert refused["Error"]["Code"] == "MissingAuthenticationToken"


def test_wrong_credentials_are_told_apart(gateway: Gateway, raw: RawClient) -> None:
    form = f"Action=GetCallerIdentity&Version={STS_VERSION}"
    wrong = RawClient(gateway, secret="wrong")
    assert ask(wrong, form).refusal == (403, "SignatureDoesNotMatch")
    assert ask(RawClient(gateway, access_key_id="AKIAUNKNOWNUNKNOWN12"), form).refusal == (403, "InvalidClientTokenId")
    for service in ("iam", "s3"):
        misdirected = ask(raw, form, service=service)
        assert misdirected.refusal == (403, "SignatureDoesNotMatch")
        assert misdirected.message == "Credential should be scoped to correct service: 'sts'."
    assert ask(raw, form, region="eu-nowhere-1").refusal == (403, "SignatureDoesNotMatch")


def test_clocks_may_be_a_quarter_of_an_hour_apart(raw: RawClient) -> None:
    form = f"Action=GetCallerIdentity&Version={STS_VERSION}"
    now = datetime.now(UTC)
    for minutes in (-14, 14):
        assert ask(raw, form, now=now + timedelta(minutes=minutes)).status == 200
    late, early = (ask(raw, form, now=now + timedelta(minutes=minutes)) for minutes in (-16, 16))
    assert late.refusal == early.refusal == (403, "SignatureDoesNotMatch")
    assert re.fullmatch(r"Signature expired: \S+Z is now earlier than \S+Z \(\S+Z - 15 min\.\)", late.message)
    assert re.fullmatch(r"Signature not yet current: \S+Z is still later than \S+Z \(\S+Z \+ 15 min\.\)", early.message)


def test_the_body_is_signed(raw: RawClient) -> None:
    form = f"Action=GetCallerIdentity&Version={STS_VERSION}".encode()
    signed = raw.sign_body("POST", "/", FORM, form, service="sts")
    assert raw.send("POST", "/", signed.headers, form).status == 200
    assert raw.send("POST", "/", signed.headers, form + b"&x=y").refusal == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ("", (400, "MissingAction")),
        (f"Version={STS_VERSION}", (400, "MissingAction")),
        ("Action=GetCallerIdentity", (400, "InvalidAction")),
        (f"Action=GetCallerIdentity&Version={IAM_VERSION}", (400, "InvalidAction")),
        (f"Action=CreateUser&Version={STS_VERSION}", (400, "InvalidAction")),
        ("Action=GetCallerIdentity&Version=2000-01-01", (400, "InvalidAction")),
        (f"Action=Nothing&Version={STS_VERSION}", (400, "InvalidAction")),
        (f"Action=AssumeRoleWithSAML&Version={STS_VERSION}", (501, "NotImplemented")),
        ("Action=%ff", (404, "MalformedQueryString")),
        (b"Action=\xff", (404, "MalformedQueryString")),
        ("Action=a&Action=b", (404, "MalformedQueryString")),
        (b"x" * (256 * 1024 + 1), (413, "RequestEntityTooLarge")),
    ],
)
def test_bad_queries(raw: RawClient, form: str | bytes, refusal: tuple[int, str]) -> None:
    service = "iam" if STS_VERSION not in str(form) else "sts"
    answer = ask(raw, form, service=service)
    assert answer.refusal == refusal
    assert answer.element("RequestId") == answer.headers["x-amzn-requestid"]


def test_the_message_of_an_unknown_action(raw: RawClient) -> None:
    answer = ask(raw, "Action=Nothing", service="iam")
    assert answer.message == "Could not find operation Nothing for version NO_VERSION_SPECIFIED"


def test_s3_and_kms_are_asked_as_ever(gateway: Gateway, raw: RawClient, bucket: str) -> None:
    assert raw.request("GET", "/?x=Action=").status == 200
    assert gateway.client("kms").list_keys()["Keys"] is not None
    answer = raw.request("POST", f"/{bucket}?delete", FORM, b"")
    assert answer.code != "MissingAction"


def test_operations_are_named_in_metrics(gateway: Gateway) -> None:
    gateway.client("sts").get_caller_identity()
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=30) as answer:
        assert 'operation="sts:GetCallerIdentity"' in answer.read().decode()
