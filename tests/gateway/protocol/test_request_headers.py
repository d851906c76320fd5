from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import request_headers
from gateway.protocol.encryption import CHOOSING
from gateway.protocol.errors import S3Error
from gateway.protocol.request_headers import MAX_USER_AGENT_CHARACTERS, check_request_headers, user_agent

OPERATIONS = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteBucketEncryption",
    "DeleteObject",
    "DeleteObjects",
    "GetBucketEncryption",
    "GetBucketLocation",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutBucketEncryption",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
]


def model_headers() -> Iterator[tuple[str, str]]:
    """Every (operation, x-amz header) of the installed service model, for the operations that are served."""
    service: Any = botocore.session.get_session().get_service_model("s3")
    for operation in OPERATIONS:
        for member in service.operation_model(operation).input_shape.members.values():
            name = member.serialization.get("name", "").lower()
            if member.serialization.get("location") in ("header", "headers") and name.startswith("x-amz-"):
                yield operation, name + ("x" if name.endswith("-") else "")


MODEL_HEADERS = list(model_headers())


def is_named(header: str) -> bool:
    return (
        header in request_headers.SERVED
        or header in request_headers.TOLERATED
        or header in request_headers.LIMITED
        or header in request_headers.REFUSED
        or header.startswith(("x-amz-object-lock-", *request_headers.SERVED_FAMILIES))
    )


def test_the_model_was_read() -> None:
    assert len(MODEL_HEADERS) > 150
    assert ("PutObject", "x-amz-server-side-encryption") in MODEL_HEADERS


@pytest.mark.parametrize("header", sorted({header for _, header in MODEL_HEADERS}))
def test_no_header_of_the_model_is_ignored_by_oversight(header: str) -> None:
    assert is_named(header)


@pytest.mark.parametrize(("operation", "header"), MODEL_HEADERS)
def test_what_is_neither_served_nor_tolerated_is_refused(operation: str, header: str) -> None:
    passes = header in request_headers.SERVED | request_headers.TOLERATED or header.startswith("x-amz-meta-")
    passes = passes and operation in request_headers.DEMANDS.get(header, {operation})
    chooses = operation in CHOOSING and header.startswith(request_headers.ENCRYPTION_FAMILIES)
    if passes or chooses:
        check_request_headers({header: "a value of its own"}, operation)
        return
    with pytest.raises(S3Error) as caught:
        check_request_headers({header: "a value of its own"}, operation)
    assert caught.value.status in (400, 501)


def test_the_table_names_each_header_once() -> None:
    names = [*request_headers.SERVED, *request_headers.TOLERATED, *request_headers.LIMITED, *request_headers.REFUSED]
    assert len(names) == len(set(names))
    assert not any(name.startswith(request_headers.SERVED_FAMILIES) for name in names)


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("x-amz-tagging", "a=b", None),
        ("x-amz-tagging-directive", "REPLACE", None),
        ("x-amz-object-lock-legal-hold", "OFF", "NotImplemented"),
        ("x-amz-object-lock-something-new", "x", "NotImplemented"),
        ("x-amz-checksum-sha512", "x", None),
        ("x-amz-checksum-blake3", "x", "InvalidRequest"),
        ("x-amz-if-something", "x", "NotImplemented"),
        ("x-amz-website-redirect-location", "/", None),
        ("x-amz-write-offset-bytes", "0", "NotImplemented"),
        ("x-amz-unknown", "x", None),
        ("content-type", "x", None),
    ],
)
def test_headers_of_objects(header: str, value: str, code: str | None) -> None:
    if code is None:
        check_request_headers({header: value}, "PutObject")
        return
    with pytest.raises(S3Error) as caught:
        check_request_headers({header: value}, "PutObject")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("operation", "header", "is_taken"),
    [
        ("PutObject", "if-match", True),
        ("PutObject", "if-none-match", True),
        ("PutObject", "if-modified-since", False),
        ("CompleteMultipartUpload", "if-none-match", True),
        ("CreateMultipartUpload", "if-none-match", False),
        ("UploadPart", "if-match", False),
        ("DeleteObject", "if-match", True),
        ("DeleteObject", "if-none-match", False),
        ("DeleteObjects", "if-match", False),
        ("DeleteBucket", "if-unmodified-since", False),
        ("GetObject", "if-modified-since", True),
        ("ListObjectsV2", "if-none-match", True),
    ],
)
def test_a_condition_that_a_change_does_not_take_is_refused(operation: str, header: str, is_taken: bool) -> None:
    if is_taken:
        check_request_headers({header: "x"}, operation)
        return
    with pytest.raises(S3Error) as caught:
        check_request_headers({header: "x"}, operation)
    assert (caught.value.code, caught.value.fields) == ("NotImplemented", {"Header": header.title()})


@pytest.mark.parametrize(
    ("operation", "header", "is_taken"),
    [
        ("CopyObject", "x-amz-copy-source-if-match", True),
        ("UploadPartCopy", "x-amz-copy-source-if-none-match", True),
        ("PutObject", "x-amz-copy-source-if-match", False),
        ("UploadPart", "x-amz-copy-source-range", False),
        ("PutObjectTagging", "x-amz-copy-source-if-modified-since", False),
        ("CompleteMultipartUpload", "x-amz-mp-object-size", True),
        ("PutObject", "x-amz-mp-object-size", False),
        ("RenameObject", "x-amz-rename-source-if-match", True),
        ("CopyObject", "x-amz-rename-source-if-match", False),
        ("UploadPartCopy", "x-amz-source-expected-bucket-owner", True),
        ("DeleteObject", "x-amz-source-expected-bucket-owner", False),
        ("GetObject", "x-amz-copy-source-if-match", True),
        ("PutObject", "x-amz-metadata-directive", True),
        ("CreateMultipartUpload", "x-amz-tagging-directive", True),
    ],
)
def test_a_demand_that_a_change_does_not_see_to_is_refused(operation: str, header: str, is_taken: bool) -> None:
    if is_taken:
        check_request_headers({header: "x"}, operation)
        return
    with pytest.raises(S3Error, match=header) as caught:
        check_request_headers({header: "x"}, operation)
    assert caught.value.code == "InvalidRequest"


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("x-amz-object-ownership", "BucketOwnerEnforced", None),
        ("x-amz-bucket-object-lock-enabled", "false", None),
        ("x-amz-bucket-object-lock-enabled", "true", "NotImplemented"),
        ("x-amz-bucket-namespace", "account-regional", None),
    ],
)
def test_headers_of_buckets(header: str, value: str, code: str | None) -> None:
    if code is None:
        check_request_headers({header: value}, "CreateBucket")
        return
    with pytest.raises(S3Error) as caught:
        check_request_headers({header: value}, "CreateBucket")
    assert caught.value.code == code


@given(st.dictionaries(st.text().map("x-amz-".__add__), st.text()), st.sampled_from(OPERATIONS))
def test_nothing_but_s3_errors(headers: dict[str, str], operation: str) -> None:
    try:
        check_request_headers(headers, operation)
    except S3Error as error:
        assert error.status in (400, 403, 501)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ""),
        ({"user-agent": "Boto3/1.40 ä"}, "Boto3/1.40 ä"),
        ({"user-agent": "\udcff/1"}, "?/1"),
        ({"user-agent": "x" * 5000}, "x" * MAX_USER_AGENT_CHARACTERS),
    ],
)
def test_user_agent(headers: dict[str, str], expected: str) -> None:
    assert user_agent(headers) == expected
