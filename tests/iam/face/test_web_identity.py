"""AssumeRoleWithWebIdentity: what a token has to be, whom a role trusts for it, and what its session is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from iam.jose import VerificationKey, parse_key_set
from iam.principals import ANONYMOUS, PolicyText
from iam.session_tokens import PassedSession, SessionKind
from iam.sessions import Sessions
from iam.web_identity import KeysUnavailable, KeysWrong
from tests.iam.face.identity_service import ACCOUNT, OTHER_ACCOUNT, POLICY, Client, identity_client, refusal
from tests.oidc_issuer import AUDIENCE, SUBJECT, Signer

ISSUER = "https://issuer.example.com/realms/A"
NAME = ISSUER.removeprefix("https://")
KEY = NAME.lower()
PROVIDER = f"arn:aws:iam::{ACCOUNT.account_id}:oidc-provider/{NAME}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT.account_id}:role/r"
ALL = ("sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity")
SIGNER = Signer()
NOT_AUTHORISED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")


class Keys:
    """A `KeySource` that knows what it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.error: Exception | None = None

    async def keys(self, issuer: str, key_id: str | None) -> tuple[VerificationKey, ...]:
        self.asked.append((issuer, key_id))
        if self.error is not None:
            raise self.error
        return parse_key_set(SIGNER.key_set())


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def client(tmp_path: Path, keys: Keys) -> Iterator[Client]:
    """Anonymous; the account has a provider, and a role that trusts it."""
    with identity_client(tmp_path, keys) as made:
        made.ask("CreateOpenIDConnectProvider", Url=ISSUER, ClientIDList=[AUDIENCE, "other"])
        made.ask("CreateRole", RoleName="r", AssumeRolePolicyDocument=document(trusting()), MaxSessionDuration=7200)
        made.principal = ANONYMOUS
        yield made


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def trusting(principal: Any = None, *actions: str, effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    trusted = {"Federated": PROVIDER} if principal is None else principal
    made = {"Effect": effect, "Principal": trusted, "Action": list(actions or ALL[:1])}
    return {**made, "Condition": condition} if condition else made


def trust(client: Client, *statements: dict[str, Any]) -> None:
    client.store.set_trust_policy(client.store.role(ACCOUNT.account_id, "r"), document(*statements))


def show(client: Client, token: str | None = None, **parameters: Any) -> Any:
    shown = SIGNER.token(ISSUER) if token is None else token
    asked = {"RoleArn": ROLE_ARN, "RoleSessionName": "app", "WebIdentityToken": shown, **parameters}
    return client.ask("AssumeRoleWithWebIdentity", **asked)


def refused(client: Client, *, header: dict[str, Any] | None = None, **claims: Any) -> tuple[str, str]:
    return refusal(show, client, SIGNER.token(ISSUER, header, **claims))


def test_what_is_made(client: Client, keys: Keys) -> None:
    answer = show(client, Policy=POLICY, DurationSeconds=900)
    assert keys.asked == [(ISSUER, "key-1")]
    role = client.store.role(ACCOUNT.account_id, "r")
    arn = f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/r/app"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role.role_id}:app", "Arn": arn}
    assert (answer["SubjectFromWebIdentityToken"], answer["Audience"]) == (SUBJECT, AUDIENCE)
    assert answer["Provider"] == ISSUER
    credentials = answer["Credentials"]
    token = client.tokens.open(credentials["AccessKeyId"], credentials["SessionToken"])
    assert (token.kind, token.principal_id, token.passed) == (SessionKind.ROLE, role.role_id, PassedSession(POLICY))
    assert token.expires_us - token.issued_us == 900_000_000
    assert (token.provider, token.claims) == (PROVIDER, ((f"{KEY}:aud", (AUDIENCE,)), (f"{KEY}:sub", (SUBJECT,))))
    found = Sessions(client.tokens, client.store).credential(
        credentials["AccessKeyId"], credentials["SessionToken"], datetime.now(UTC)
    )
    assert found.session is not None and found.session.federated_provider == PROVIDER
    assert role.last_use is not None or client.store.role(ACCOUNT.account_id, "r").last_use is not None


