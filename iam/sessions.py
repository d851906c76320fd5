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


Found = tuple[User | Role, IdentityPolicies]


@dataclass(frozen=True, slots=True)
class _Basis:
    """What the rights of a session rest on besides its token: the user or role (None: the root user) and the managed
    session policies, as the store has them now."""

    found: Found | None
    managed: tuple[PolicyText | None, ...]

    def is_same(self, other: _Basis) -> bool:
        """Whether they are the very same things: the store hands out others once anything was changed."""
        if self.found is not other.found or len(self.managed) != len(other.managed):
            return False
        return all(own is others for own, others in zip(self.managed, other.managed, strict=True))


@dataclass(slots=True)
class _Opened:
    """A token, and the credentials that were made of it last."""

    token: SessionToken
    characters: int
    basis: _Basis | None = None
    credential: Credential | None = None


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
        if now.timestamp() * 1_000_000 >= opened.token.expires_us:
            raise AuthenticationError(Reason.EXPIRED_TOKEN, "The provided token has expired.")
        basis = self._basis(opened.token)
        if basis is None:
            raise unknown_access_key(access_key_id, "is of a session whose user or role is gone")
        if opened.credential is None or opened.basis is None or not basis.is_same(opened.basis):
            opened.basis, opened.credential = basis, _credential(access_key_id, opened.token, basis)
        return opened.credential

    def _open(self, access_key_id: str, token: str) -> _Opened:
        """Only what opened is remembered, under its digest, so that nothing compares tokens byte by byte."""
        name = sha256(f"{access_key_id} {token}".encode("utf-8", "surrogateescape")).digest()
        found = self._opened.get(name)
        if found is not None:
            self._opened.move_to_end(name)
            return found
        try:
            opened = self._tokens.open(access_key_id, token)
        except NotASessionToken:
            raise security_token_refused() from None
        return self._remember(name, opened)

    def _remember(self, name: bytes, token: SessionToken) -> _Opened:
        passed = token.passed
        characters = len(passed.policy or "") + sum(map(len, passed.policy_arns))
        characters += sum(len(key) + len(value) for key, value in passed.tags)
        opened = self._opened[name] = _Opened(token, characters)
        self._characters += characters
        while len(self._opened) > CAPACITY or (self._characters > MAX_CHARACTERS and len(self._opened) > 1):
            _, forgotten = self._opened.popitem(last=False)
            self._characters -= forgotten.characters
        return opened

    def _basis(self, token: SessionToken) -> _Basis | None:
        """None if there is no such user or role any more, or its account is suspended."""
        account_id, found = token.account_id, None
        if not self._identities.has_active_account(account_id):
            return None
        if token.principal_id != account_id:
            found = self._identities.find_principal(token.principal_id)
            if found is None:
                return None
        if (token.kind is SessionKind.ROLE) != (found is not None and isinstance(found[0], Role)):
            return None
        arns = token.passed.policy_arns
        return _Basis(found, tuple(self._identities.find_policy(account_id, arn) for arn in arns))


def _credential(access_key_id: str, token: SessionToken, basis: _Basis) -> Credential:
    principal, policies = _principal(token, basis)
    session = Session(
        token.issued_us,
        token.expires_us,
        token.source_identity,
        token.provider,
        token.claims,
        token.passed.transitive,
    )
    return Credential(access_key_id, token.secret, principal, policies=policies, session=session)


def _principal(token: SessionToken, basis: _Basis) -> tuple[Principal, IdentityPolicies]:
    """Who it is now, and what it may do."""
    if basis.found is None:
        base, policies = root_principal(token.account_id), IdentityPolicies()
    else:
        entity, policies = basis.found
        if isinstance(entity, Role):
            return _of_role(token, entity, policies, basis)
        base = entity.principal
    return _federated(token, base, policies, basis) if token.kind is SessionKind.FEDERATED_USER else (base, policies)


def _of_role(
    token: SessionToken, role: Role, policies: IdentityPolicies, basis: _Basis
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
    return principal, IdentityPolicies(policies.identity, policies.boundary, _session_policies(token, basis))


def _federated(
    token: SessionToken, base: Principal, policies: IdentityPolicies, basis: _Basis
) -> tuple[Principal, IdentityPolicies]:
    """GetFederationToken: the user's rights, as far as the session policies give them again, and its own tags."""
    principal = Principal(
        PrincipalKind.FEDERATED_USER,
        base.account_id,
        federated_user_arn(base.account_id, token.name),
        f"{base.account_id}:{token.name}",
        issuer_arn=base.arn,
        issuer_id=base.principal_id,
        tags=with_tags(base.tags, token.passed.tags),
    )
    identity = (_ROOT_POLICY,) if base.kind is PrincipalKind.ROOT else policies.identity
    return principal, IdentityPolicies(identity, policies.boundary, _session_policies(token, basis))


def _session_policies(token: SessionToken, basis: _Basis) -> tuple[PolicyText, ...]:
    """The policies that were passed, managed ones as they are now: one that is gone allows nothing."""
    inline = () if token.passed.policy is None else (PolicyText("session policy", token.passed.policy),)
    return (*inline, *(each for each in basis.managed if each is not None))


def role_session_arn(role: Role, session_name: str) -> str:
    """Without the role's path."""
    return f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{session_name}"


def federated_user_arn(account_id: str, name: str) -> str:
    return f"arn:aws:sts::{account_id}:federated-user/{name}"
