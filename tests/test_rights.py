"""The rights that the tables of operations declare: one row for each operation, and only what AWS knows.

That they are true, all of them asked for and nothing else, is proved by `tests/clients/test_every_operation_rights.py`.
"""

from __future__ import annotations

import json

import pytest

from gateway.operations.control import CONTROL_OPERATIONS
from gateway.operations.rows import OPERATIONS as S3_OPERATIONS
from iam.face.rights import ASKS_NOTHING
from iam.face.table import SERVED as IDENTITY_OPERATIONS
from iam.policy.bucket import OBJECT_ACTIONS
from iam.rights import ANY, Right
from kms.face.table import OPERATIONS as KMS_OPERATIONS
from tests.harness import REPOSITORY
from tests.rights_table import SERVICES, render, written

REFERENCE = json.loads((REPOSITORY / "tests" / "vectors" / "service_authorization.json").read_text(encoding="utf-8"))
"""Service Authorization Reference: the actions of a service, each with the kinds of its resources."""

BEYOND = {("sts:TagSession", "federated-user")}
"""What the reference leaves out: GetFederationToken takes session tags (User Guide, "Pass session tags in AWS STS")."""

DECLARED = [(service, name, right) for service, rows in SERVICES.items() for name in rows for right in rows[name]]


def test_every_operation_that_is_served_has_a_row() -> None:
    assert set(SERVICES["s3"]) == {row.name for row in S3_OPERATIONS.operations if row.handler is not None}
    assert {f"s3control:{name}" for name in SERVICES["s3control"]} == {row.name for row in CONTROL_OPERATIONS}
    assert set(SERVICES["kms"]) == {name for name, handler in KMS_OPERATIONS.items() if handler is not None}
    for service in ("iam", "organizations", "sts"):
        assert set(SERVICES[service]) == set(IDENTITY_OPERATIONS[service])


def test_an_operation_that_asks_for_nothing_says_why() -> None:
    assert {name for rows in SERVICES.values() for name, rights in rows.items() if not rights} == set(ASKS_NOTHING)


@pytest.mark.parametrize(("service", "name", "right"), DECLARED, ids=lambda each: getattr(each, "action", each))
def test_an_action_is_one_of_the_reference_on_a_resource_of_its_kind(service: str, name: str, right: Right) -> None:
    prefix, _, action = right.action.partition(":")
    kinds = REFERENCE[prefix][action]
    assert right.on in (kinds or [ANY]) or (right.action, right.on) in BEYOND


def test_actions_of_rows_that_are_not_served_are_of_the_reference_too() -> None:
    for row in S3_OPERATIONS.operations:
        prefix, _, action = row.action.partition(":")
        assert action in REFERENCE[prefix], row.name


def test_no_right_is_declared_twice() -> None:
    for rows in SERVICES.values():
        for name, rights in rows.items():
            assert len(rights) == len(set(rights)), name


def test_the_actions_whose_resource_is_an_object() -> None:
    """A bucket policy may name them for objects alone, and all the others for the bucket."""
    assert {f"s3:{name}" for name, kinds in REFERENCE["s3"].items() if "object" in kinds} == OBJECT_ACTIONS


def test_the_document_has_the_table_that_is_declared() -> None:
    assert written() == render(), "python -m tests.rights_table"
