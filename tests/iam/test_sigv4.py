"""The Authorization header: what is refused, how, and what real clients may leave out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iam.canonical import canonical_request, encode_path_once, query_pairs
from iam.credentials import Credential
from iam.errors import S3_CODE, AuthenticationError, Reason
from iam.requests import RequestHead
from iam.scope import CredentialScope
from iam.secrets import Secret
from iam.signing_keys import SigningKey, derive_signing_key
from iam.sigv4 import sign, string_to_sign
from tests.iam.botocore_signing import signed_by_s3_header
from tests.iam.checks import (
    ACCESS_KEY_ID,
    CREDENTIAL,
    PRINCIPAL,
    authenticate,
    check_refused,
    with_headers,
)

GOOD = signed_by_s3_header("GET", "/bucket/key", {"x-amz-meta-a": "b"})
AUTHORIZATION = GOOD.headers["authorization"]


def with_authorization(value: str) -> RequestHead:
    return with_headers(GOOD, {"authorization": value})


def replaced(old: str, new: str) -> RequestHead:
    assert old in AUTHORIZATION
    return with_authorization(AUTHORIZATION.replace(old, new))


def test_no_signature_is_anonymous() -> None:
    assert authenticate(RequestHead("GET", "/bucket/key", "X-Amz-Date=1&Signature=2", {"host": "h"})) is None


@pytest.mark.parametrize(
    "value",
    [
        AUTHORIZATION.replace(", ", ","),
        AUTHORIZATION.replace(", ", " ,  "),
        AUTHORIZATION.replace(", ", ",\t"),
        AUTHORIZATION.replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256   "),
        f"  {AUTHORIZATION} ",
        "AWS4-HMAC-SHA256 " + ", ".join(reversed(AUTHORIZATION.removeprefix("AWS4-HMAC-SHA256 ").split(", "))),
    ],
)
def test_blanks_and_order_of_components_do_not_matter(value: str) -> None:
    assert authenticate(with_authorization(value)) is not None


@pytest.mark.parametrize(
    ("head", "reason", "told"),
    [
        (with_authorization(""), Reason.UNSUPPORTED_AUTHORIZATION, "Unsupported Authorization Type"),
        (with_authorization("Basic dXNlcjpwYXNz"), Reason.UNSUPPORTED_AUTHORIZATION, "Unsupported Authorization Type"),
        (with_authorization("AWS AKID:sig="), Reason.SIGNATURE_VERSION_2, "Please use AWS4-HMAC-SHA256."),
        (replaced("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), Reason.SIGNATURE_VERSION_4A, "4A is not supported"),
        (with_authorization("AWS4-HMAC-SHA256"), Reason.MALFORMED_AUTHORIZATION, "malformed"),
        (with_authorization("AWS4-HMAC-SHA256 ,,,"), Reason.MALFORMED_AUTHORIZATION, "malformed"),
        (with_authorization(AUTHORIZATION + ", Signature=0"), Reason.MALFORMED_AUTHORIZATION, "malformed"),
        (replaced("Signature=", "Signatur="), Reason.MALFORMED_AUTHORIZATION, "requires Signature"),
        (replaced("SignedHeaders=", "x="), Reason.MALFORMED_AUTHORIZATION, "requires SignedHeaders"),
        (replaced("Credential=", "x="), Reason.MALFORMED_AUTHORIZATION, "requires Credential"),
        (replaced("/s3/", "/"), Reason.MALFORMED_AUTHORIZATION, "the Credential is mal-formed"),
        (replaced(ACCESS_KEY_ID + "/", "/"), Reason.MALFORMED_AUTHORIZATION, "the Credential is mal-formed"),
        (replaced("aws4_request", "aws5_request"), Reason.WRONG_SCOPE, 'incorrect terminal "aws5_request"'),
        (replaced("/s3/", "/sts/"), Reason.WRONG_SCOPE, 'incorrect service "sts"'),
        (replaced("20130524/", "2013-5-24/"), Reason.MALFORMED_AUTHORIZATION, "incorrect date format"),
        (replaced("20130524/", "٢٠١٣٠٥٢٤/"), Reason.MALFORMED_AUTHORIZATION, "incorrect date format"),
        (replaced("20130524/", "20130525/"), Reason.WRONG_SCOPE, "Invalid credential date"),
        (replaced(ACCESS_KEY_ID, "AKIAUNKNOWNUNKNOWN12"), Reason.UNKNOWN_ACCESS_KEY, "does not exist in our records"),
        (replaced("host;", ""), Reason.HEADERS_NOT_SIGNED, "not signed"),
        (with_headers(GOOD, {"x-amz-acl": "public-read"}), Reason.HEADERS_NOT_SIGNED, "not signed"),
        (with_headers(GOOD, {"x-amz-security-token": "t"}), Reason.HEADERS_NOT_SIGNED, "not signed"),
        (with_headers(GOOD, {"x-amz-content-sha256": None}), Reason.MISSING_CONTENT_SHA256, "x-amz-content-sha256"),
        (with_headers(GOOD, {"x-amz-content-sha256": "0" * 63}), Reason.INVALID_CONTENT_SHA256, "valid sha256"),
        (
            with_headers(GOOD, {"x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"}),
            Reason.SIGNATURE_VERSION_4A,
            "4A is not supported",
        ),
        (with_headers(GOOD, {"x-amz-date": None}), Reason.MISSING_DATE, "requires a valid Date"),
        (with_headers(GOOD, {"x-amz-date": "20130524T000000"}), Reason.MISSING_DATE, "requires a valid Date"),
        (with_headers(GOOD, {"x-amz-date": "20131324T000000Z"}), Reason.MISSING_DATE, "requires a valid Date"),
        (with_headers(GOOD, {"x-amz-date": "9" * 5000}), Reason.MISSING_DATE, "requires a valid Date"),
        (
            RequestHead("GET", "/", "X-Amz-Algorithm=AWS4-HMAC-SHA256", GOOD.headers),
            Reason.SEVERAL_MECHANISMS,
            "Only one auth mechanism allowed",
        ),
        (
            RequestHead("GET", "/", "AWSAccessKeyId=a&Signature=b&Expires=1", GOOD.headers),
            Reason.SEVERAL_MECHANISMS,
            "Only one auth mechanism allowed",
        ),
    ],
)
def test_refused(head: RequestHead, reason: Reason, told: str) -> None:
    error = check_refused(head, reason)
    assert told in error.message
    assert error.s3_code == S3_CODE[reason]


def test_every_reason_has_a_code() -> None:
    assert set(S3_CODE) == set(Reason)


def test_another_region_is_refused_with_the_expected_one() -> None:
    with pytest.raises(AuthenticationError) as caught:
        authenticate(GOOD, region="eu-central-1")
    assert caught.value.reason is Reason.WRONG_REGION
    assert caught.value.s3_code == "AuthorizationHeaderMalformed"
    assert "the region 'us-east-1' is wrong; expecting 'eu-central-1'" in caught.value.message
    assert caught.value.fields == {"Region": "eu-central-1"}


def test_unsigned_headers_are_named() -> None:
    head = with_headers(GOOD, {"x-amz-acl": "private", "x-amz-tagging": "a=b", "range": "bytes=0-1"})
    assert check_refused(head, Reason.HEADERS_NOT_SIGNED).fields == {"HeadersNotSigned": "x-amz-acl, x-amz-tagging"}


def test_the_scheme_alone_is_quoted() -> None:
    error = check_refused(with_authorization("Bearer top-secret-token"), Reason.UNSUPPORTED_AUTHORIZATION)
    assert error.fields == {"ArgumentName": "Authorization", "ArgumentValue": "Bearer"}


def test_an_inactive_key_is_an_unknown_key() -> None:
    inactive = Credential(ACCESS_KEY_ID, CREDENTIAL.secret, PRINCIPAL, active=False)
    error = check_refused(GOOD, Reason.UNKNOWN_ACCESS_KEY, credential=inactive)
    assert error.fields == {"AWSAccessKeyId": ACCESS_KEY_ID}


def test_another_secret_is_a_mismatch_that_tells_what_was_signed() -> None:
    other = Credential(ACCESS_KEY_ID, Secret(b"x" * 40), PRINCIPAL)
    error = check_refused(GOOD, Reason.SIGNATURE_MISMATCH, credential=other)
    canonical = error.fields["CanonicalRequest"]
    assert canonical.startswith("GET\n/bucket/key\n\nhost:127.0.0.1:9000\n")
    assert error.fields["StringToSign"].startswith("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/")
    assert bytes.fromhex(error.fields["CanonicalRequestBytes"]) == canonical.encode()
    assert error.fields["SignatureProvided"] == AUTHORIZATION.rpartition("=")[2]
    assert canonical not in str(error)
    assert canonical not in repr(error)


def test_a_mismatch_can_be_written_down_though_the_request_was_no_utf8() -> None:
    error = check_refused(with_headers(GOOD, {"x-amz-meta-a": "\udcff"}), Reason.SIGNATURE_MISMATCH)
    assert "".join([error.message, *error.fields.values()]).encode()
    assert bytes.fromhex(error.fields["CanonicalRequestBytes"]).count(b"\xff") == 1


def signed_by_hand(headers: dict[str, str], timestamp: str) -> RequestHead:
    """A request that signs all of `headers`, as no SDK but some clients do."""
    scope = CredentialScope(ACCESS_KEY_ID, timestamp[:8], "us-east-1", "s3")
    names = sorted(headers)
    canonical = canonical_request(
        method="GET",
        path=encode_path_once("/bucket/key"),
        pairs=query_pairs("acl"),
        headers=headers,
        signed_headers=names,
        payload_hash=headers["x-amz-content-sha256"],
    )
    signature = sign(
        SigningKey(derive_signing_key(CREDENTIAL.secret, scope)), string_to_sign(scope, timestamp, canonical)
    )
    credential = f"{ACCESS_KEY_ID}/{scope.text}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={';'.join(names)},Signature={signature}"
    return RequestHead("GET", "/bucket/key", "acl", {**headers, "authorization": authorization})


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 24 May 2013 00:00:05 GMT",
        "Friday, 24-May-13 00:00:05 GMT",
        "Fri May 24 00:00:05 2013",
        "20130524T000005Z",
        "Fri, 24 May 2013 02:00:05 +0200",
    ],
)
def test_the_time_may_stand_in_date(date: str) -> None:
    """esdk-obs-python signs Date and sends no x-amz-date."""
    headers = {"host": "h", "date": date, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert authenticate(signed_by_hand(headers, "20130524T000005Z")) is not None


def test_x_amz_date_goes_before_date() -> None:
    headers = {
        "host": "h",
        "date": "Mon, 01 Jan 2001 00:00:00 GMT",
        "x-amz-date": "20130524T000005Z",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }
    assert authenticate(signed_by_hand(headers, "20130524T000005Z")) is not None


def test_the_payload_hash_may_be_unsigned_as_a_header() -> None:
    """It stands in the canonical request anyway; S3 tolerates clients that leave the header out of the list."""
    headers = {"host": "h", "x-amz-date": "20130524T000000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    head = signed_by_hand(headers, "20130524T000000Z")
    without = head.headers["authorization"].replace("x-amz-content-sha256;", "")
    error = check_refused(with_headers(head, {"authorization": without}), Reason.SIGNATURE_MISMATCH)
    assert "x-amz-content-sha256:" not in error.fields["CanonicalRequest"]
    assert error.fields["CanonicalRequest"].endswith("\nUNSIGNED-PAYLOAD")


noise = st.text(max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    authorization=st.one_of(
        noise,
        noise.map(lambda text: "AWS4-HMAC-SHA256 " + text),
        st.tuples(st.integers(0, len(AUTHORIZATION) - 1), noise).map(
            lambda cut: AUTHORIZATION[: cut[0]] + cut[1] + AUTHORIZATION[cut[0] + 1 :]
        ),
    ),
    date=st.one_of(st.just("20130524T000000Z"), noise),
    sha256=st.one_of(st.just("UNSIGNED-PAYLOAD"), noise),
    query=noise,
)
def test_nothing_but_authentication_errors_is_ever_raised(
    authorization: str, date: str, sha256: str, query: str
) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in (authorization, date, sha256, query)]
    head = RequestHead(
        "GET",
        "/bucket/key",
        texts[3],
        {"host": "h", "authorization": texts[0], "x-amz-date": texts[1], "x-amz-content-sha256": texts[2]},
    )
    with pytest.raises(AuthenticationError):
        authenticate(head)
