"""Operations of the S3 model that are not served: recognised, authenticated, refused by name; nothing happens."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.operations.table import Operation, Target
from gateway.operations.unserved import UNSERVED
from tests.clients.raw import RawClient


def target_of(operation: Operation, bucket: str) -> str:
    path = f"/{bucket}" + ("/key" if operation.target is Target.OBJECT else "")
    query = "&".join(item if "=" in item else f"{item}=1" if item == "id" else item for item in operation.query)
    return f"{path}?{query}" if query else path


@pytest.mark.parametrize("operation", UNSERVED, ids=lambda operation: operation.name)
def test_it_answers_not_implemented(raw: RawClient, s3: Any, shared_bucket: str, operation: Operation) -> None:
    s3.put_object(Bucket=shared_bucket, Key="key", Body=b"kept")
    target = target_of(operation, shared_bucket)
    headers = {operation.header: f"{shared_bucket}/key"} if operation.header else {}
    answer = raw.request(operation.method, target, headers, b"<Any/>" if operation.method in ("PUT", "POST") else b"")
    assert answer.refusal == (501, "NotImplemented")
    assert answer.element("Operation") == operation.name
    assert s3.get_object(Bucket=shared_bucket, Key="key")["Body"].read() == b"kept"


@pytest.mark.parametrize("operation", UNSERVED[:3], ids=lambda operation: operation.name)
def test_it_is_authenticated_first(raw: RawClient, shared_bucket: str, operation: Operation) -> None:
    answer = raw.send(operation.method, target_of(operation, shared_bucket), {"host": raw.host})
    assert answer.refusal == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("POST", "/", (405, "MethodNotAllowed")),
        ("PUT", "/", (405, "MethodNotAllowed")),
        ("DELETE", "/", (405, "MethodNotAllowed")),
        ("POST", "/{0}/key", (405, "MethodNotAllowed")),
        ("PATCH", "/{0}/key", (405, "MethodNotAllowed")),
        ("TRACE", "/{0}", (405, "MethodNotAllowed")),
        ("FOO", "/{0}/key", (400, "BadRequest")),
        ("get", "/{0}/key", (400, "BadRequest")),
    ],
)
def test_methods_that_no_resource_has(
    raw: RawClient, shared_bucket: str, method: str, target: str, expected: tuple[int, str]
) -> None:
    assert raw.request(method, target.format(shared_bucket)).refusal == expected


def test_operations_that_aws_has_on_other_hosts(raw: RawClient, shared_bucket: str) -> None:
    """docs/divergences.md, "Not served yet"."""
    listed = raw.request("GET", "/?max-directory-buckets=1000")
    assert (listed.status, shared_bucket in listed.body.decode()) == (200, True)
    headers = {"x-amz-request-route": "r", "x-amz-request-token": "t"}
    written = raw.request("POST", "/WriteGetObjectResponse", headers, b"data")
    assert written.refusal == (412, "PreconditionFailed"), "no browser form for a bucket"


VERSION = (400, "InvalidArgument")
NOT_ALLOWED = (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        *(
            ("DELETE", f"/{{0}}/key?{name}", NOT_ALLOWED)
            for name in ("acl", "cors", "partNumber=1", "uploads", "policy")
        ),
        *(("DELETE", f"/{{0}}?{name}", NOT_ALLOWED) for name in ("acl", "versioning", "uploads", "location", "delete")),
        *(("PUT", f"/{{0}}/key?{name}", NOT_ALLOWED) for name in ("cors", "uploads", "partNumber=1", "uploadId=x")),
        *(("PUT", f"/new-{{0}}?{name}", NOT_ALLOWED) for name in ("uploads", "location", "policyStatus")),
        *(("GET", f"/{{0}}/key?{name}", NOT_ALLOWED) for name in ("uploads", "restore", "renameObject")),
        ("HEAD", "/{0}/key?tagging", (405, "")),
        ("PUT", "/{0}/key?versionId=null", VERSION),
        ("POST", "/{0}/key?uploads&versionId=null", VERSION),
        ("GET", "/{0}/key?acl&tagging", (400, "InvalidArgument")),
        ("DELETE", "/{0}/key?tagging&uploadId=x", (400, "InvalidArgument")),
    ],
)
def test_a_subresource_is_never_left_aside(
    raw: RawClient, s3: Any, bucket: str, method: str, target: str, expected: tuple[int, str]
) -> None:
    """What was meant for a part of the object or bucket must not happen to the whole."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    body = b"<Any/>" if method in ("PUT", "POST") else b""
    assert raw.request(method, target.format(bucket), {}, body).refusal == expected
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"kept"
    assert f"new-{bucket}" not in [each["Name"] for each in s3.list_buckets(Prefix="new-")["Buckets"]]


@pytest.mark.parametrize(
    "query",
    ["policyStatus", "website", "location=here", "x-id=GetObject", "unknown", "unknown=1&other=2", "utm_source=x"],
)
def test_parameters_that_mean_nothing_are_ignored(raw: RawClient, s3: Any, shared_bucket: str, query: str) -> None:
    s3.put_object(Bucket=shared_bucket, Key="key", Body=b"kept")
    assert raw.request("GET", f"/{shared_bucket}/key?{query}").body == b"kept"
