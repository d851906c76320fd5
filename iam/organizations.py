"""What AWS Organizations says of the accounts of an installation, as values.

There is one organization: the account that was made first manages all others, and all are under its one root. Source:
AWS Organizations API Reference, "Organization", "Root", "CreateAccountStatus".
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from iam.credentials import Account

MAX_ACCOUNTS = 10_000
"""That CreateAccount makes; AWS's own limit can be raised so far."""

MAX_FAILED_REQUESTS = 1000
"""Requests that failed are remembered so far back, and successful ones for good."""

DEFAULT_ROLE_NAME = "OrganizationAccountAccessRole"


class Failure(StrEnum):
    """Why there is no account. See CreateAccountStatus, FailureReason."""

    ACCOUNT_LIMIT_EXCEEDED = "ACCOUNT_LIMIT_EXCEEDED"
    EMAIL_ALREADY_EXISTS = "EMAIL_ALREADY_EXISTS"
    INVALID_EMAIL = "INVALID_EMAIL"


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """A request to make an account: `account_id` is what was made, `failure` why nothing was; one of them is None."""

    request_id: str
    account_name: str
    requested_us: int
    account_id: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Organization:
    """`management` is the account that manages the others."""

    management: Account

    @property
    def id(self) -> str:
        return f"o-{_digest('organization', self.management.account_id)[:10]}"

    @property
    def root_id(self) -> str:
        return f"r-{_digest('root', self.management.account_id)[:8]}"

    @property
    def arn(self) -> str:
        return self._arn(f"organization/{self.id}")

    @property
    def root_arn(self) -> str:
        return self._arn(f"root/{self.id}/{self.root_id}")

    def account_arn(self, account_id: str) -> str:
        return self._arn(f"account/{self.id}/{account_id}")

    def _arn(self, resource: str) -> str:
        return f"arn:aws:organizations::{self.management.account_id}:{resource}"


def _digest(what: str, account_id: str) -> str:
    """Lower-case letters and digits that are the account's for good."""
    return hashlib.sha256(f"sealgate/v1/{what}/{account_id}".encode()).hexdigest()


def new_account_request_id() -> str:
    """`car-` and 32 random hex digits."""
    return f"car-{secrets.token_hex(16)}"
