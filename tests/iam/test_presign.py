"""Presigned URLs: their time, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iam.errors import AuthenticationError, Reason
from iam.requests import RequestHead
from tests.iam.botocore_signing import presigned_by_s3
from tests.iam.checks import authenticate, check_refused, with_headers

GOOD = presigned_by_s3("GET", "/bucket/key?versionId=1")


def with_query(query: str) -> RequestHead:
    return RequestHead("GET", "/bucket/key", query, GOOD.headers)


def replaced(old: str, new: str) -> RequestHead:
    assert old in GOOD.target_query
    return with_query(GOOD.target_query.replace(old, new))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (with_query("X-Amz-Algorithm=AWS4-HMAC-SHA256"), "requires the X-Amz-Algorithm, X-Amz-Credential,"),
        (with_query("X-Amz-Signature=0"), "requires the X-Amz-Algorithm, X-Amz-Credential,"),
        (with_query("X-Amz-Credential=0"), "requires the X-Amz-Algorithm, X-Amz-Credential,"),
        (with_query("X%2DAmz-Signature=0"), "requires the X-Amz-Algorithm, X-Amz-Credential,"),
        (replaced("X-Amz-Expires=3600", "X-Amz-Expires="), "requires the X-Amz-Algorithm, X-Amz-Credential,"),
        (with_query(GOOD.target_query + "&X-Amz-Expires=7200"), "more than once"),
        (replaced("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), 'only supports "AWS4-HMAC-SHA256"'),
        (replaced("X-Amz-Date=2013", "X-Amz-Date=2013-"), "ISO8601 Long Format"),
        (replaced("X-Amz-Expires=3600", "X-Amz-Expires=604801"), "less than a week"),
        (replaced("X-Amz-Expires=3600", f"X-Amz-Expires={'9' * 4000}"), "should be a number"),
        (replaced("X-Amz-Expires=3600", "X-Amz-Expires=-1"), "must be non-negative"),
        (replaced("X-Amz-Expires=3600", "X-Amz-Expires=0"), "at least 1 second"),
        (replaced("X-Amz-Expires=3600", "X-Amz-Expires=1h"), "should be a number"),
        (replaced("X-Amz-Expires=3600", "X-Amz-Expires=%D9%A3"), "should be a number"),
        (replaced("us-east-1", "eu-west-1"), "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
        (replaced("%2Fs3%2F", "%2Fkms%2F"), 'incorrect service "kms"'),
        (replaced("20130524%2F", "20130525%2F"), "Invalid credential date"),
    ],
)
def test_malformed(head: RequestHead, told: str) -> None:
    error = check_refused(head, Reason.MALFORMED_QUERY)
    assert told in error.message
    assert error.s3_code == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (replaced("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), Reason.SIGNATURE_VERSION_4A),
        (with_query("AWSAccessKeyId=A&Signature=b%3D&Expires=1"), Reason.SIGNATURE_VERSION_2),
        (with_query(GOOD.target_query + "&X-Amz-Security-Token=t"), Reason.SECURITY_TOKEN),
        (with_query(GOOD.target_query + "&AWSAccessKeyId=A&Signature=b"), Reason.SEVERAL_MECHANISMS),
        (with_headers(GOOD, {"x-amz-acl": "public-read"}), Reason.HEADERS_NOT_SIGNED),
        (with_headers(GOOD, {"x-amz-security-token": "t"}), Reason.HEADERS_NOT_SIGNED),
        (replaced("SignedHeaders=host", "SignedHeaders=range"), Reason.HEADERS_NOT_SIGNED),
        (with_headers(GOOD, {"x-amz-content-sha256": "0" * 64}), Reason.SIGNATURE_MISMATCH),
        (with_headers(GOOD, {"x-amz-content-sha256": "x"}), Reason.INVALID_CONTENT_SHA256),
        (
            with_headers(GOOD, {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}),
            Reason.INVALID_CONTENT_SHA256,
        ),
        (with_query(GOOD.target_query + "&extra=1"), Reason.SIGNATURE_MISMATCH),
        (with_query(GOOD.target_query.replace("versionId=1", "versionId=2")), Reason.SIGNATURE_MISMATCH),
    ],
)
def test_refused(head: RequestHead, reason: Reason) -> None:
    check_refused(head, reason)


def test_the_region_of_a_wrong_scope_is_told() -> None:
    error = check_refused(replaced("us-east-1", "eu-west-1"), Reason.MALFORMED_QUERY)
    assert error.fields == {"Region": "us-east-1"}


def test_unsigned_payload_may_be_declared() -> None:
    """The SDK for JavaScript puts X-Amz-Content-Sha256=UNSIGNED-PAYLOAD into the URL; browsers may send the header."""
    declared = presigned_by_s3("GET", "/bucket/key?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD")
    for head in (declared, with_headers(GOOD, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})):
        authenticated = authenticate(head)
        assert authenticated is not None
        assert authenticated.payload_hash == "UNSIGNED-PAYLOAD"


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(
        ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Content-Sha256"]
    ),
    value=st.text(st.characters(codec="utf-8"), max_size=30),
)
def test_nothing_but_authentication_errors_is_ever_raised(name: str, value: str) -> None:
    pieces = [piece for piece in GOOD.target_query.split("&") if not piece.startswith(f"X-Amz-{name}=")]
    head = with_query("&".join([*pieces, f"X-Amz-{name}={value}"]))
    try:
        authenticate(head)
    except AuthenticationError as error:
        assert error.message.encode()