def test_conditions_ask_during_the_session(client: Client) -> None:
    only_it = {"StringEquals": {f"{NAME}:sub": SUBJECT, "aws:FederatedProvider": PROVIDER}}
    statement = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": only_it}
    role = client.store.role(ACCOUNT.account_id, "r")
    client.store.put_inline_policy(role, PolicyText("p", document(statement)))
    for claims, is_allowed in (({}, True), ({"sub": "another"}, False)):
        credentials = show(client, SIGNER.token(ISSUER, **claims))["Credentials"]
        sessions = Sessions(client.tokens, client.store)
        found = sessions.credential(credentials["AccessKeyId"], credentials["SessionToken"], datetime.now(UTC))
        client.principal, client.policies, client.session = found.principal, found.policies, found.session
        if is_allowed:
            assert client.ask("ListUsers")["Users"] == []
        else:
            assert refusal(client.ask, "ListUsers")[0] == "AccessDenied"
        client.principal, client.session = ANONYMOUS, None


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW - 1}, "ExpiredTokenException"),
        ({"exp": None}, "InvalidIdentityToken"),
        ({"exp": True}, "InvalidIdentityToken"),
        ({"exp": "soon"}, "InvalidIdentityToken"),
        ({"exp": 1e300}, "InvalidIdentityToken"),
        ({"iat": None}, "InvalidIdentityToken"),
        ({"iat": NOW + 3600, "exp": NOW + 7200}, "IDPRejectedClaim"),
        ({"nbf": NOW + 3600, "exp": NOW + 7200}, "IDPRejectedClaim"),
        ({"nbf": "now"}, "InvalidIdentityToken"),
        ({"aud": "nobody"}, "InvalidIdentityToken"),
        ({"aud": None}, "InvalidIdentityToken"),
        ({"aud": []}, "InvalidIdentityToken"),
        ({"aud": [AUDIENCE, 1]}, "InvalidIdentityToken"),
        ({"aud": [AUDIENCE, "x"], "azp": "x"}, "InvalidIdentityToken"),
        ({"sub": None}, "InvalidIdentityToken"),
        ({"sub": ""}, "InvalidIdentityToken"),
        ({"sub": "s" * 256}, "InvalidIdentityToken"),
        ({"sub": ["a"]}, "InvalidIdentityToken"),
        ({"iss": "https://elsewhere.example.com"}, "InvalidIdentityToken"),
        ({"iss": ISSUER.replace("https", "http")}, "InvalidIdentityToken"),
        ({"iss": f"{ISSUER}/"}, "InvalidIdentityToken"),
        ({"iss": None}, "InvalidIdentityToken"),
        ({"iss": 1}, "InvalidIdentityToken"),
    ],
)
def test_claims_that_are_refused(client: Client, claims: dict[str, Any], code: str) -> None:
    assert refused(client, **claims)[0] == code


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [AUDIENCE]},
        {"aud": ["unknown", "other"]},
        {"aud": ["unknown", "other"], "azp": "other"},
        {"azp": "unknown"},
        {"nbf": NOW - 10},
        {"nbf": NOW + 100},
        {"exp": NOW + 3600.5},
    ],
)
def test_claims_that_are_taken(client: Client, claims: dict[str, Any]) -> None:
    show(client, SIGNER.token(ISSUER, **claims))


def test_messages_are_those_of_sts(client: Client) -> None:
    assert refused(client, aud="nobody")[1] == "Incorrect token audience"
    elsewhere = "https://elsewhere.example.com"
    assert refused(client, iss=elsewhere)[1] == f"No OpenIDConnect provider found in your account for {elsewhere}"
    assert refused(client, exp=NOW - 9)[1].endswith(f"must be before the expiration date/time {NOW - 9}")
    assert refusal(show, client, "not a token")[1].startswith("The ID Token provided is not a valid JWT.")


def test_a_signature_of_another(client: Client) -> None:
    assert refusal(show, client, Signer().token(ISSUER))[0] == "InvalidIdentityToken"
    assert refusal(show, client, SIGNER.token(ISSUER)[:-4] + "AAAA")[0] == "InvalidIdentityToken"


