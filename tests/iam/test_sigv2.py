"""Signature Version 2, switched on.

The examples are those of the S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)", in
the editions whose bucket is johnsmith.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from iam.authenticator import Authenticated, Authenticator
from iam.errors import AuthenticationError, Reason
from iam.requests import RequestHead
from iam.scope import KMS, S3, Form
from iam.secrets import Secret
from iam.sigv2 import sign
from tests.iam.checks import ACCESS_KEY_ID, CREDENTIAL, SECRET_TEXT, with_headers

NOW = datetime(2007, 3, 27, 19, 36, 42, tzinfo=UTC)
AUTHENTICATOR = Authenticator("us-east-1", {ACCESS_KEY_ID: CREDENTIAL}.get, accepts_version_2=True)
GET = RequestHead(
    "GET",
    "/photos/puppy.jpg",
    headers={
        "host": "johnsmith.s3.amazonaws.com",
        "date": "Tue, 27 Mar 2007 19:36:42 +0000",
        "authorization": f"AWS {ACCESS_KEY_ID}:bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
    },
)


def authenticate(head: RequestHead, bucket: str | None = "johnsmith", now: datetime = NOW) -> Authenticated | None:
    return AUTHENTICATOR.authenticate(head, S3, now=now, bucket_of_host=bucket)


def reason(head: RequestHead, bucket: str | None = "johnsmith", now: datetime = NOW) -> Reason:
    with pytest.raises(AuthenticationError) as caught:
        authenticate(head, bucket, now)
    told = f"{caught.value!r} {caught.value} {caught.value.message} {dict(caught.value.fields)}"
    assert SECRET_TEXT not in told
    return caught.value.reason


def test_an_object_is_read() -> None:
    found = authenticate(GET)
    assert found is not None
    assert (found.access_key_id, found.form, found.signature_version) == (ACCESS_KEY_ID, Form.HEADER, "AWS")
    assert found.payload_hash == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize(
    ("method", "target", "bucket", "headers", "signature"),
    [
        (
            "PUT",
            "/photos/puppy.jpg",
            "johnsmith",
            {"content-type": "image/jpeg", "content-length": "94328", "date": "Tue, 27 Mar 2007 21:15:45 +0000"},
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
        ),
        (
            "GET",
            "/?prefix=photos&max-keys=50&marker=puppy",
            "johnsmith",
            {"user-agent": "Mozilla/5.0", "date": "Tue, 27 Mar 2007 19:42:41 +0000"},
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
        ),
        (
            "GET",
            "/?acl",
            "johnsmith",
            {"date": "Tue, 27 Mar 2007 19:44:46 +0000"},
            "c2WLPFtWHVgbEmeEG93a4cG37dM=",
        ),
        (
            "PUT",
            "/db-backup.dat.gz",
            "static.johnsmith.net",
            {
                "user-agent": "curl/7.15.5",
                "date": "Tue, 27 Mar 2007 21:06:08 +0000",
                "x-amz-acl": "public-read",
                "content-type": "application/x-download",
                "content-md5": "4gJE4saaMU4BqNR0kLY+lw==",
                "x-amz-meta-reviewedby": "joe@johnsmith.net,jane@johnsmith.net",
                "x-amz-meta-filechecksum": "0x02661779",
                "x-amz-meta-checksumalgorithm": "crc32",
                "content-disposition": "attachment; filename=database.dat",
                "content-encoding": "gzip",
                "content-length": "5913339",
            },
            "ilyl83RwaSoYIEdixDQcA4OnAnc=",
        ),
        ("GET", "/", None, {"date": "Wed, 28 Mar 2007 01:29:59 +0000"}, "qGdzdERIC03wnaRNKh6OqZehG9s="),
        (
            "GET",
            "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
            None,
            {"date": "Wed, 28 Mar 2007 01:49:49 +0000"},
            "DNEZGsoieTZ92F3bUfSPQcbGmlM=",
        ),
    ],
)
def test_the_examples_of_the_documentation(
    method: str, target: str, bucket: str | None, headers: dict[str, str], signature: str
) -> None:
    path, _, query = target.partition("?")
    signed = {**headers, "authorization": f"AWS {ACCESS_KEY_ID}:{signature}"}
    now = datetime.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S %z")
    assert authenticate(RequestHead(method, path, query, signed), bucket, now) is not None


def url(text: str, query: str = "", expires: int = 1175139620, **headers: str) -> RequestHead:
    """A signed URL of photos/puppy.jpg; `text` is what is signed."""
    signature = quote(sign(CREDENTIAL.secret, text), safe="")
    signing = f"AWSAccessKeyId={ACCESS_KEY_ID}&Signature={signature}&Expires={expires}"
    return RequestHead("GET", "/photos/puppy.jpg", f"{signing}{query}", {"host": "h", **headers})


def test_the_url_of_the_documentation() -> None:
    text = "GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg"
    head = url(text)
    assert "Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D" in head.target_query
    found = authenticate(head)
    assert found is not None and found.form is Form.QUERY
    # A client that leaves the signature unencoded is understood.
    assert authenticate(RequestHead("GET", head.target_path, head.target_query.replace("%2B", "+"))) is not None
    assert reason(head, now=datetime(2007, 3, 29, 4, tzinfo=UTC)) is Reason.EXPIRED


def test_parameters_that_are_signed() -> None:
    text = "GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg?response-content-type=text/x&versionId=3"
    assert authenticate(url(text, "&versionId=3&x=y&response-content-type=text%2Fx")) is not None
    assert reason(url(text, "&versionId=4&response-content-type=text%2Fx")) is Reason.SIGNATURE_MISMATCH


def test_headers_that_became_parameters() -> None:
    text = "GET\n\ntext/plain\n1175139620\nx-amz-meta-a:b\n/johnsmith/photos/puppy.jpg"
    head = url(text, "&x-amz-meta-a=b&content-type=text%2Fplain")
    assert authenticate(head) is not None
    # What is sent as a header is what counts later: it must be what was signed.
    assert authenticate(with_headers(head, {"content-type": "text/plain"})) is not None
    assert reason(with_headers(head, {"content-type": "text/html"})) is Reason.SIGNATURE_MISMATCH
    assert reason(with_headers(head, {"x-amz-meta-c": "d"})) is Reason.SIGNATURE_MISMATCH


@pytest.mark.parametrize("expires", ["", "soon", "-1", "1175139620.5", "9" * 30])
def test_an_expiry_that_is_none(expires: str) -> None:
    query = f"AWSAccessKeyId={ACCESS_KEY_ID}&Signature=x&Expires={expires}"
    assert reason(RequestHead("GET", "/k", query)) is Reason.MALFORMED_QUERY


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"date": "Tue, 27 Mar 2007 19:36:43 +0000"}, Reason.SIGNATURE_MISMATCH),
        ({"x-amz-date": "Tue, 27 Mar 2007 19:36:42 +0000"}, Reason.SIGNATURE_MISMATCH),
        ({"x-amz-meta-more": "x"}, Reason.SIGNATURE_MISMATCH),
        ({"content-type": "text/plain"}, Reason.SIGNATURE_MISMATCH),
        ({"date": None}, Reason.MISSING_DATE),
        ({"date": "Tue, 27 Mar 2007 20:36:42 +0000"}, Reason.REQUEST_TIME_TOO_SKEWED),
        ({"authorization": "AWS AKIANOBODY:bWq2s1WEIj+Ydj0vQ697zp+IXMU="}, Reason.UNKNOWN_ACCESS_KEY),
        ({"authorization": f"AWS {ACCESS_KEY_ID}:"}, Reason.UNSUPPORTED_AUTHORIZATION),
        ({"authorization": "AWS nonsense"}, Reason.UNSUPPORTED_AUTHORIZATION),
        ({"authorization": f"AWS {ACCESS_KEY_ID}:\udcff"}, Reason.SIGNATURE_MISMATCH),
        ({"x-amz-security-token": "token"}, Reason.SECURITY_TOKEN),
        ({"x-amz-content-sha256": "nonsense"}, Reason.INVALID_CONTENT_SHA256),
        ({"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, Reason.INVALID_CONTENT_SHA256),
    ],
)
def test_a_request_that_is_not_what_was_signed(headers: dict[str, str | None], expected: Reason) -> None:
    head = with_headers(GET, headers)
    if "x-amz-content-sha256" in headers:  # signed, so that only the value itself is wrong
        value = headers["x-amz-content-sha256"]
        text = f"GET\n\n\n{GET.headers['date']}\nx-amz-content-sha256:{value}\n/johnsmith/photos/puppy.jpg"
        head = with_headers(head, {"authorization": f"AWS {ACCESS_KEY_ID}:{sign(CREDENTIAL.secret, text)}"})
    assert reason(head) is expected


def test_another_bucket_is_another_signature() -> None:
    assert reason(GET, "janesmith") is Reason.SIGNATURE_MISMATCH
    assert reason(GET, None) is Reason.SIGNATURE_MISMATCH


def test_a_bucket_is_signed_with_a_slash_however_it_is_addressed() -> None:
    text = "GET\n\n\n1175139620\n/johnsmith/"
    query = url(text).target_query
    for path, bucket in (("/johnsmith", None), ("/johnsmith/", None), ("/", "johnsmith")):
        assert authenticate(RequestHead("GET", path, query, {"host": "h"}), bucket) is not None


def test_two_mechanisms_at_once() -> None:
    head = url("x")
    assert reason(with_headers(head, {"authorization": "AWS a:b"})) is Reason.SEVERAL_MECHANISMS


def test_a_form() -> None:
    fields = {"awsaccesskeyid": ACCESS_KEY_ID, "policy": "e30=", "signature": sign(CREDENTIAL.secret, "e30=")}
    found = AUTHENTICATOR.authenticate_form(fields, S3, now=NOW)
    assert found is not None and (found.form, found.signature_version) == (Form.POST, "AWS")
    for changes, expected in (
        ({"policy": "e31="}, Reason.SIGNATURE_MISMATCH),
        ({"awsaccesskeyid": "AKIANOBODY"}, Reason.UNKNOWN_ACCESS_KEY),
        ({"x-amz-security-token": "token"}, Reason.SECURITY_TOKEN),
    ):
        with pytest.raises(AuthenticationError) as caught:
            AUTHENTICATOR.authenticate_form(fields | changes, S3, now=NOW)
        assert caught.value.reason is expected
    for missing in fields:
        with pytest.raises(AuthenticationError) as caught:
            AUTHENTICATOR.authenticate_form(
                {name: text for name, text in fields.items() if name != missing}, S3, now=NOW
            )
        assert caught.value.reason is Reason.MALFORMED_FORM


def test_it_is_refused_unless_switched_on_and_never_taken_by_the_kms() -> None:
    off = Authenticator("us-east-1", {ACCESS_KEY_ID: CREDENTIAL}.get)
    for authenticator, service in ((off, S3), (AUTHENTICATOR, KMS)):
        with pytest.raises(AuthenticationError) as caught:
            authenticator.authenticate(GET, service, now=NOW, body_sha256="0" * 64, bucket_of_host="johnsmith")
        assert caught.value.reason is Reason.SIGNATURE_VERSION_2


def test_a_changed_secret_takes_effect() -> None:
    assert sign(Secret(b"a"), "text") != sign(Secret(b"b"), "text")
