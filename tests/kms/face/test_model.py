"""The checked-in model is what the installed botocore says, and all of it can be used."""

from __future__ import annotations

from iam.face.shapes import Kind
from kms.face.model import INPUTS, SHAPES
from kms.face.table import OPERATIONS
from tests.kms.face.generate_model import TARGET, load_description, render

UNSERVED = {
    "ConnectCustomKeyStore",
    "CreateCustomKeyStore",
    "Decapsulate",
    "DeleteCustomKeyStore",
    "DescribeCustomKeyStores",
    "DisconnectCustomKeyStore",
    "Encapsulate",
    "UpdateCustomKeyStore",
}
"""What is known and refused with UnsupportedOperationException."""


def test_the_model_equals_botocores() -> None:
    expected = render(load_description())
    assert TARGET.read_text(encoding="utf-8") == expected, "run python -m tests.kms.face.generate_model"


def test_every_operation_of_the_model_is_in_the_table() -> None:
    assert set(OPERATIONS) == set(load_description()["operations"])
    assert {name for name, handler in OPERATIONS.items() if handler is None} == UNSERVED


def test_every_shape_leads_to_shapes() -> None:
    for name in INPUTS.values():
        assert SHAPES[name].kind is Kind.STRUCTURE
    for shape in SHAPES.values():
        assert set(shape.members.values()) <= set(SHAPES)
        assert set(shape.required) <= set(shape.members)
        assert (shape.item is not None) == (shape.kind is Kind.LIST)
        assert (shape.value is not None) == (shape.kind is Kind.MAP)
        assert shape.item is None or shape.item in SHAPES
        assert shape.value is None or shape.value in SHAPES


def test_maps_have_unbounded_string_keys() -> None:
    """What the shapes leave out of the model: keys of maps carry no constraint to check."""
    shapes = load_description()["shapes"]
    for name, shape in SHAPES.items():
        if shape.kind is Kind.MAP:
            assert set(shapes[shapes[name]["key"]["shape"]]) <= {"type", "documentation"}
            assert not {"min", "max"} & set(shapes[name])
