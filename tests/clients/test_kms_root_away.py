"""Every operation that lists KeyUnavailableException, asked while the root is away, and again once it is back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kms.hsm.provision import find_softhsm
from tests.clients.checks import headers_of
from tests.clients.kms_operations.case import AWAY, Parameters, listed_errors
from tests.clients.kms_operations.table import CASES
from tests.clients.kms_operations.world import World, method_of
from tests.harness import Gateway, running_gateway, wait_until

pytestmark = [
    pytest.mark.hsm,
    pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed, and a file root never goes away"),
]

OPERATIONS = [operation for operation in CASES if AWAY in listed_errors(operation)]


def refusal_or_none(kms: Any, operation: str, request: Parameters) -> Any:
    """The answer that refuses the request; None if it is done."""
    try:
        method_of(kms, operation)(**request)
    except ClientError as error:
        return error.response
    return None


def is_served(kms: Any, operation: str, request: Parameters) -> bool:
    return refusal_or_none(kms, operation, request) is None


def check_all(gateway: Gateway) -> None:
    world = World(gateway.client("kms"))
    requests = {operation: CASES[operation].made(world) for operation in OPERATIONS}
    assert len(requests) > 10
    tokens, elsewhere = gateway.data / "softhsm" / "tokens", gateway.data / "tokens.away"
    tokens.rename(elsewhere)
    for operation, request in requests.items():
        ask = partial(refusal_or_none, world.kms, operation, request)
        answer = wait_until(ask, f"the lease of the key of {operation} has ended")
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (500, AWAY), operation
        assert int(headers_of(answer)["retry-after"]) >= 1
    elsewhere.rename(tokens)
    for operation, request in requests.items():
        wait_until(partial(is_served, world.kms, operation, request), f"{operation} is served again")


def test_each_answers_that_the_key_is_unavailable_and_succeeds_afterwards(tmp_path: Path) -> None:
    environment = {"SEALGATE_KMS_LEASE_SECONDS": "1"}  # the shortest: until it ends a key is used without the root
    with running_gateway(tmp_path, root="softhsm", environment=environment) as gateway:
        check_all(gateway)
