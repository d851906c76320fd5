"""`KeyService`: the one door into the KMS.

Answered in process by `kms.service`, over kmsd's socket by `kms.client`, and by fakes in tests; all pass the same
conformance suite. What can be asked for are the requests of `kms.api.types`; each names the type of its answer.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.types import Health, Request

R = TypeVar("R")


class KeyService(Protocol):
    async def call(self, caller: Caller, request: Request[R], decisions: list[Decided] | None = None) -> R:
        """Do what `request` asks on behalf of `caller`. If it is done, what was decided is added to `decisions`.

        Authorises first, then checks the key's state, then acts; a change of state is durable and effective for every
        later call, of every worker, before this returns.

        Raises `kms.api.errors.KMSError` with AWS's code, and `kms.api.errors.KMSUnavailable` when the HSM or the key
        process cannot be reached (retry after the seconds it names), with what was decided. Nothing else. Every call
        has a deadline.
        """
        ...

    async def health(self) -> Health:
        """State of the root and the key store; answers within a second, also while the HSM hangs."""
        ...
