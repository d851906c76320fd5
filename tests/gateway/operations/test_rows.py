"""The operation table against the S3 service model: every operation has a row, and is found by its own request."""

from __future__ import annotations

from urllib.parse import urlsplit

import botocore.session
import pytest

from gateway.operations.request_payment import CHARGED_OPERATIONS
from gateway.operations.rows import OPERATIONS, SERVED
from gateway.operations.table import Operation, Target
from gateway.protocol.errors import S3Error
from gateway.protocol.query import Query

MODEL = botocore.session.get_session().get_service_model("s3")

# Older spellings of the same request, an operation of directory buckets' own endpoint, and one of Object Lambda's.
SAME_REQUEST = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}
OTHER_ENDPOINT = {"WriteGetObjectResponse"}


def request_of(name: str) -> tuple[str, Target, Query, dict[str, str]]:
    """The request of an operation with its required members only, as the model describes it."""
    operation = MODEL.operation_model(name)
    uri = urlsplit(operation.http["requestUri"])
    target = {"/": Target.SERVICE, "/{Bucket}": Target.BUCKET, "/{Bucket}/{Key+}": Target.OBJECT}[uri.path]
    query = [uri.query] if uri.query else []
    headers = {}
    for member in operation.input_shape.required_members if operation.input_shape else []:
        serialization = operation.input_shape.members[member].serialization
        if serialization.get("location") == "querystring":
            query.append(f"{serialization['name']}=1")
        elif serialization.get("location") == "header":
            headers[serialization["name"].lower()] = "value"
    return operation.http["method"], target, Query("&".join(query)), headers


@pytest.mark.parametrize("name", sorted(set(MODEL.operation_names) - OTHER_ENDPOINT))
def test_every_operation_of_the_model_is_found_by_its_request(name: str) -> None:
    method, target, query, headers = request_of(name)
    found = OPERATIONS.find(method, target, query, headers)
    assert found.name == SAME_REQUEST.get(name, name)


def test_operations_that_a_requester_may_pay_for() -> None:
    paid = {
        name
        for name in MODEL.operation_names
        if (shape := MODEL.operation_model(name).input_shape) is not None and "RequestPayer" in shape.members
    }
    paid.add("PostObject")  # a form, which the model does not know
    served = {row.name for row in SERVED}
    assert served & paid == served & CHARGED_OPERATIONS
    assert paid >= CHARGED_OPERATIONS


def test_served_operations_have_handlers_and_others_have_none() -> None:
    for operation in OPERATIONS.operations:
        assert (operation.handler is not None) == (operation in SERVED), operation.name


def test_names_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS.operations]
    assert len(names) == len(set(names))


PARAMETERS = {requirement.partition("=")[0] for row in OPERATIONS.operations for requirement in row.query}
SUBRESOURCES = sorted({*PARAMETERS, "versionId"} - {"annotationName", "id", "list-type", "select-type"})


@pytest.mark.parametrize(
    "operation", [row for row in SERVED if row.name in MODEL.operation_names], ids=lambda row: row.name
)
def test_a_subresource_that_the_operation_does_not_have_is_never_left_aside(operation: Operation) -> None:
    """Reading leaves aside what can only belong to something else; everything that changes something refuses it."""
    method, target, query, headers = request_of(operation.name)
    members = MODEL.operation_model(operation.name).input_shape.members.values()
    known = {each.serialization["name"] for each in members if each.serialization.get("location") == "querystring"}
    own = {requirement.partition("=")[0] for requirement in operation.query}
    of_target = {name.partition("=")[0] for row in OPERATIONS.operations if row.target is target for name in row.query}
    for name in SUBRESOURCES:
        more = Query("&".join(part for part in (query.raw, f"{name}=1") if part))
        is_left_aside = method in ("GET", "HEAD") and name not in of_target | {"versionId"}
        try:
            found = OPERATIONS.find(method, target, more, headers)
        except S3Error as refused:
            assert name not in known | own, (operation.name, name)
            assert refused.code in ("InvalidArgument", "MethodNotAllowed")
        else:
            assert found is not operation or name in known | own or is_left_aside, (operation.name, name)


def test_an_unknown_subresource_is_ignored_as_on_aws() -> None:
    assert OPERATIONS.find("GET", Target.OBJECT, Query("x-id=GetObject&unknown"), {}).name == "GetObject"


def test_a_method_that_no_row_has_is_not_allowed() -> None:
    with pytest.raises(S3Error) as refused:
        OPERATIONS.find("POST", Target.SERVICE, Query(""), {})
    assert refused.value.code == "MethodNotAllowed"
