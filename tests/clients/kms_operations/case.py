"""What the table of operations is made of: a way to succeed, and for each error a way to get it or a reason for none.

Most errors are provoked in one way by every operation that lists them (`RULES`), and some by none (`NEVER`). An
operation's own entries in `errors` and `never` go before both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import botocore.session

from tests.clients.kms_operations.world import ABSENT, World

MODEL = botocore.session.get_session().get_service_model("kms")

Parameters = dict[str, Any]
Request = Callable[[World, str], Parameters]
"""The parameters of a call that succeeds, on this key of the case's kind, which is enabled yet."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One operation. `key_member` names the member that says which key is meant, None if no member does.

    `answer`: the members of the answer to a call that succeeds. `wrong_kind`: a kind of key whose usage does not fit.
    """

    request: Request
    answer: Set[str] = frozenset()
    kind: str = "symmetric"
    key_member: str | None = "KeyId"
    wrong_kind: str = "mac"
    errors: Mapping[str, Callable[[World], Parameters]] = field(default_factory=dict)
    never: Mapping[str, str] = field(default_factory=dict)

    def made(self, world: World) -> Parameters:
        """Parameters of a call that succeeds, on a key of its own."""
        return self.request(world, world.key(self.kind))


# Errors that every operation answers for the same cause


def _on_another_key(name: Callable[[World, Case], str]) -> Callable[[World, Case], Parameters]:
    def parameters(world: World, case: Case) -> Parameters:
        assert case.key_member is not None
        return {**case.made(world), case.key_member: name(world, case)}

    return parameters


def _with(**members: Any) -> Callable[[World, Case], Parameters]:
    return lambda world, case: {**case.made(world), **members}


def _after(change: Callable[[World, str], str]) -> Callable[[World, Case], Parameters]:
    """A request that would have succeeded before its key was changed."""

    def parameters(world: World, case: Case) -> Parameters:
        key = world.key(case.kind)
        request = case.request(world, key)
        change(world, key)
        return request

    return parameters


RULES: Mapping[str, Callable[[World, Case], Parameters]] = {
    "DisabledException": _after(World.disabled),
    "DryRunOperationException": _with(DryRun=True),
    "InvalidArnException": _on_another_key(lambda world, case: "alias/aws/s3"),
    "InvalidGrantTokenException": _with(GrantTokens=["token"]),
    "InvalidKeyUsageException": _on_another_key(lambda world, case: world.key(case.wrong_kind)),
    "InvalidMarkerException": _with(Marker="marker"),
    "KMSInvalidStateException": _after(World.pending_deletion),
    "NotFoundException": _on_another_key(lambda world, case: ABSENT),
}

AWAY = "KeyUnavailableException"
"""Provoked by test_kms_root_away.py, which takes the root away."""

NO_KEY_STORES = "there are no CloudHSM clusters and no external key stores"
NEVER: Mapping[str, str] = {
    "CloudHsmClusterInvalidConfigurationException": NO_KEY_STORES,
    "CustomKeyStoreInvalidStateException": NO_KEY_STORES,
    "DependencyTimeoutException": "the KMS depends on nothing but its root; while that is away it is unavailable",
    "KMSInternalException": "only a fault answers it, and tests/kms/service/test_service.py makes one",
    "XksKeyAlreadyInUseException": NO_KEY_STORES,
    "XksKeyInvalidConfigurationException": NO_KEY_STORES,
    "XksKeyNotFoundException": NO_KEY_STORES,
}


def listed_errors(operation: str) -> set[str]:
    """The errors that the model lists for an operation."""
    return {shape.name for shape in MODEL.operation_model(operation).error_shapes}


def provoked_errors(operation: str, case: Case) -> set[str]:
    """Those for which `failing_request` has a request."""
    return set(case.errors) | (listed_errors(operation) & set(RULES) - set(case.never))


def excused_errors(operation: str, case: Case) -> set[str]:
    """Those that have a reason not to be provoked."""
    return set(case.never) | (listed_errors(operation) & set(NEVER) - set(case.errors))


def failing_request(world: World, case: Case, error: str) -> Parameters:
    """Parameters of a call that gets `error`."""
    if error in case.errors:
        return case.errors[error](world)
    return RULES[error](world, case)
