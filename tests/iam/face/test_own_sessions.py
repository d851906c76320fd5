"""GetSessionToken, GetFederationToken, GetAccessKeyInfo, DecodeAuthorizationMessage, and what sessions cannot call."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from iam.credentials import new_temporary_key_id
from iam.face.session_limits import check_session
from iam.managed_policies import ManagedPolicy
from iam.principals import Caller, Principal, PrincipalKind, Session
from iam.session_tokens import PassedSession, SessionKind
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, allow, refusal

HOUR = 3600
SESSION = Session(1, 2)
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def sign_in(client: Client, *actions: str, **condition: Any) -> None:
    client.ask("CreateUser", UserName="ann")
    client.sign_in("ann")
    if actions:
        allow(client, "ann", *actions, **condition)


def seconds_of(answer: Any) -> float:
    """How long the credentials are good, to the second before."""
    ends = datetime.strptime(answer["Credentials"]["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return (ends - datetime.now(UTC)).total_seconds()


def opened(client: Client, answer: Any) -> Any:
    credentials = answer["Credentials"]
    token = client.tokens.open(credentials["AccessKeyId"], credentials["SessionToken"])
    assert token.secret.reveal().decode() == credentials["SecretAccessKey"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    return token


def test_a_users_session_token(client: Client) -> None:
    sign_in(client)
    answer = client.ask("GetSessionToken")
    token = opened(client, answer)
    assert (token.kind, token.account_id) == (SessionKind.SAME, ACCOUNT.account_id)
    assert token.principal_id == client.principal.principal_id
    assert 12 * HOUR - 5 < seconds_of(answer) <= 12 * HOUR
    assert 895 < seconds_of(client.ask("GetSessionToken", DurationSeconds=900)) <= 900
    assert seconds_of(client.ask("GetSessionToken", DurationSeconds=129600)) > 36 * HOUR - 5


@pytest.mark.parametrize(("asked", "given"), [(None, HOUR), (900, 900), (36 * HOUR, HOUR)])
def test_a_root_users_session_is_short(client: Client, asked: int | None, given: int) -> None:
    duration = {} if asked is None else {"DurationSeconds": asked}
    for operation, more in (("GetSessionToken", {}), ("GetFederationToken", {"Name": "bob"})):
        answer = client.ask(operation, **duration, **more)
        assert given - 5 < seconds_of(answer) <= given
        assert opened(client, answer).principal_id == ACCOUNT.account_id


@pytest.mark.parametrize("seconds", [899, 129601, 0, -1])
def test_durations_are_bounded(client: Client, seconds: int) -> None:
    assert refusal(client.ask, "GetSessionToken", DurationSeconds=seconds)[0] == "ValidationError"
    assert refusal(client.ask, "GetFederationToken", Name="bob", DurationSeconds=seconds)[0] == "ValidationError"


def test_no_second_factor_is_right(client: Client) -> None:
    message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    serial = f"arn:aws:iam::{ACCOUNT.account_id}:mfa/ann"
    assert refusal(client.ask, "GetSessionToken", SerialNumber=serial, TokenCode="123456") == ("AccessDenied", message)
    assert refusal(client.ask, "GetSessionToken", TokenCode="123456") == ("AccessDenied", message)


def test_a_federation_token(client: Client) -> None:
    sign_in(client, "sts:GetFederationToken")
    answer = client.ask("GetFederationToken", Name="bob", Policy=POLICY, PolicyArns=[{"arn": READ_ONLY}])
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:federated-user/bob"
    assert answer["FederatedUser"] == {"FederatedUserId": f"{ACCOUNT.account_id}:bob", "Arn": arn}
    assert 0 < answer["PackedPolicySize"] < 100
    token = opened(client, answer)
    assert (token.kind, token.name, token.principal_id) == (
        SessionKind.FEDERATED_USER, "bob", client.principal.principal_id
    )  # fmt: skip
    assert token.passed == PassedSession(POLICY, (READ_ONLY,))
    assert "PackedPolicySize" not in client.ask("GetFederationToken", Name="bob")


def test_a_federation_token_needs_its_permissions(client: Client) -> None:
    sign_in(client)
    code, message = refusal(client.ask, "GetFederationToken", Name="bob")
    assert code == "AccessDenied"
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:federated-user/bob"
    assert f"is not authorized to perform: sts:GetFederationToken on resource: {arn} because" in message
    allow(client, "ann", "sts:GetFederationToken")
    tags = [{"Key": "team", "Value": "red"}]
    code, message = refusal(client.ask, "GetFederationToken", Name="bob", Tags=tags)
    assert (code, "sts:TagSession" in message) == ("AccessDenied", True)
    red = {"StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    allow(client, "ann", "sts:GetFederationToken", "sts:TagSession", on=arn, **red)
    token = opened(client, client.ask("GetFederationToken", Name="bob", Tags=tags))
    assert token.passed.tags == (("team", "red"),)
    assert refusal(client.ask, "GetFederationToken", Name="bob", Tags=[{"Key": "team", "Value": "blue"}])[0] == (
        "AccessDenied"
    )
    assert refusal(client.ask, "GetFederationToken", Name="eve", Tags=tags)[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "a", "Value": ""}, {"Key": "A", "Value": "b"}], "InvalidParameterValue"),
        ([{"Key": "aws:a", "Value": ""}], "InvalidParameterValue"),
        ([{"Key": "a?", "Value": ""}], "ValidationError"),
        ([{"Key": "a", "Value": "v" * 257}], "ValidationError"),
        ([{"Key": f"k{number}", "Value": ""} for number in range(51)], "ValidationError"),
        ([{"Key": "a"}], "ValidationError"),
    ],
)
def test_tags_that_are_none(client: Client, tags: list[dict[str, str]], code: str) -> None:
    assert refusal(client.ask, "GetFederationToken", Name="bob", Tags=tags)[0] == code


def test_policies_that_cannot_be_passed(client: Client) -> None:
    other = ManagedPolicy("ANPA1", OTHER_ACCOUNT.account_id, "own", "/", "", 1, 1, 1)
    client.store.create_policy(other, POLICY)

    def code(**parameters: Any) -> str:
        return refusal(client.ask, "GetFederationToken", Name="bob", **parameters)[0]

    assert code(Policy="{}") == "MalformedPolicyDocument"
    assert code(Policy="x" * 2049) == "ValidationError"
    assert (
        code(Policy=POLICY.replace("}]}", f"}}]{' ' * 1950}}}"), PolicyArns=[{"arn": READ_ONLY}]) == "ValidationError"
    )
    assert code(PolicyArns=[{"arn": other.arn}]) == "MalformedPolicyDocument"
    assert code(PolicyArns=[{"arn": f"arn:aws:iam::{ACCOUNT.account_id}:policy/nobodys"}]) == "MalformedPolicyDocument"
    assert code(PolicyArns=[{"arn": "arn:aws:iam::aws:role/a-role"}]) == "MalformedPolicyDocument"
    assert code(PolicyArns=[{"arn": READ_ONLY}] * 11) == "ValidationError"


def test_what_does_not_fit_is_told_by_how_much(client: Client) -> None:
    noise = [base64.b64encode(bytes((place * 37 + at * at * 11) % 251 for at in range(180))).decode() for place in
             range(50)]  # fmt: skip
    tags = [{"Key": f"{place}{text[:100]}", "Value": text[:240][::-1]} for place, text in enumerate(noise)]
    code, message = refusal(client.ask, "GetFederationToken", Name="bob", Tags=tags)
    assert code == "PackedPolicyTooLarge"
    percent = int(message.removeprefix("Packed policy consumes ").partition("%")[0])
    assert percent > 100


def test_an_unknown_member_is_never_ignored(client: Client) -> None:
    for operation, more in (("GetSessionToken", {}), ("GetFederationToken", {"Name": "bob"})):
        assert refusal(client.ask, operation, MinimumSessionTokenSize=100, **more)[0] == "NotImplemented"


@pytest.mark.parametrize("kind", [PrincipalKind.USER, PrincipalKind.ROOT, PrincipalKind.FEDERATED_USER])
def test_what_sessions_cannot_call(client: Client, kind: PrincipalKind) -> None:
    """Whatever policies say: the root user's session may do everything else."""
    client.principal = Principal(kind, ACCOUNT.account_id, "arn", "id")
    client.session = SESSION
    assert refusal(client.ask, "ListUsers") == (
        "InvalidClientTokenId", "The security token included in the request is invalid."
    )  # fmt: skip
    assert client.ask("GetCallerIdentity")["Arn"] == "arn"
    for operation, more in (
        ("GetSessionToken", {}),
        ("GetFederationToken", {"Name": "bob"}),
        ("GetAccessKeyInfo", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}),
        ("DecodeAuthorizationMessage", {"EncodedMessage": "m"}),
    ):
        code, message = refusal(client.ask, operation, **more)
        assert (code, message) == ("AccessDenied", f"Cannot call {operation} with session credentials")


