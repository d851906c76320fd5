"""The checked-in models are what the installed botocore says, and all of them can be used."""

from __future__ import annotations

import pytest

from iam.face.models.iam import IAM
from iam.face.models.organizations import ORGANIZATIONS
from iam.face.models.sts import STS
from iam.face.parameters import convert
from iam.face.shapes import Kind, Model
from iam.face.table import SERVED
from tests.iam.face.generate_models import DIRECTORY, load_description, render


@pytest.mark.parametrize("service", SERVED)
def test_a_model_equals_botocores(service: str) -> None:
    checked_in = (DIRECTORY / f"{service}.py").read_text(encoding="utf-8")
    assert checked_in == render(service), "run python -m tests.iam.face.generate_models"


@pytest.mark.parametrize("model", [IAM, ORGANIZATIONS, STS], ids=lambda model: model.name)
def test_every_operation_is_known_and_every_input_usable(model: Model) -> None:
    assert set(model.operations) == set(load_description(model.name)["operations"])
    described = load_description(model.name)["operations"]
    assert set(model.inputs) == {name for name in SERVED[model.name] if "input" in described[name]}
    for shape in model.inputs.values():
        assert model.shapes[shape].kind is Kind.STRUCTURE
        assert convert({}, shape, model) == {}
    convertible = {Kind.STRUCTURE, Kind.LIST, Kind.STRING, Kind.INTEGER, Kind.BOOLEAN}
    assert {shape.kind for shape in model.shapes.values()} <= convertible