def test_keys_that_cannot_be_had(client: Client, keys: Keys) -> None:
    keys.error = KeysUnavailable("secret detail")
    code, message = refusal(show, client)
    assert (code, "secret" in message) == ("IDPCommunicationError", False)
    keys.error = KeysWrong("secret detail")
    code, message = refusal(show, client)
    assert (code, "secret" in message) == ("InvalidIdentityToken", False)
    assert message.startswith("Couldn't retrieve verification key from your identity provider")


def test_only_configured_issuers_are_asked(client: Client, keys: Keys) -> None:
    for issuer in ("https://169.254.169.254/latest", "https://elsewhere.example.com", ""):
        assert refusal(show, client, SIGNER.token(issuer))[0] == "InvalidIdentityToken"
    elsewhere = ROLE_ARN.replace(ACCOUNT.account_id, OTHER_ACCOUNT.account_id)
    assert refusal(show, client, RoleArn=elsewhere)[0] == "InvalidIdentityToken"  # no provider of that account
    assert keys.asked == []


# Whom the role trusts, what the token says besides, and whether the role is assumed.
DECISIONS: list[tuple[list[dict[str, Any]], dict[str, Any], bool]] = [
    ([trusting()], {}, True),
    ([trusting({"Federated": [PROVIDER, f"{PROVIDER}x"]})], {}, True),
    ([trusting({"Federated": f"{PROVIDER}x"})], {}, False),
    ([trusting({"Federated": PROVIDER.replace(ACCOUNT.account_id, OTHER_ACCOUNT.account_id)})], {}, False),
    ([trusting({"AWS": "*"})], {}, False),
    ([trusting({"AWS": f"arn:aws:iam::{ACCOUNT.account_id}:root"})], {}, False),
    ([trusting({"Service": "ec2.amazonaws.com"})], {}, False),
    ([trusting(None, "sts:AssumeRole")], {}, False),
    ([trusting(None, "sts:*")], {}, True),
    ([trusting(), trusting(effect="Deny")], {}, False),
    ([trusting(), trusting({"AWS": "*"}, effect="Deny")], {}, False),
    ([trusting(), trusting({"AWS": f"arn:aws:iam::{ACCOUNT.account_id}:root"}, effect="Deny")], {}, False),
    ([trusting(StringEquals={f"{NAME}:aud": AUDIENCE, f"{NAME}:sub": SUBJECT})], {}, True),
    ([trusting(StringEquals={f"{NAME}:aud": "other"})], {}, False),
    ([trusting(StringEquals={f"{NAME}:aud": "other"})], {"aud": "other"}, True),
    ([trusting(StringEquals={f"{NAME}:aud": "x"})], {"aud": ["x", "other"]}, False),
    ([trusting(StringEquals={f"{NAME}:oaud": "x"})], {"aud": ["x", "other"]}, True),
    ([trusting(StringEquals={f"{NAME}:sub": "system:serviceaccount:ns:writer"})], {}, False),
    ([trusting(StringLike={f"{NAME}:sub": "system:serviceaccount:ns:*"})], {}, True),
    ([trusting(StringEquals={f"{NAME}:sub": SUBJECT})], {"sub": "me", "SUB": SUBJECT}, False),
    ([trusting(StringEquals={f"{NAME}:sub": SUBJECT})], {"Sub": "x"}, True),
    ([trusting(**{"ForAnyValue:StringEquals": {f"{NAME}:amr": "mfa"}})], {"amr": ["pwd", "mfa"]}, True),
    ([trusting(**{"ForAnyValue:StringEquals": {f"{NAME}:amr": "mfa"}})], {"amr": ["pwd"]}, False),
    ([trusting(StringEquals={f"{NAME}:azp": "a"})], {"azp": "a"}, True),
    ([trusting(StringEquals={f"{NAME}:repository": "org/repo"})], {"repository": "org/repo"}, True),
    ([trusting(StringEquals={"elsewhere.example.com:sub": SUBJECT})], {}, False),
    ([trusting(StringEquals={"sts:RoleSessionName": "app"})], {}, True),
    ([trusting(StringEquals={"aws:FederatedProvider": PROVIDER})], {}, True),
]


