"""Each constraint of each request of the KMS model, broken alone, by raw JSON: refused in AWS's words.

The requests and the words are made from botocore's model (`kms_operations.violations`); a wrong JSON type anywhere is
SerializationException, and found before any constraint.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.kms_operations.case import MODEL
from tests.clients.kms_operations.table import CASES
from tests.clients.kms_operations.violations import SAMPLES, broken, mistyped, patterns
from tests.clients.raw import Answer, Session

INPUTS = {operation: MODEL.operation_model(operation).input_shape for operation in CASES}


def ask(session: Session, operation: str, document: Any) -> Answer:
    headers = {"x-amz-target": f"TrentService.{operation}", "content-type": "application/x-amz-json-1.1"}
    return session.ask("POST", "/", headers, json.dumps(document).encode(), service="kms")


def clauses_of(message: str) -> set[str]:
    """What a ValidationException tells, each broken constraint by itself; their number must be the one it says."""
    count, _, told = message.partition(" detected: ")
    clauses = told.split("; ")
    assert count == ("1 validation error" if len(clauses) == 1 else f"{len(clauses)} validation errors")
    return set(clauses)


def test_there_is_a_sample_for_every_pattern() -> None:
    assert set(SAMPLES) == set().union(*(patterns(shape) for shape in INPUTS.values()))


def test_the_model_has_constraints_of_every_kind() -> None:
    told = [clause for shape in INPUTS.values() for each in broken(shape) for clause in each.clauses]
    assert len(told) > 300
    for kind in (
        "null at",
        "value less",
        "value greater",
        "length less",
        "length greater",
        "enum value",
        "pattern",
        ".2.",
    ):
        assert any(kind in clause for clause in told), kind


@pytest.mark.parametrize("operation", CASES)
def test_a_broken_constraint_is_refused(session: Session, operation: str) -> None:
    for each in broken(INPUTS[operation]):
        answer = ask(session, operation, each.value)
        assert answer.refusal == (400, "ValidationException"), each
        assert clauses_of(answer.message) == each.clauses


@pytest.mark.parametrize("operation", CASES)
def test_a_wrong_type_is_refused(session: Session, operation: str) -> None:
    for document, message in mistyped(INPUTS[operation]):
        answer = ask(session, operation, document)
        expected = message if isinstance(document, dict) else "Start of structure or map expected"
        assert (answer.refusal, answer.message) == ((400, "SerializationException"), expected), document
