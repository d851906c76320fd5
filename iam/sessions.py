"""From temporary credentials to the principal that they are for, with the rights that it has now.

A token says who and how long; what the user or role may do, and whether there still is one, is asked of the identity
store at every use. Opened tokens are remembered, within bounds: opening one costs some 30 µs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from iam.credentials import Credential
from iam.entities import Role, User
from iam.errors import AuthenticationError, Reason, security_token_refused, unknown_access_key
from iam.principals import IdentityPolicies, PolicyText, Principal, PrincipalKind, Session, root_principal
from iam.session_tokens import NotASessionToken, SessionKind, SessionToken, SessionTokens
from iam.tags import with_tags

CAPACITY = 4096
"""Tokens that are remembered, and credentials in use at once by one worker."""

MAX_CHARACTERS = 8 << 20
"""Of the session policies and tags of all that are remembered."""

_EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
_ROOT_POLICY = PolicyText("root user of the account", _EVERYTHING)
"""What a federated user has that the root user made: all that the account has, as far as its session policies go."""


class Identities(Protocol):
    """What a session asks of the identity store, each on the path of every request."""

    def has_active_account(self, account_id: str) -> bool: ...

    def find_principal(self, entity_id: str) -> tuple[User | Role, IdentityPolicies] | None: ...

    def find_policy(self, account_id: str, arn: str) -> PolicyText | None: ...


@dataclass(frozen=True, slots=True)
class _Opened:
    token: SessionToken
    characters: int


class Sessions:
    """Opens session tokens. For one thread, as the store is."""

    def __init__(self, tokens: SessionTokens, identities: Identities) -> None:
        self._tokens = tokens
        self._identities = identities
        self._opened: OrderedDict[bytes, _Opened] = OrderedDict()
        self._characters = 0

    def __repr__(self) -> str:
        return f"Sessions({len(self._opened)} of {CAPACITY})"

    def credential(self, access_key_id: str, token: str, now: datetime) -> Credential:
        """The temporary credentials that `token` stands for beside this access key. The signature is not verified yet.

        Raises AuthenticationError: SECURITY_TOKEN for what is no token of this key, EXPIRED_TOKEN, and
        UNKNOWN_ACCESS_KEY where the user or role is gone; StoreUnavailable.
        """
        opened = self._open(access_key_id, token)
        if now.timestamp() * 1_000_000 >= opened.expires_us:
            raise AuthenticationError(Reason.EXPIRED_TOKEN, "The provided token has expired.")
        found = self._principal(opened)
        if found is None:
            raise unknown_access_key(access_key_id, "is of a session whose user or role is gone")
        principal, policies = found
        session = Session(
            opened.issued_us,
            opened.expires_us,
            opened.source_identity,
            opened.provider,
            opened.claims,
            opened.passed.transitive,
        )
        return Credential(access_key_id, opened.secret, principal, policies=policies, session=session)

    def _open(self, access_key_id: str, token: str) -> SessionToken:
        """Only what opened is remembered, under its digest, so that nothing compares tokens byte by byte."""
        name = sha256(f"{access_key_id} {token}".encode("utf-8", "surrogateescape")).digest()
        found = self._opened.get(name)
        if found is not None:
            self._opened.move_to_end(name)
            return found.token
        try:
            opened = self._tokens.open(access_key_id, token)
        except NotASessionToken:
            raise security_token_refused() from None
        self._remember(name, opened)
        return opened

    def _remember(self, name: bytes, token: SessionToken) -> None:
        passed = token.passed
        characters = len(passed.policy or "") + sum(map(len, passed.policy_arns))
        characters += sum(len(key) + len(value) for key, value in passed.tags)
        self._opened[name] = _Opened(token, characters)
        self._characters += characters
        while len(self._opened) > CAPACITY or (self._characters > MAX_CHARACTERS and len(self._opened) > 1):
            _, forgotten = self._opened.popitem(last=False)
            self._characters -= forgotten.characters

    def _principal(self, token: SessionToken) -> tuple[Principal, IdentityPolicies] | None:
        """Who it is now; None if there is no such user or role any more."""
        account_id = token.account_id
        if not self._identities.has_active_account(account_id):
            return None
        base, policies = root_principal(account_id), IdentityPolicies()
        if token.principal_id != account_id:
            found = self._identities.find_principal(token.principal_id)
            if found is None:
                return None
            entity, policies = found
            if isinstance(entity, Role):
                return self._of_role(token, entity, policies) if token.kind is SessionKind.ROLE else None
            base = entity.principal
        if token.kind is SessionKind.ROLE:
            return None
        if token.kind is SessionKind.FEDERATED_USER:
            return self._federated(token, base, policies)
        return base, policies

    def _of_role(
        self, token: SessionToken, role: Role, policies: IdentityPolicies
    ) -> tuple[Principal, IdentityPolicies]:
        """The role's rights, within the session policies if any were passed; the session's tags over the role's."""
        principal = Principal(
            PrincipalKind.ROLE_SESSION,
            role.account_id,
            role_session_arn(role, token.name),
            f"{role.role_id}:{token.name}",
            issuer_arn=role.arn,
            issuer_id=role.role_id,
            tags=with_tags(role.tags, token.passed.tags),
        )
        if not token.passed.has_policies:
            return principal, policies
        return principal, IdentityPolicies(policies.identity, policies.boundary, self._session_policies(token))

    def _federated(
        self, token: SessionToken, base: Principal, policies: IdentityPolicies
    ) -> tuple[Principal, IdentityPolicies]:
        """GetFederationToken: the user's rights, as far as the session policies give them again, and its own tags."""
        is_root = base.kind is PrincipalKind.ROOT
        principal = Principal(
            PrincipalKind.FEDERATED_USER,
            base.account_id,
            federated_user_arn(base.account_id, token.name),
            f"{base.account_id}:{token.name}",
            issuer_arn=base.arn,
            issuer_id=base.principal_id,
            tags=with_tags(base.tags, token.passed.tags),
        )
        identity = (_ROOT_POLICY,) if is_root else policies.identity
        return principal, IdentityPolicies(identity, policies.boundary, self._session_policies(token))

    def _session_policies(self, token: SessionToken) -> tuple[PolicyText, ...]:
        """The policies that were passed, managed ones as they are now: one that is gone allows nothing."""
        passed = token.passed
        inline = () if passed.policy is None else (PolicyText("session policy", passed.policy),)
        managed = (self._identities.find_policy(token.account_id, arn) for arn in passed.policy_arns)
        return (*inline, *(each for each in managed if each is not None))


def role_session_arn(role: Role, session_name: str) -> str:
    """Without the role's path."""
    return f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{session_name}"


def federated_user_arn(account_id: str, name: str) -> str:
    return f"arn:aws:sts::{account_id}:federated-user/{name}"
