"""AssumeRole: whom a role trusts, what a session is passed, how long it lasts, and chains of roles."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from iam.principals import IdentityPolicies, PolicyText, Principal, PrincipalKind, Session
from iam.session_tokens import PassedSession, SessionKind
from iam.sessions import Sessions
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, refusal

ROLE_ARN = f"arn:aws:iam::{ACCOUNT.account_id}:role/r"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT.account_id}:root"
USER_ARN = f"arn:aws:iam::{ACCOUNT.account_id}:user/ann"
OTHER_USER_ARN = f"arn:aws:iam::{OTHER_ACCOUNT.account_id}:user/bob"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ALL = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def trusting(principal: Any, *actions: str, effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Principal": principal, "Action": list(actions or ("sts:AssumeRole",))}
    return {**made, "Condition": condition} if condition else made


def may(*actions: str, effect: str = "Allow", on: str = "*", **condition: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": list(actions or ("sts:AssumeRole",)), "Resource": on}
    return {**made, "Condition": condition} if condition else made


@pytest.fixture
def role(client: Client) -> Client:
    """A client that is the user ann, who has no policy; bob is of another account."""
    for account in (OTHER_ACCOUNT, ACCOUNT):
        client.sign_in_as_root(account)
        client.ask("CreateUser", UserName="bob" if account is OTHER_ACCOUNT else "ann")
    trust = document(trusting({"AWS": ROOT_ARN}))
    client.ask("CreateRole", RoleName="r", AssumeRolePolicyDocument=trust, MaxSessionDuration=7200)
    client.sign_in("ann")
    return client


def trust(client: Client, *statements: dict[str, Any], name: str = "r") -> None:
    client.store.set_trust_policy(client.store.role(ACCOUNT.account_id, name), document(*statements))


def have(client: Client, *statements: dict[str, Any]) -> None:
    client.policies = IdentityPolicies((PolicyText("p", document(*statements)),) if statements else ())


def be_bob(client: Client) -> None:
    client.principal = client.store.user(OTHER_ACCOUNT.account_id, "bob").principal


def assume(client: Client, **parameters: Any) -> Any:
    return client.ask("AssumeRole", **{"RoleArn": ROLE_ARN, "RoleSessionName": "s1", **parameters})


def code(client: Client, **parameters: Any) -> str:
    return refusal(assume, client, **parameters)[0]


def opened(client: Client, answer: Any) -> Any:
    credentials = answer["Credentials"]
    return client.tokens.open(credentials["AccessKeyId"], credentials["SessionToken"])


def become(client: Client, answer: Any) -> None:
    """Be who the credentials are for."""
    credentials = answer["Credentials"]
    sessions = Sessions(client.tokens, client.store)
    found = sessions.credential(credentials["AccessKeyId"], credentials["SessionToken"], datetime.now(UTC))
    client.principal, client.policies, client.session = found.principal, found.policies, found.session


ANN, ACC, BOB = trusting({"AWS": USER_ARN}), trusting({"AWS": ROOT_ARN}), trusting({"AWS": OTHER_USER_ARN})
OTHERS = trusting({"AWS": OTHER_ACCOUNT.account_id})
ANYONE, NO_ANN = trusting({"AWS": "*"}), trusting({"AWS": USER_ARN}, effect="Deny")
MAY, MAY_NOT = may(), may(effect="Deny")

# Who asks, whom the role trusts, what the asker's policies say, and whether the role is assumed.
DECISIONS: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]], bool]] = [
    ("ann", [ANN], [], True),
    ("ann", [ANN], [MAY_NOT], False),
    ("ann", [ACC], [], False),
    ("ann", [ACC], [MAY], True),
    ("ann", [ACC], [may(on=ROLE_ARN)], True),
    ("ann", [ACC], [may(on=f"{ROLE_ARN}2")], False),
    ("ann", [ACC], [may("sts:TagSession")], False),
    ("ann", [ACC, NO_ANN], [MAY], False),
    ("ann", [BOB], [MAY], False),
    ("ann", [ANYONE], [], True),
    ("ann", [trusting({"Service": "ec2.amazonaws.com"})], [MAY], False),
    ("ann", [trusting({"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity")], [MAY], False),
    ("ann", [trusting({"AWS": USER_ARN}, "sts:TagSession")], [MAY], False),
    ("bob", [BOB], [], False),
    ("bob", [BOB], [MAY], True),
    ("bob", [OTHERS], [MAY], True),
    ("bob", [OTHERS], [], False),
    ("bob", [ANYONE], [], False),
    ("bob", [ANYONE], [MAY], True),
    ("bob", [ACC], [MAY], False),
    ("ann", [trusting({"AWS": USER_ARN}, StringEquals={"aws:PrincipalArn": USER_ARN})], [], True),
    ("ann", [trusting({"AWS": USER_ARN}, StringEquals={"aws:ResourceTag/team": "red"})], [], False),
    ("ann", [trusting({"AWS": USER_ARN}, StringEquals={"sts:RoleSessionName": "s1"})], [], True),
    ("ann", [trusting({"AWS": USER_ARN}, StringEquals={"sts:RoleSessionName": "${aws:username}"})], [], False),
    ("ann", [trusting({"AWS": USER_ARN}, Bool={"aws:MultiFactorAuthPresent": "true"})], [], False),
    ("ann", [ACC], [may(StringEquals={"aws:ResourceAccount": ACCOUNT.account_id})], True),
]


@pytest.mark.parametrize(("who", "trusted", "own", "is_allowed"), DECISIONS)
def test_who_may_assume_a_role(
    role: Client, who: str, trusted: list[dict[str, Any]], own: list[dict[str, Any]], is_allowed: bool
) -> None:
    trust(role, *trusted)
    have(role, *own)
    if who == "bob":
        be_bob(role)
        have(role, *own)
    if is_allowed:
        assume(role)
        return
    arn = role.principal.arn
    message = f"User: {arn} is not authorized to perform: sts:AssumeRole on resource: {ROLE_ARN}"
    assert refusal(assume, role) == ("AccessDenied", message)


def test_what_is_made(role: Client) -> None:
    have(role, MAY)
    answer = assume(role)
    made = role.store.role(ACCOUNT.account_id, "r")
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/r/s1"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{made.role_id}:s1", "Arn": arn}
    assert "PackedPolicySize" not in answer
    token = opened(role, answer)
    assert (token.kind, token.principal_id, token.name) == (SessionKind.ROLE, made.role_id, "s1")
    assert token.expires_us - token.issued_us == 3600 * 1_000_000
    assert made.last_use is not None
    become(role, answer)
    identity = role.ask("GetCallerIdentity")
    assert identity == {"Arn": arn, "UserId": f"{made.role_id}:s1", "Account": ACCOUNT.account_id}


def test_a_role_that_is_not_there_is_refused_as_one_that_trusts_nobody(role: Client) -> None:
    have(role, MAY)
    for arn in (f"{ROLE_ARN}2", f"arn:aws:iam::{ACCOUNT.account_id}:role/path/r", "arn:aws:iam::999999999999:role/r"):
        message = f"User: {USER_ARN} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        assert refusal(assume, role, RoleArn=arn) == ("AccessDenied", message)
    for arn in (f"arn:aws:iam::{ACCOUNT.account_id}:user/ann", "arn:aws:iam::aws:role/r2", "r" * 20, f"{ROLE_ARN}/"):
        assert code(role, RoleArn=arn) == "ValidationError"


def test_a_path_is_part_of_the_name(role: Client) -> None:
    role.sign_in_as_root()
    role.ask("CreateRole", RoleName="p", Path="/a/b/", AssumeRolePolicyDocument=document(ANN))
    role.sign_in("ann")
    answer = assume(role, RoleArn=f"arn:aws:iam::{ACCOUNT.account_id}:role/a/b/p")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/p/s1"
    become(role, answer)
    assert role.principal.issuer_arn == f"arn:aws:iam::{ACCOUNT.account_id}:role/a/b/p"


def test_a_suspended_account_is_not_entered(role: Client) -> None:
    trust(role, BOB)
    be_bob(role)
    have(role, MAY)
    assume(role)
    role.store.set_account_active(ACCOUNT.account_id, False)
    assert code(role) == "AccessDenied"


def test_root_users_assume_no_role(role: Client) -> None:
    role.sign_in_as_root()
    assert refusal(assume, role) == ("AccessDenied", "Roles may not be assumed by root accounts.")


def test_durations(role: Client) -> None:
    have(role, MAY)
    for asked, seconds in ((900, 900), (7200, 7200)):
        token = opened(role, assume(role, DurationSeconds=asked))
        assert token.expires_us - token.issued_us == seconds * 1_000_000
    message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert refusal(assume, role, DurationSeconds=7201) == ("ValidationError", message)
    for beyond in (899, 43201):
        assert code(role, DurationSeconds=beyond) == "ValidationError"


@pytest.mark.parametrize("name", ["s", "x" * 65, "a b", "a/b", "é1", ""])
def test_names_of_sessions(role: Client, name: str) -> None:
    have(role, MAY)
    assert code(role, RoleSessionName=name) == "ValidationError"


def test_an_external_id(role: Client) -> None:
    trust(role, trusting({"AWS": USER_ARN}, StringEquals={"sts:ExternalId": "secret-1"}))
    assert code(role) == "AccessDenied"
    assert code(role, ExternalId="secret-2") == "AccessDenied"
    assume(role, ExternalId="secret-1")
    trust(role, ANN)
    assume(role, ExternalId="whatever")


def test_no_second_factor_is_right(role: Client) -> None:
    trust(role, ANN)
    message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    serial = f"arn:aws:iam::{ACCOUNT.account_id}:mfa/ann"
    assert refusal(assume, role, SerialNumber=serial, TokenCode="123456") == ("AccessDenied", message)
    assert code(role, ProvidedContexts=[{"ProviderArn": ROLE_ARN, "ContextAssertion": "abcd"}]) == "NotImplemented"


def test_session_policies(role: Client) -> None:
    trust(role, ANN)
    answer = assume(role, Policy=POLICY, PolicyArns=[{"arn": READ_ONLY}])
    assert opened(role, answer).passed == PassedSession(POLICY, (READ_ONLY,))
    assert answer["PackedPolicySize"] > 0
    assert code(role, Policy="{}") == "MalformedPolicyDocument"
    assert code(role, Policy="x" * 2049) == "ValidationError"
    assert code(role, PolicyArns=[{"arn": READ_ONLY}] * 11) == "ValidationError"


def test_tags_need_a_right_of_their_own(role: Client) -> None:
    tags = [{"Key": "Team", "Value": "red"}, {"Key": "level", "Value": "1"}]
    trust(role, ANN)
    code_, message = refusal(assume, role, Tags=tags)
    assert (code_, "perform: sts:TagSession on" in message) == ("AccessDenied", True)
    trust(role, trusting({"AWS": USER_ARN}, *ALL))
    token = opened(role, assume(role, Tags=tags, TransitiveTagKeys=["team"]))
    assert token.passed == PassedSession(tags=(("Team", "red"), ("level", "1")), transitive=("team",))
    assert code(role, Tags=tags, TransitiveTagKeys=["other"]) == "InvalidParameterValue"
    assert code(role, Tags=[*tags, {"Key": "TEAM", "Value": ""}]) == "InvalidParameterValue"
    assert code(role, TransitiveTagKeys=["team"]) == "InvalidParameterValue"


def test_conditions_on_tags(role: Client) -> None:
    conditions = {
        "StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["Team", "level"], "sts:TransitiveTagKeys": ["Team"]},
    }
    trust(role, trusting({"AWS": USER_ARN}, *ALL, **conditions))
    red, level = {"Key": "Team", "Value": "red"}, {"Key": "level", "Value": "1"}
    assume(role, Tags=[red, level], TransitiveTagKeys=["Team"])
    assert code(role) == "AccessDenied"
    assert code(role, Tags=[{**red, "Value": "green"}]) == "AccessDenied"
    assert code(role, Tags=[red, {"Key": "more", "Value": ""}]) == "AccessDenied"
    assert code(role, Tags=[red, level], TransitiveTagKeys=["level"]) == "AccessDenied"


def test_session_tags_go_over_the_roles(role: Client) -> None:
    role.store.tag(role.store.role(ACCOUNT.account_id, "r"), (("team", "green"), ("other", "x")))
    trust(role, trusting({"AWS": USER_ARN}, *ALL))
    become(role, assume(role, Tags=[{"Key": "Team", "Value": "red"}]))
    assert dict(role.principal.tags) == {"Team": "red", "other": "x"}


def test_a_source_identity_needs_a_right_and_stays(role: Client) -> None:
    trust(role, ANN)
    assert "perform: sts:SetSourceIdentity on" in refusal(assume, role, SourceIdentity="alice")[1]
    trust(role, trusting({"AWS": USER_ARN}, *ALL, StringLike={"sts:SourceIdentity": ["a*"]}))
    answer = assume(role, SourceIdentity="alice")
    assert answer["SourceIdentity"] == "alice"
    assert code(role, SourceIdentity="bob") == "AccessDenied"
    make_second_role(role)
    become(role, answer)
    assert role.session is not None and role.session.source_identity == "alice"
    second = assume_second(role)
    assert second["SourceIdentity"] == "alice"
    assert code_of_second(role, SourceIdentity="bob") == "AccessDenied"
    assert assume_second(role, SourceIdentity="alice")["SourceIdentity"] == "alice"
    asked = {"StringEquals": {"aws:SourceIdentity": "alice"}}
    trust(role, trusting({"AWS": ROLE_ARN}, *ALL, **asked), name="second")
    assume_second(role)


SECOND_ARN = f"arn:aws:iam::{ACCOUNT.account_id}:role/second"


def make_second_role(client: Client, *actions: str) -> None:
    """One that trusts the first one."""
    before = client.principal
    client.sign_in_as_root()
    trusted = document(trusting({"AWS": ROLE_ARN}, *(actions or ALL)))
    client.ask("CreateRole", RoleName="second", AssumeRolePolicyDocument=trusted, MaxSessionDuration=7200)
    client.principal = before


def assume_second(client: Client, **parameters: Any) -> Any:
    return client.ask("AssumeRole", **{"RoleArn": SECOND_ARN, "RoleSessionName": "s2", **parameters})


def code_of_second(client: Client, **parameters: Any) -> str:
    return refusal(assume_second, client, **parameters)[0]


def test_chains_are_short(role: Client) -> None:
    trust(role, ANN)
    make_second_role(role)
    become(role, assume(role))
    token = opened(role, assume_second(role, DurationSeconds=3600))
    assert token.expires_us - token.issued_us == 3600 * 1_000_000
    message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    assert refusal(assume_second, role, DurationSeconds=3601) == ("ValidationError", message)


def test_transitive_tags_go_on(role: Client) -> None:
    trust(role, trusting({"AWS": USER_ARN}, *ALL))
    tags = [{"Key": "Team", "Value": "red"}, {"Key": "level", "Value": "1"}]
    make_second_role(role)
    become(role, assume(role, Tags=tags, TransitiveTagKeys=["Team"]))
    token = opened(role, assume_second(role, Tags=[{"Key": "more", "Value": "x"}], TransitiveTagKeys=["more"]))
    assert token.passed == PassedSession(tags=(("Team", "red"), ("more", "x")), transitive=("Team", "more"))
    assert code_of_second(role, Tags=[{"Key": "TEAM", "Value": "blue"}]) == "InvalidParameterValue"
    trust(role, trusting({"AWS": ROLE_ARN}), name="second")
    assert "perform: sts:TagSession on" in refusal(assume_second, role)[1]


def test_a_session_token_assumes_as_its_user(role: Client) -> None:
    trust(role, ANN)
    become(role, role.ask("GetSessionToken"))
    assume(role, DurationSeconds=7200)


def test_a_boundary_and_session_policies_hold_for_the_role_named_by_its_session(role: Client) -> None:
    """Of a trust policy that names a role, its sessions have what their limits leave them."""
    trust(role, ANN)
    make_second_role(role)
    become(role, assume(role, Policy=POLICY))
    assert code_of_second(role) == "AccessDenied"
    become(role, replace_policy(role, document(may())))
    assume_second(role)


def replace_policy(client: Client, policy: str) -> Any:
    client.sign_in("ann")
    client.session = None
    return assume(client, Policy=policy)


def test_federated_users_assume_no_role(role: Client) -> None:
    trust(role, ANYONE)
    role.principal = replace(role.principal, kind=PrincipalKind.FEDERATED_USER)
    role.session = Session(1, 2)
    assert code(role) == "AccessDenied"


def test_conditions_on_when_a_session_was_made(role: Client) -> None:
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/x/s"
    role.principal = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT.account_id, arn, "AROAX:s")
    trust(role, trusting({"AWS": ROOT_ARN}, DateGreaterThan={"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}))
    have(role, MAY)
    role.session = Session(int(datetime(2021, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000, 1)
    assume(role)
    role.session = Session(1, 1)
    assert code(role) == "AccessDenied"
