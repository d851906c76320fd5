"""The time of a signature: how far clocks may differ, how long URLs are good, and what is said beyond that."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from iam.errors import AuthenticationError, Reason
from iam.face.authentication import authentication_failure as of_query
from iam.requests import RequestHead
from iam.scope import IAM, KMS, S3, STS, Service
from kms.face.authentication import authentication_failure as of_kms
from tests.iam.botocore_signing import presigned_by_s3, presigned_for, signed_by_s3_header, signed_for
from tests.iam.checks import NOW, authenticate, check_refused, with_headers

BODY = sha256(b"").hexdigest()
SECOND = timedelta(seconds=1)
QUARTER = timedelta(minutes=15)
LIMITS = {S3: QUARTER, IAM: QUARTER, STS: QUARTER, KMS: timedelta(minutes=5)}

Signed = Callable[[Service], RequestHead]


def by_header(service: Service) -> RequestHead:
    return signed_by_s3_header("GET", "/bucket/key") if service is S3 else signed_for(service.name)


def by_url(service: Service) -> RequestHead:
    """Of a minute, which counts for S3 alone."""
    return presigned_for(service.name, "/?Action=GetCallerIdentity&Version=2011-06-15", expires=60)


def told(error: AuthenticationError, service: Service) -> tuple[int, str, str]:
    """Status, code and message of the answer."""
    if service is KMS:
        answer = of_kms(error, "id")
        document = json.loads(answer.body)
        return answer.status, document["__type"], document["message"]
    failure = of_query(error)
    return failure.status, failure.code, failure.message


CASES = [(service, by_header) for service in LIMITS] + [(service, by_url) for service in (IAM, STS, KMS)]


@pytest.mark.parametrize(("service", "signed"), CASES)
@pytest.mark.parametrize("direction", [-1, 1])
def test_clocks_may_differ_by_the_limit_exactly(service: Service, signed: Signed, direction: int) -> None:
    head, limit = signed(service), LIMITS[service]
    for apart in (timedelta(0), limit - SECOND, limit):
        assert authenticate(head, service, now=NOW + direction * apart, body_sha256=BODY) is not None
    for apart in (timedelta(microseconds=1), SECOND, timedelta(days=4000)):
        now = NOW + direction * (limit + apart)
        check_refused(head, Reason.REQUEST_TIME_TOO_SKEWED, service, now=now, body_sha256=BODY)


@pytest.mark.parametrize("direction", [-1, 1])
def test_s3_tells_both_times(direction: int) -> None:
    now = NOW + direction * (QUARTER + SECOND)
    error = check_refused(by_header(S3), Reason.REQUEST_TIME_TOO_SKEWED, now=now)
    assert error.s3_code == "RequestTimeTooSkewed"
    assert error.message == "The difference between the request time and the current time is too large."
    assert dict(error.fields) == {
        "RequestTime": "20130524T000000Z",
        "ServerTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "MaxAllowedSkewMilliseconds": "900000",
    }


@pytest.mark.parametrize(
    ("service", "late", "early"),
    [
        (
            STS,
            "Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130524T001501Z - 15 min.)",
            "Signature not yet current: 20130524T000000Z is still later than 20130523T235959Z "
            "(20130523T234459Z + 15 min.)",
        ),
        (
            KMS,
            "Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130524T000501Z - 5 min.)",
            "Signature not yet current: 20130524T000000Z is still later than 20130523T235959Z "
            "(20130523T235459Z + 5 min.)",
        ),
    ],
)
@pytest.mark.parametrize("signed", [by_header, by_url])
def test_other_services_tell_by_how_much(service: Service, late: str, early: str, signed: Signed) -> None:
    refused = (400, "InvalidSignatureException") if service is KMS else (403, "SignatureDoesNotMatch")
    for direction, message in ((1, late), (-1, early)):
        now = NOW + direction * (LIMITS[service] + SECOND)
        error = check_refused(signed(service), Reason.REQUEST_TIME_TOO_SKEWED, service, now=now, body_sha256=BODY)
        assert told(error, service) == (*refused, message)


def test_urls_of_s3_are_good_until_they_expire() -> None:
    head = presigned_by_s3("GET", "/bucket/key")
    for good in (-QUARTER, timedelta(0), timedelta(seconds=3600)):
        assert authenticate(head, now=NOW + good) is not None
    error = check_refused(head, Reason.EXPIRED, now=NOW + timedelta(seconds=3601))
    assert (error.s3_code, error.message) == ("AccessDenied", "Request has expired")
    assert dict(error.fields) == {
        "X-Amz-Expires": "3600",
        "Expires": "2013-05-24T01:00:00Z",
        "ServerTime": "2013-05-24T01:00:01Z",
    }


def test_urls_of_s3_are_not_good_before_their_time() -> None:
    now = NOW - QUARTER - SECOND
    error = check_refused(presigned_by_s3("GET", "/bucket/key"), Reason.NOT_YET_VALID, now=now)
    assert (error.s3_code, error.message) == ("AccessDenied", "Request is not valid yet")
    assert dict(error.fields) == {"RequestTime": "20130524T000000Z", "ServerTime": "2013-05-23T23:44:59Z"}


@pytest.mark.parametrize("seconds", [1, 604_800])
def test_shortest_and_longest_urls_of_s3(seconds: int) -> None:
    head = presigned_by_s3("GET", "/bucket/key", expires=seconds)
    assert authenticate(head, now=NOW + seconds * SECOND) is not None
    check_refused(head, Reason.EXPIRED, now=NOW + seconds * SECOND + timedelta(microseconds=1))


@pytest.mark.parametrize("expires", ["60", "0", "-1", "99999999", "x", None])
def test_urls_of_other_services_are_good_for_a_quarter_whatever_they_say(expires: str | None) -> None:
    """aws-iam-authenticator signs for a minute, and has STS asked minutes later."""
    head = presigned_for("sts", "/?Action=GetCallerIdentity", expires=60)
    without = head.target_query.replace("&X-Amz-Expires=60", "")
    query = without if expires is None else f"{without}&X-Amz-Expires={expires}"
    changed = RequestHead(head.method, head.target_path, query, head.headers)
    if expires == "60":
        assert authenticate(changed, STS, now=NOW + QUARTER, body_sha256=BODY) is not None
    else:  # it was not signed that way; but neither is the value of any interest
        check_refused(changed, Reason.SIGNATURE_MISMATCH, STS, body_sha256=BODY)
    check_refused(changed, Reason.REQUEST_TIME_TOO_SKEWED, STS, now=NOW + QUARTER + SECOND, body_sha256=BODY)


@pytest.mark.parametrize(
    "date",
    ["Fri, 24 May 2013 00:00:00 GMT", "Friday, 24-May-13 00:00:00 GMT", "Fri May 24 00:00:00 2013",
     "Fri, 24 May 2013 02:00:00 +0200"],
)  # fmt: skip
def test_forms_of_dates(date: str) -> None:
    """A date of HTTP is as good as a timestamp, in either header; of two, x-amz-date counts."""
    good = by_header(S3)
    for headers in ({"x-amz-date": date}, {"x-amz-date": None, "date": date}, {"x-amz-date": date, "date": "nonsense"}):
        head = with_headers(good, headers)
        # What was signed is the timestamp, not the header: this one is among the signed headers.
        check_refused(head, Reason.SIGNATURE_MISMATCH)
        error = check_refused(head, Reason.REQUEST_TIME_TOO_SKEWED, now=NOW + timedelta(hours=1))
        assert error.fields["RequestTime"] == date


@pytest.mark.parametrize(
    "date", ["2013-05-24T00:00:00Z", "1369353600", "Fri, 32 May 2013 00:00:00 GMT", "x" * 100, "٢٠١٣0524T000000Z"]
)
def test_what_is_no_date(date: str) -> None:
    error = check_refused(with_headers(signed_for("kms"), {"x-amz-date": date}), Reason.MISSING_DATE, KMS)
    assert told(error, KMS) == (
        400,
        "IncompleteSignature",
        f"Date must be in ISO-8601 'basic format'. Got '{date[:64]}'.",
    )


def test_no_date_at_all() -> None:
    error = check_refused(with_headers(signed_for("sts"), {"x-amz-date": None}), Reason.MISSING_DATE, STS)
    message = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
    assert told(error, STS) == (400, "IncompleteSignature", message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "20130524/",
            "20130523/",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'20130523' != '20130524', from '20130524T000000Z'.",
        ),
        ("/kms/", "/s3/", "Credential should be scoped to correct service: 'kms'."),
        (
            "aws4_request",
            "aws5_request",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
        ),
        ("/us-east-1/", "/eu-west-1/", "Credential should be scoped to a valid region."),
    ],
)
def test_credentials_are_for_a_day_a_region_and_a_service(old: str, new: str, message: str) -> None:
    head = signed_for("kms")
    changed = with_headers(head, {"authorization": head.headers["authorization"].replace(old, new)})
    with pytest.raises(AuthenticationError) as caught:
        authenticate(changed, KMS, body_sha256=BODY)
    assert told(caught.value, KMS) == (400, "InvalidSignatureException", message)
    assert caught.value.s3_code == "AuthorizationHeaderMalformed"


def test_day_of_a_signature_is_the_days_of_its_time_around_midnight() -> None:
    """A clock that is a little early or late signs for another day than ours, and rightly so."""
    before: datetime = NOW - SECOND
    head = signed_by_s3_header("GET", "/bucket/key", now=before)
    assert "/20130523/" in head.headers["authorization"]
    assert authenticate(head, now=NOW + SECOND) is not None
    assert authenticate(by_header(S3), now=NOW - SECOND) is not None
