"""The error catalogue against the service model, and against what the code raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kms.api.errors import STATUS
from tests.kms.face.generate_model import load_description

SHAPES = load_description()["shapes"]
SOURCES = Path(__file__).parents[3] / "kms"


def status_by_the_model(shape: dict[str, Any]) -> int:
    return 500 if shape.get("fault") else 400


def codes_raised(tree: ast.AST) -> Iterator[str]:
    """The first argument of every call of KMSError, where it is written as text."""
    for node in ast.walk(tree):
        is_error = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "KMSError"
        if is_error and node.args and isinstance(code := node.args[0], ast.Constant):
            yield str(code.value)


def test_statuses_are_those_of_the_model() -> None:
    by_the_model = {name: status_by_the_model(shape) for name, shape in SHAPES.items() if shape.get("exception")}
    assert set(by_the_model.values()) == {400, 500}
    known = STATUS.keys() & by_the_model.keys()
    assert {code: STATUS[code] for code in known} == {code: by_the_model[code] for code in known}


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    raised = {
        code for path in SOURCES.rglob("*.py") for code in codes_raised(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {"NotFoundException", "ConflictException"} <= raised
    assert raised <= set(STATUS)