@pytest.mark.parametrize(("trusted", "claims", "is_allowed"), DECISIONS)
def test_whom_a_role_trusts(
    client: Client, trusted: list[dict[str, Any]], claims: dict[str, Any], is_allowed: bool
) -> None:
    trust(client, *trusted)
    if is_allowed:
        show(client, SIGNER.token(ISSUER, **claims))
    else:
        assert refused(client, **claims) == NOT_AUTHORISED


def test_a_role_that_is_not_there(client: Client) -> None:
    assert refusal(show, client, RoleArn=f"{ROLE_ARN}2") == NOT_AUTHORISED
    assert refusal(show, client, RoleArn="arn:aws:iam::aws:role/rr")[0] == "ValidationError"
    client.store.set_account_active(ACCOUNT.account_id, False)
    assert refusal(show, client) == NOT_AUTHORISED


TEAM = {"principal_tags": {"Team": ["red"], "level": ["1"]}, "transitive_tag_keys": ["Team"]}
FLAT = {
    "https://aws.amazon.com/tags/principal_tags/Team": ["red"],
    "https://aws.amazon.com/tags/principal_tags/level": ["1"],
    "https://aws.amazon.com/tags/transitive_tag_keys": ["Team"],
}


@pytest.mark.parametrize("claims", [{"https://aws.amazon.com/tags": TEAM}, FLAT])
def test_session_tags(client: Client, claims: dict[str, Any]) -> None:
    code, message = refused(client, **claims)
    assert (code, message) == ("AccessDenied", "Not authorized to perform sts:TagSession")
    trust(client, trusting(None, *ALL, StringEquals={"aws:RequestTag/team": "red"}))
    credentials = show(client, SIGNER.token(ISSUER, **claims))["Credentials"]
    token = client.tokens.open(credentials["AccessKeyId"], credentials["SessionToken"])
    assert token.passed == PassedSession(tags=(("Team", "red"), ("level", "1")), transitive=("Team",))
    assert refused(client) == NOT_AUTHORISED


@pytest.mark.parametrize(
    "tags",
    [
        [],
        "tags",
        {"principal_tags": []},
        {"principal_tags": {"a": []}},
        {"principal_tags": {"a": ["b", "c"]}},
        {"principal_tags": {"a": [1]}},
        {"principal_tags": {"a": {}}},
        {"principal_tags": {"a": ["b"], "A": ["c"]}},
        {"principal_tags": {"aws:a": ["b"]}},
        {"principal_tags": {"a?": ["b"]}},
        {"principal_tags": {"": ["b"]}},
        {"principal_tags": {"a": ["v" * 257]}},
        {"principal_tags": {str(number): ["b"] for number in range(51)}},
        {"principal_tags": {}, "transitive_tag_keys": {}},
        {"principal_tags": {"a": ["b"]}, "transitive_tag_keys": [1]},
    ],
)
def test_session_tags_that_are_none(client: Client, tags: Any) -> None:
    trust(client, trusting(None, *ALL))
    assert refused(client, **{"https://aws.amazon.com/tags": tags})[0] == "InvalidIdentityToken"


def test_a_source_identity(client: Client) -> None:
    claim = {"https://aws.amazon.com/source_identity": "alice"}
    assert refused(client, **claim) == ("AccessDenied", "Not authorized to perform sts:SetSourceIdentity")
    trust(client, trusting(None, *ALL, StringEquals={"sts:SourceIdentity": "alice"}))
    assert show(client, SIGNER.token(ISSUER, **claim))["SourceIdentity"] == "alice"
    for wrong in ("a b", "x", ["alice"], 1):
        assert refused(client, **{"https://aws.amazon.com/source_identity": wrong})[0] == "InvalidIdentityToken"


def test_bounds_of_the_request(client: Client) -> None:
    assert refusal(show, client, DurationSeconds=7201)[0] == "ValidationError"
    assert refusal(show, client, RoleSessionName="x")[0] == "ValidationError"
    assert refusal(show, client, "t" * 20001)[0] == "ValidationError"
    assert refusal(show, client, ProviderId="www.amazon.com")[0] == "NotImplemented"
    code, message = refusal(show, client, "abc")
    assert (code, "abc" in message.replace("'webIdentityToken'", "")) == ("ValidationError", False)
