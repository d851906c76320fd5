"""Key policies: GetKeyPolicy, PutKeyPolicy, ListKeyPolicies. A key has one, named "default"."""

from __future__ import annotations

from dataclasses import dataclass

from kms.api.types.request import Request

DEFAULT_POLICY_NAME = "default"


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """The document as it was put, or AWS's default one."""

    policy: str
    policy_name: str


@dataclass(frozen=True, slots=True)
class PolicyNames:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetKeyPolicy(Request[KeyPolicy]):
    key_id: str
    policy_name: str = DEFAULT_POLICY_NAME


@dataclass(frozen=True, slots=True)
class PutKeyPolicy(Request[None]):
    """Refused if the caller could not put the next one, unless the check is bypassed."""

    key_id: str
    policy: str
    policy_name: str = DEFAULT_POLICY_NAME
    bypass_policy_lockout_safety_check: bool = False


@dataclass(frozen=True, slots=True)
class ListKeyPolicies(Request[PolicyNames]):
    """There is never a second page, and so no marker that could be ours."""

    key_id: str
    marker: str | None = None
