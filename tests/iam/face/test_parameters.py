"""From the text of a form to values of the model's shapes."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.face.constraints import Value
from iam.face.errors import IAMError
from iam.face.parameters import MAX_PARAMETERS, convert, parse_form
from iam.face.shapes import Kind, Model, Shape

MODEL = Model(
    "test",
    "2000-01-01",
    "urn:test",
    ("Do",),
    {"Do": "Request"},
    {
        "Request": Shape(Kind.STRUCTURE, members={"Name": "Text", "Most": "Number", "All": "Flag", "Tags": "Tags"}),
        "Text": Shape(Kind.STRING),
        "Number": Shape(Kind.INTEGER),
        "Flag": Shape(Kind.BOOLEAN),
        "Tags": Shape(Kind.LIST, item="Tag"),
        "Tag": Shape(Kind.STRUCTURE, members={"Key": "Text", "Values": "Texts"}),
        "Texts": Shape(Kind.LIST, item="Text"),
    },
)


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("", {}),
        ("Action=Do&Version=2000-01-01&Unknown=x&Tags.other=", None),
        ("Name=a+b%2Bc%C3%A9", {"Name": "a b+cé"}),
        ("Name=", {"Name": ""}),
        ("Name", {"Name": ""}),
        ("&&Name=a&", {"Name": "a"}),
        ("Most=12&All=true", {"Most": 12, "All": True}),
        ("Most=-1&All=False", {"Most": -1, "All": False}),
        ("Tags=", {"Tags": []}),
        (
            "Tags.member.2.Key=b&Tags.member.10.Key=c&Tags.member.1.Key=a&Tags.member.1.Values.member.1=x",
            {"Tags": [{"Key": "a", "Values": ["x"]}, {"Key": "b"}, {"Key": "c"}]},
        ),
        ("Unknown.member.1=x&a.b.c.d.e.f.g.h.i.j.k=x", {}),
        ("Name.part=x", None),
        ("Name=x&Name.part=x", None),
        ("Most=", None),
        ("Most=1.0", None),
        ("Most=1e3", None),
        ("Most=" + "9" * 10, None),
        ("Most=٣", None),
        ("All=yes", None),
        ("Tags=x", None),
        ("Tags.member=x", None),
        ("Tags.member.a.Key=x", None),
        ("Tags.member.-1.Key=x", None),
        ("Tags.member.1=x&Tags.other.1=x", None),
        ("Tags.1.Key=x", None),
        ("Tags.member.1.Key=x&Tags.member.01.Key=y", None),
    ],
)
def test_values(form: str, values: dict[str, Value] | None) -> None:
    if values is None:
        with pytest.raises(IAMError) as caught:
            convert(parse_form(form), "Request", MODEL)
        assert caught.value.code == "MalformedInput"
    else:
        assert convert(parse_form(form), "Request", MODEL) == values


@pytest.mark.parametrize("form", ["Name=%ff", "Name=a&Name=b", "Name=a&N%61me=a", "a&" * MAX_PARAMETERS])
def test_what_is_no_form(form: str) -> None:
    with pytest.raises(IAMError) as caught:
        parse_form(form)
    assert caught.value.code == "MalformedQueryString"


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=20))
def test_whatever_was_encoded_is_read(parameters: dict[str, str]) -> None:
    assert parse_form(urlencode(parameters)) == parameters


@given(st.text(max_size=200))
def test_nothing_else_is_raised(form: str) -> None:
    try:
        convert(parse_form(form), "Request", MODEL)
    except IAMError as error:
        assert error.status in {400, 404}
