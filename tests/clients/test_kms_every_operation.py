"""Every operation of the KMS model through boto3: one call that succeeds, and one for each error that it lists.

The table stands in `kms_operations`; that it leaves out nothing of botocore's model is tested here, so that a newer
model cannot go unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.validate import validate_parameters

from kms.api.errors import STATUS
from tests.clients.checks import error_of, faults
from tests.clients.kms_operations.case import (
    AWAY,
    MODEL,
    excused_errors,
    failing_request,
    listed_errors,
    provoked_errors,
)
from tests.clients.kms_operations.table import CASES, UNSERVED
from tests.clients.kms_operations.world import OTHER_REGION, World, method_of
from tests.harness import Gateway, running_gateway

WORDLESS = {
    "InvalidCiphertextException",
    "InvalidImportTokenException",
    "KMSInvalidMacException",
    "KMSInvalidSignatureException",
}
"""Errors without a message, at AWS as here."""

ERRORS = [(operation, error) for operation, case in CASES.items() for error in sorted(provoked_errors(operation, case))]


@pytest.fixture(scope="module")
def two_regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("every-operation")
    with running_gateway(directory, environment={"SEALGATE_KMS_OTHER_REGIONS": OTHER_REGION}) as gateway:
        yield gateway
    assert faults(gateway) == []


@pytest.fixture(scope="module")
def world(two_regions: Gateway) -> World:
    return World(two_regions.client("kms"))


# The table is the model


def test_every_operation_of_the_model_is_here() -> None:
    assert CASES.keys() | UNSERVED.keys() == set(MODEL.operation_names)
    assert not CASES.keys() & UNSERVED.keys()


@pytest.mark.parametrize("operation", CASES)
def test_every_error_of_the_model_is_provoked_or_has_a_reason(operation: str) -> None:
    case, listed = CASES[operation], listed_errors(operation)
    provoked, excused = provoked_errors(operation, case), excused_errors(operation, case)
    assert provoked | excused == listed - {AWAY}
    assert not provoked & excused
    assert all(case.never.values())


@pytest.mark.parametrize("operation", CASES)
def test_every_member_of_an_answer_is_of_the_model(operation: str) -> None:
    shape = MODEL.operation_model(operation).output_shape
    assert CASES[operation].answer <= (set() if shape is None else set(shape.members))


# One call that succeeds


@pytest.mark.parametrize("operation", CASES)
def test_it_succeeds(world: World, operation: str) -> None:
    case, shape = CASES[operation], MODEL.operation_model(operation).output_shape
    answer = method_of(world.kms, operation)(**case.made(world))
    told = answer.pop("ResponseMetadata")
    assert told["HTTPStatusCode"] == 200
    assert set(answer) == case.answer
    if shape is not None:
        validate_parameters(answer, shape)


@pytest.mark.parametrize("operation", UNSERVED)
def test_it_is_refused_by_name(world: World, operation: str) -> None:
    answer = error_of(method_of(world.kms, operation), **UNSERVED[operation])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"] == {"Code": "UnsupportedOperationException", "Message": f"{operation} is not supported."}


# One call for each error


@pytest.mark.parametrize(("operation", "code"), ERRORS)
def test_it_answers_the_error(world: World, operation: str, code: str) -> None:
    request = failing_request(world, CASES[operation], code)
    with pytest.raises(getattr(world.kms.exceptions, code)) as caught:
        method_of(world.kms, operation)(**request)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == STATUS[code] == 400
    assert bool(answer["Error"]["Message"]) == (code not in WORDLESS)