@pytest.mark.parametrize("kind", [PrincipalKind.USER, PrincipalKind.ROOT, PrincipalKind.FEDERATED_USER])
def test_other_services_are_not_barred(kind: PrincipalKind) -> None:
    principal = Principal(kind, ACCOUNT.account_id, "arn", "id")
    check_session(Caller(principal, "r", session=SESSION), "organizations", "ListAccounts")


def test_sessions_of_roles_call_iam_and_get_no_further_tokens(client: Client) -> None:
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/r/s"
    client.principal = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT.account_id, arn, "AROA1:s")
    client.session = SESSION
    assert refusal(client.ask, "ListUsers")[0] == "AccessDenied"
    for operation, more in (("GetSessionToken", {}), ("GetFederationToken", {"Name": "bob"})):
        assert "with session credentials" in refusal(client.ask, operation, **more)[1]


def test_the_account_of_an_access_key(client: Client) -> None:
    sign_in(client)
    made = new_temporary_key_id(OTHER_ACCOUNT.account_id)
    assert refusal(client.ask, "GetAccessKeyInfo", AccessKeyId=made)[0] == "AccessDenied"
    allow(client, "ann", "sts:GetAccessKeyInfo")
    assert client.ask("GetAccessKeyInfo", AccessKeyId=made) == {"Account": OTHER_ACCOUNT.account_id}
    client.sign_in_as_root()
    key = client.ask("CreateAccessKey", UserName="ann")["AccessKey"]["AccessKeyId"]
    assert client.ask("GetAccessKeyInfo", AccessKeyId=key) == {"Account": ACCOUNT.account_id}
    for unknown in ("AKIAIOSFODNN7EXAMPLE", new_temporary_key_id("999999999999"), "ASIA7777777777777777"):
        assert refusal(client.ask, "GetAccessKeyInfo", AccessKeyId=unknown)[0] == "ValidationError"


def test_there_are_no_encoded_messages(client: Client) -> None:
    sign_in(client)
    assert refusal(client.ask, "DecodeAuthorizationMessage", EncodedMessage="m")[0] == "AccessDenied"
    allow(client, "ann", "sts:DecodeAuthorizationMessage")
    code = refusal(client.ask, "DecodeAuthorizationMessage", EncodedMessage="m")[0]
    assert code == "InvalidAuthorizationMessageException"


def test_conditions_about_sessions(client: Client) -> None:
    """The time of a session is asked for by policies that end the older ones (AWSRevokeOlderSessions)."""
    older = {"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/r/s"
    client.principal = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT.account_id, arn, "AROA1:s")
    statements = [
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": older},
    ]
    client.set_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    for year, outcome in ((2019, "AccessDenied"), (2021, None)):
        client.session = Session(int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1_000_000), 1)
        if outcome is None:
            assert client.ask("ListUsers")["Users"] == []
        else:
            assert refusal(client.ask, "ListUsers")[0] == outcome
