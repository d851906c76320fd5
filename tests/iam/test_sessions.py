"""Temporary credentials through the authenticator: every form of a signature, expiry, and whom they are for now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from iam import sessions as sessions_module
from iam.authenticator import Authenticated, Authenticator
from iam.credentials import Credential, account_of_temporary_key, new_temporary_key_id
from iam.entities import Role, User
from iam.errors import AuthenticationError, Reason
from iam.managed_policies import ManagedPolicy
from iam.principals import IdentityPolicies, PolicyText, PrincipalKind
from iam.requests import RequestHead
from iam.scope import KMS, S3, Service
from iam.secrets import Secret
from iam.session_tokens import PassedSession, SessionKind, SessionToken, SessionTokens
from iam.sessions import Sessions
from iam.sigv2 import sign
from iam.store import SQLiteIdentityStore
from tests.iam.botocore_signing import presigned_by_s3, signed_by_s3_header, signed_for_kms
from tests.iam.checks import ACCESS_KEY_ID, CREDENTIAL, NOW, SECRET_TEXT, with_headers
from tests.iam.face.identity_service import ACCOUNT, POLICY
from tests.iam.store.test_sqlite import AESGCMSecretSealer

TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
NOW_US = int(NOW.timestamp() * 1_000_000)
ANN = User("AIDAANN", ACCOUNT.account_id, "ann", "/path/", 1, (("Team", "red"), ("level", "1")))
TOKENS = SessionTokens(AESGCMSecretSealer(bytes(32)))
INLINE = PolicyText("user ann policy p", POLICY)
"""As decisions name it."""

OF_ANN = SessionToken(
    SessionKind.SAME,
    Secret(SECRET_TEXT.encode()),
    NOW_US,
    NOW_US + 900_000_000,
    ACCOUNT.account_id,
    ANN.user_id,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteIdentityStore]:
    made = SQLiteIdentityStore(tmp_path / "identities.sqlite", AESGCMSecretSealer(bytes(32)))
    made.create_account(ACCOUNT)
    made.create_user(ANN)
    made.put_inline_policy(ANN, PolicyText("p", POLICY))
    yield made
    made.close()


@pytest.fixture
def sessions(store: SQLiteIdentityStore) -> Sessions:
    return Sessions(TOKENS, store)


def authenticator(sessions: Sessions) -> Authenticator:
    return Authenticator(
        "us-east-1",
        {ACCESS_KEY_ID: CREDENTIAL}.get,
        accepts_version_2=True,
        open_session=sessions.credential,
        note_use=_no_use,
    )


def _no_use(*_used: str) -> None:
    raise AssertionError("temporary keys have no last use")


def credential(sessions: Sessions, token: SessionToken, now: datetime = NOW) -> Credential:
    return sessions.credential(ACCESS_KEY_ID, TOKENS.seal(ACCESS_KEY_ID, token), now)


def let_in(
    sessions: Sessions, head: RequestHead, service: Service = S3, body_sha256: str | None = None
) -> Authenticated:
    found = authenticator(sessions).authenticate(head, service, now=NOW, body_sha256=body_sha256)
    assert found is not None
    assert (found.principal, found.access_key_id) == (ANN.principal, ACCESS_KEY_ID)
    assert found.policies == IdentityPolicies((INLINE,))
    assert found.session is not None
    return found


def refused(sessions: Sessions, head: RequestHead, now: datetime = NOW) -> Reason:
    with pytest.raises(AuthenticationError) as caught:
        authenticator(sessions).authenticate(head, S3, now=now)
    assert SECRET_TEXT not in f"{caught.value} {dict(caught.value.fields)}"
    return caught.value.reason


TEXT = TOKENS.seal(ACCESS_KEY_ID, OF_ANN)
TOKEN_HEADER = {"x-amz-security-token": TEXT}


def test_a_signed_header(sessions: Sessions) -> None:
    head = signed_by_s3_header("GET", "/bucket/key", TOKEN_HEADER)
    let_in(sessions, head)
    other = TOKENS.seal(ACCESS_KEY_ID, replace(OF_ANN, issued_us=1))
    assert refused(sessions, with_headers(head, {"x-amz-security-token": other})) is Reason.SIGNATURE_MISMATCH
    assert refused(sessions, with_headers(head, {"x-amz-security-token": TEXT + "A"})) is Reason.SECURITY_TOKEN
    assert refused(sessions, with_headers(head, {"x-amz-security-token": ""})) is Reason.SECURITY_TOKEN


def test_an_unsigned_header(sessions: Sessions) -> None:
    head = signed_by_s3_header("GET", "/bucket/key")
    assert refused(sessions, with_headers(head, TOKEN_HEADER)) is Reason.HEADERS_NOT_SIGNED


def test_other_services(sessions: Sessions) -> None:
    head, body_sha256 = signed_for_kms("TrentService.ListKeys", b"{}", TOKEN_HEADER)
    let_in(sessions, head, KMS, body_sha256)


def test_a_presigned_url(sessions: Sessions) -> None:
    let_in(sessions, presigned_by_s3("GET", f"/bucket/key?X-Amz-Security-Token={TEXT}"))
    let_in(sessions, presigned_by_s3("GET", "/bucket/key", TOKEN_HEADER))
    assert refused(sessions, presigned_by_s3("GET", "/b/k?X-Amz-Security-Token=x")) is Reason.SECURITY_TOKEN


def test_a_url_dies_with_its_session(sessions: Sessions) -> None:
    head = presigned_by_s3("GET", f"/bucket/key?X-Amz-Security-Token={TEXT}", expires=7 * 24 * 3600)
    let_in(sessions, head)
    assert refused(sessions, head, NOW + timedelta(seconds=900)) is Reason.EXPIRED_TOKEN


def test_signature_version_2(sessions: Sessions) -> None:
    date = "Fri, 24 May 2013 00:00:00 +0000"
    text = f"GET\n\n\n{date}\nx-amz-security-token:{TEXT}\n/b/k"
    signature = sign(Secret(SECRET_TEXT.encode()), text)
    headers = {"host": "h", "date": date, "authorization": f"AWS {ACCESS_KEY_ID}:{signature}", **TOKEN_HEADER}
    assert let_in(sessions, RequestHead("GET", "/b/k", "", headers)).signature_version == "AWS"
    assert refused(sessions, RequestHead("GET", "/b/k", "", {**headers, "x-amz-security-token": "x"})) is (
        Reason.SECURITY_TOKEN
    )


def test_forms(sessions: Sessions) -> None:
    fields = {"awsaccesskeyid": ACCESS_KEY_ID, "policy": "e30=", "x-amz-security-token": TEXT}
    fields["signature"] = sign(Secret(SECRET_TEXT.encode()), "e30=")
    found = authenticator(sessions).authenticate_form(fields, S3, now=NOW)
    assert found is not None and found.session is not None
    with pytest.raises(AuthenticationError) as caught:
        authenticator(sessions).authenticate_form(fields, S3, now=NOW + timedelta(hours=1))
    assert caught.value.reason is Reason.EXPIRED_TOKEN


def test_keys_and_tokens_go_together(sessions: Sessions) -> None:
    """A temporary key is worth nothing without its token, and a long-term one nothing with one."""
    without = authenticator(sessions)
    head = signed_by_s3_header("GET", "/bucket/key")
    head = with_headers(head, {"authorization": head.headers["authorization"].replace("AKIA", "ASIA")})
    with pytest.raises(AuthenticationError) as caught:
        without.authenticate(head, S3, now=NOW)
    assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY
    of_another = TOKENS.seal("ASIAANOTHERANOTHER22", OF_ANN)
    head = signed_by_s3_header("GET", "/bucket/key", {"x-amz-security-token": of_another})
    assert refused(sessions, head) is Reason.SECURITY_TOKEN


def test_a_session_lives_until_its_last_moment(sessions: Sessions) -> None:
    assert credential(sessions, OF_ANN, NOW + timedelta(seconds=899, microseconds=999_999)).session is not None
    with pytest.raises(AuthenticationError) as caught:
        credential(sessions, OF_ANN, NOW + timedelta(seconds=900))
    assert caught.value.reason is Reason.EXPIRED_TOKEN
    assert caught.value.s3_code == "ExpiredToken"


def test_rights_are_those_of_now(sessions: Sessions, store: SQLiteIdentityStore) -> None:
    assert credential(sessions, OF_ANN).policies.identity == (INLINE,)
    store.delete_inline_policy(ANN, "p")
    assert credential(sessions, OF_ANN).policies.identity == ()
    store.rename(ANN, new_name="eve", new_path="/")
    assert credential(sessions, OF_ANN).principal.arn == f"arn:aws:iam::{ACCOUNT.account_id}:user/eve"
    store.tag(ANN, (("team", "blue"),))
    assert dict(credential(sessions, OF_ANN).principal.tags) == {"team": "blue", "level": "1"}


def test_whoever_is_gone_has_no_session(sessions: Sessions, store: SQLiteIdentityStore) -> None:
    credential(sessions, OF_ANN)
    store.delete_inline_policy(ANN, "p")
    store.delete_entity(ANN)
    store.create_user(replace(ANN, user_id="AIDANEXT"))  # of the same name
    with pytest.raises(AuthenticationError) as caught:
        credential(sessions, OF_ANN)
    assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY
    with pytest.raises(AuthenticationError) as caught:
        credential(sessions, replace(OF_ANN, account_id="210987654321", principal_id="210987654321"))
    assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY


def test_a_root_users_session(sessions: Sessions) -> None:
    found = credential(sessions, replace(OF_ANN, principal_id=ACCOUNT.account_id))
    assert (found.principal.kind, found.policies) == (PrincipalKind.ROOT, IdentityPolicies())


def test_a_federated_user(sessions: Sessions, store: SQLiteIdentityStore) -> None:
    own = ManagedPolicy("ANPA1", ACCOUNT.account_id, "own", "/", "", 1, 1, 1)
    store.create_policy(own, POLICY)
    passed = PassedSession(POLICY, (own.arn,), (("LEVEL", "2"),))
    token = replace(OF_ANN, kind=SessionKind.FEDERATED_USER, name="bob", passed=passed)
    found = credential(sessions, token)
    principal = found.principal
    assert principal.kind is PrincipalKind.FEDERATED_USER
    assert principal.arn == f"arn:aws:sts::{ACCOUNT.account_id}:federated-user/bob"
    assert principal.principal_id == f"{ACCOUNT.account_id}:bob"
    assert (principal.issuer_arn, principal.issuer_id) == (ANN.arn, ANN.user_id)
    assert principal.tags == (("Team", "red"), ("LEVEL", "2"))
    assert found.policies.identity == (INLINE,)
    assert found.policies.session == (PolicyText("session policy", POLICY), PolicyText(f"{own.arn} v1", POLICY))
    store.delete_policy(ACCOUNT.account_id, own.arn)
    assert credential(sessions, token).policies.session == (PolicyText("session policy", POLICY),)


def test_a_federated_user_without_policies_may_nothing(sessions: Sessions) -> None:
    assert credential(sessions, replace(OF_ANN, kind=SessionKind.FEDERATED_USER, name="b")).policies.session == ()


def test_a_federated_user_of_the_root_user_has_its_policies_alone(sessions: Sessions) -> None:
    token = replace(OF_ANN, kind=SessionKind.FEDERATED_USER, principal_id=ACCOUNT.account_id, name="bob")
    policies = credential(sessions, token).policies
    assert '"Action":"*"' in policies.identity[0].text
    assert policies.session == ()


ROLE = Role("AROAROLE", ACCOUNT.account_id, "r", "/path/", 1, TRUST, tags=(("Team", "red"), ("level", "1")))
OF_ROLE = replace(OF_ANN, kind=SessionKind.ROLE, principal_id=ROLE.role_id, name="s1")


def test_a_session_of_a_role(sessions: Sessions, store: SQLiteIdentityStore) -> None:
    store.create_role(ROLE)
    store.put_inline_policy(ROLE, PolicyText("p", POLICY))
    token = replace(OF_ROLE, passed=PassedSession(tags=(("LEVEL", "2"),), transitive=("LEVEL",)), source_identity="me")
    found = credential(sessions, token)
    principal = found.principal
    assert principal.kind is PrincipalKind.ROLE_SESSION
    assert principal.arn == f"arn:aws:sts::{ACCOUNT.account_id}:assumed-role/r/s1"
    assert principal.principal_id == "AROAROLE:s1"
    assert (principal.issuer_arn, principal.issuer_id) == (ROLE.arn, ROLE.role_id)
    assert principal.tags == (("Team", "red"), ("LEVEL", "2"))
    assert found.policies == IdentityPolicies((PolicyText("role r policy p", POLICY),))
    assert found.session is not None
    assert (found.session.source_identity, found.session.transitive_tags) == ("me", ("LEVEL",))
    store.delete_inline_policy(ROLE, "p")
    assert credential(sessions, token).policies == IdentityPolicies()
    limited = credential(sessions, replace(OF_ROLE, passed=PassedSession(POLICY)))
    assert limited.policies.session == (PolicyText("session policy", POLICY),)


def test_another_role_of_the_name_has_no_part_in_sessions(sessions: Sessions, store: SQLiteIdentityStore) -> None:
    store.create_role(ROLE)
    credential(sessions, OF_ROLE)
    store.delete_entity(ROLE)
    store.create_role(replace(ROLE, role_id="AROANEXT"))
    with pytest.raises(AuthenticationError) as caught:
        credential(sessions, OF_ROLE)
    assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY


@pytest.mark.parametrize(
    "token",
    [
        replace(OF_ROLE, principal_id=ANN.user_id),
        replace(OF_ROLE, principal_id=ACCOUNT.account_id),
        replace(OF_ANN, principal_id=ROLE.role_id),
        replace(OF_ANN, kind=SessionKind.FEDERATED_USER, principal_id=ROLE.role_id),
    ],
)
def test_kinds_are_not_mixed(sessions: Sessions, store: SQLiteIdentityStore, token: SessionToken) -> None:
    store.create_role(ROLE)
    with pytest.raises(AuthenticationError) as caught:
        credential(sessions, token)
    assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY


def test_a_suspended_account_has_no_sessions(sessions: Sessions, store: SQLiteIdentityStore) -> None:
    credential(sessions, OF_ANN)
    store.set_account_active(ACCOUNT.account_id, False)
    with pytest.raises(AuthenticationError) as caught:
        credential(sessions, OF_ANN)
    assert caught.value.reason is Reason.UNKNOWN_ACCESS_KEY
    store.set_account_active(ACCOUNT.account_id, True)
    credential(sessions, OF_ANN)


def test_opened_tokens_are_remembered_within_bounds(
    store: SQLiteIdentityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0

    class Counting(SessionTokens):
        def open(self, access_key_id: str, text: str) -> SessionToken:
            nonlocal opened
            opened += 1
            return super().open(access_key_id, text)

    monkeypatch.setattr(sessions_module, "CAPACITY", 2)
    sessions = Sessions(Counting(AESGCMSecretSealer(bytes(32))), store)
    texts = [TOKENS.seal(ACCESS_KEY_ID, OF_ANN) for _ in range(3)]
    for text in (texts[0], texts[0], texts[1], texts[0], texts[2], texts[0]):
        sessions.credential(ACCESS_KEY_ID, text, NOW)
    assert opened == 3
    sessions.credential(ACCESS_KEY_ID, texts[1], NOW)
    assert (opened, repr(sessions)) == (4, "Sessions(2 of 2)")
    monkeypatch.setattr(sessions_module, "MAX_CHARACTERS", 10)
    long = replace(OF_ANN, kind=SessionKind.FEDERATED_USER, name="b", passed=PassedSession(POLICY))
    for _ in range(2):
        sessions.credential(ACCESS_KEY_ID, TOKENS.seal(ACCESS_KEY_ID, long), NOW)
    assert repr(sessions) == "Sessions(1 of 2)"


def test_what_does_not_open_is_not_remembered(sessions: Sessions) -> None:
    for number in range(5):
        with pytest.raises(AuthenticationError):
            sessions.credential(ACCESS_KEY_ID, f"junk{number}", NOW)
    assert repr(sessions) == f"Sessions(0 of {sessions_module.CAPACITY})"


@pytest.mark.parametrize("account_id", ["000000000001", "123456789012", "999999999999"])
def test_a_temporary_key_tells_its_account(account_id: str) -> None:
    made = new_temporary_key_id(account_id)
    assert len(made) == 20
    assert account_of_temporary_key(made) == account_id
    assert made != new_temporary_key_id(account_id)


@pytest.mark.parametrize("text", ["AKIAIOSFODNN7EXAMPLE", "ASIA", "ASIA7777777777777777", "ASIAIOSFODNN1EXAMPLE", ""])
def test_other_keys_tell_none(text: str) -> None:
    assert account_of_temporary_key(text) is None
