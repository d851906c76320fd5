"""From JSON to the parameters of the query protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.face.errors import IAMError
from iam.face.json_body import find_json_operation, model_of_target, operation_name, parse_body
from iam.face.models.organizations import ORGANIZATIONS
from iam.face.query import Operation

CREATE = find_json_operation(ORGANIZATIONS, "CreateAccount")


def parse(document: Any, operation: Operation = CREATE) -> dict[str, str]:
    return parse_body(json.dumps(document).encode(), operation)


def test_members_are_named_as_in_a_query() -> None:
    document = {
        "AccountName": "a",
        "Email": None,
        "Tags": [{"Key": "k", "Value": ""}, {"Key": "l"}],
        "NewerClients": {"send": "more"},
    }
    assert parse(document) == {
        "AccountName": "a",
        "Tags.member.1.Key": "k",
        "Tags.member.1.Value": "",
        "Tags.member.2.Key": "l",
    }
    assert parse({"Tags": []}) == {"Tags": ""}
    assert parse({"MaxResults": 7}, find_json_operation(ORGANIZATIONS, "ListAccounts")) == {"MaxResults": "7"}
    assert parse_body(b"", find_json_operation(ORGANIZATIONS, "DescribeOrganization")) == {}


@pytest.mark.parametrize(
    "document",
    [
        [],
        "text",
        {"AccountName": ["a"]},
        {"AccountName": 1},
        {"AccountName": True},
        {"Tags": {"Key": "k"}},
        {"Tags": ["k"]},
        {"Tags": [None]},
        {"Tags": [{"Key": "k"}] * 1001},
    ],
)
def test_what_is_of_another_type_or_too_much(document: Any) -> None:
    with pytest.raises(IAMError) as caught:
        parse(document)
    assert caught.value.code == "MalformedInput"


@given(st.binary() | st.text().map(str.encode))
def test_any_body_is_parameters_or_refused(body: bytes) -> None:
    try:
        parameters = parse_body(body, CREATE)
    except IAMError as error:
        assert error.code == "MalformedInput"
    else:
        assert all(isinstance(value, str) for value in parameters.values())


def test_targets() -> None:
    assert model_of_target("AWSOrganizationsV20161128.ListAccounts") is ORGANIZATIONS
    assert operation_name("AWSOrganizationsV20161128.ListAccounts") == "ListAccounts"
    for other in ("", ".", "TrentService.Decrypt", "AWSOrganizationsV20161128", "ListAccounts"):
        assert model_of_target(other) is None
    for name, code in (("NoSuch", "InvalidAction"), ("ListPolicies", "NotImplemented")):
        with pytest.raises(IAMError) as caught:
            find_json_operation(ORGANIZATIONS, name)
        assert caught.value.code == code
