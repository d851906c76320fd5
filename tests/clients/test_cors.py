"""PutBucketCors, GetBucketCors, DeleteBucketCors, preflight requests, and CORS headers on every other answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.raw import Answer, RawClient
from tests.harness import Gateway, running_gateway

VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
ONE = "https://one.example"
RULES = [
    {
        "ID": "one",
        "AllowedOrigins": [ONE, "https://*.one.example"],
        "AllowedMethods": ["GET", "PUT", "DELETE"],
        "AllowedHeaders": ["x-amz-*", "Authorization"],
        "ExposeHeaders": ["ETag", "x-amz-request-id"],
        "MaxAgeSeconds": 3000,
    },
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]


def put_rules(s3: Any, bucket: str, *rules: Any) -> None:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": list(rules)})


@pytest.fixture(scope="module")
def shared(s3: Any, shared_bucket: str) -> str:
    """A bucket with rules that no test changes, and an object."""
    put_rules(s3, shared_bucket, *RULES)
    s3.put_object(Bucket=shared_bucket, Key="key", Body=b"kept")
    return shared_bucket


def cors_headers(answer: Answer) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name.startswith("access-control-") or name == "vary"
    }


def preflight(raw: RawClient, target: str, **headers: str) -> Answer:
    """OPTIONS with the headers `origin`, `method` and `headers`, unsigned."""
    names = {"origin": "origin", "method": "access-control-request-method", "headers": "access-control-request-headers"}
    return raw.send("OPTIONS", target, {"host": raw.host, **{names[name]: value for name, value in headers.items()}})


# The configuration


def test_rules_are_told_as_they_were_put(s3: Any, bucket: str) -> None:
    put_rules(s3, bucket, *RULES)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES
    put_rules(s3, bucket, RULES[1])
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES[1:]


def test_a_bucket_without_rules(s3: Any, bucket: str) -> None:
    error = error_of(s3.get_bucket_cors, Bucket=bucket)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert error["Error"]["Code"] == "NoSuchCORSConfiguration"
    assert error["Error"]["Message"] == "The CORS configuration does not exist"
    assert error["Error"]["BucketName"] == bucket


def test_delete_is_idempotent_and_leaves_the_rest(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put_rules(s3, bucket, *RULES)
    for _ in range(2):
        assert s3.delete_bucket_cors(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refusal(s3.get_bucket_cors, Bucket=bucket) == (404, "NoSuchCORSConfiguration")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_a_bucket_that_is_not_there(s3: Any) -> None:
    for call in (s3.get_bucket_cors, s3.delete_bucket_cors):
        assert refusal(call, Bucket="never-created") == (404, "NoSuchBucket")
    rules = {"CORSRules": RULES}
    assert refusal(s3.put_bucket_cors, Bucket="never-created", CORSConfiguration=rules) == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"AllowedMethods": ["MYMETHOD"]}, "InvalidRequest"),
        ({"AllowedMethods": []}, "MalformedXML"),
        ({"AllowedOrigins": []}, "MalformedXML"),
        ({"AllowedOrigins": ["https://*.*"]}, "InvalidRequest"),
        ({"AllowedHeaders": ["*-*"]}, "InvalidRequest"),
        ({"ExposeHeaders": ["x-amz-meta-*"]}, "InvalidRequest"),
        ({"ID": "i" * 256}, "InvalidArgument"),
    ],
)
def test_rules_that_are_refused_change_nothing(s3: Any, bucket: str, change: Any, code: str) -> None:
    put_rules(s3, bucket, *RULES)
    rules = {"CORSRules": [RULES[1], {**RULES[0], **change}]}
    assert refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=rules) == (400, code)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES


def test_rules_are_bounded(s3: Any, raw: RawClient, bucket: str) -> None:
    put_rules(s3, bucket, *RULES[1:] * 100)
    assert len(s3.get_bucket_cors(Bucket=bucket)["CORSRules"]) == 100
    rules = {"CORSRules": RULES[1:] * 101}
    assert refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=rules) == (400, "MalformedXML")
    long = [{**RULES[1], "AllowedOrigins": ["a" * 60_000]}]
    put_rules(s3, bucket, *long)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == long
    rules = {"CORSRules": [{**RULES[1], "AllowedOrigins": ["a" * 66_000]}]}
    assert refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=rules) == (400, "MaxMessageLengthExceeded")
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == long


def test_a_digest_of_the_document_is_required(s3: Any, raw: RawClient, bucket: str) -> None:
    rule = b"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    body = b"<CORSConfiguration>" + rule + b"</CORSConfiguration>"
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    assert raw.request("PUT", f"/{bucket}?cors", {}, body).refusal == (400, "InvalidRequest")
    assert raw.request("PUT", f"/{bucket}?cors", {"content-md5": md5}, body + b" ").refusal == (400, "BadDigest")
    assert raw.request("PUT", f"/{bucket}?cors", {"content-md5": md5}).refusal == (400, "MissingRequestBodyError")
    assert refusal(s3.get_bucket_cors, Bucket=bucket) == (404, "NoSuchCORSConfiguration")
    assert raw.request("PUT", f"/{bucket}?cors", {"content-md5": md5}, body).status == 200


# Preflight requests


def test_a_preflight_that_a_rule_allows(raw: RawClient, shared: str) -> None:
    answer = preflight(raw, f"/{shared}/key", origin=ONE, method="PUT", headers="X-Amz-Date, authorization")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert cors_headers(answer) == {
        "access-control-allow-origin": ONE,
        "access-control-allow-methods": "GET, PUT, DELETE",
        "access-control-allow-headers": "x-amz-date, authorization",
        "access-control-expose-headers": "ETag, x-amz-request-id",
        "access-control-max-age": "3000",
        "access-control-allow-credentials": "true",
        "vary": VARY,
    }
    assert len(answer.headers["x-amz-request-id"]) == 16
    assert "x-amz-id-2" in answer.headers


def test_a_preflight_by_a_rule_for_everyone(raw: RawClient, shared: str) -> None:
    for target in (f"/{shared}", f"/{shared}/", f"/{shared}/no-such-key?versionId=x"):
        answer = preflight(raw, target, origin="https://two.example", method="HEAD")
        assert answer.status == 200
        assert cors_headers(answer) == {
            "access-control-allow-origin": "*",
            "access-control-allow-methods": "HEAD",
            "vary": VARY,
        }


@pytest.mark.parametrize(("path", "resource_type"), [("", "BUCKET"), ("/key", "OBJECT")])
@pytest.mark.parametrize(
    "asked",
    [
        {"origin": "https://two.example", "method": "PUT"},
        {"origin": ONE, "method": "POST"},
        {"origin": ONE, "method": "PUT", "headers": "x-amz-date, content-type"},
        {"origin": ONE + "/", "method": "PUT"},
    ],
)
def test_a_preflight_that_no_rule_allows(
    raw: RawClient, shared: str, path: str, resource_type: str, asked: dict[str, str]
) -> None:
    answer = preflight(raw, f"/{shared}{path}", **asked)
    assert (answer.status, answer.code, answer.element("Method")) == (403, "AccessForbidden", asked["method"])
    assert (answer.message, answer.element("ResourceType")) == (NOT_ALLOWED, resource_type)
    assert cors_headers(answer) == {}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Insufficient information. Origin request header needed."),
        ({"method": "PUT"}, "Insufficient information. Origin request header needed."),
        ({"origin": "", "method": "PUT"}, "Insufficient information. Origin request header needed."),
        ({"origin": ONE}, "Invalid Access-Control-Request-Method: null"),
        ({"origin": ONE, "method": "PATCH"}, "Invalid Access-Control-Request-Method: PATCH"),
        ({"origin": ONE, "method": "GET", "headers": "a b"},
         "Access-Control-Request-Headers &quot;a b&quot; contains invalid character."),
    ],
)  # fmt: skip
def test_what_is_no_preflight(raw: RawClient, shared: str, asked: dict[str, str], message: str) -> None:
    for target in (f"/{shared}", f"/{shared}/key"):
        answer = preflight(raw, target, **asked)
        assert (answer.status, answer.code, answer.message) == (400, "BadRequest", message)


@pytest.mark.parametrize(("asked", "method"), [({}, "OPTIONS"), ({"method": "PUT"}, "PUT")])
def test_a_preflight_on_what_has_no_rules(raw: RawClient, bucket: str, asked: dict[str, str], method: str) -> None:
    for target, message in (
        (f"/{bucket}", "CORS is not enabled for this bucket."),
        (f"/{bucket}/key", "CORS is not enabled for this bucket."),
        ("/never-created/key", "Bucket not found"),
        ("/", "Bucket not found"),
    ):
        answer = preflight(raw, target, origin=ONE, **asked)
        assert (answer.status, answer.code) == (403, "AccessForbidden")
        assert answer.message == f"CORSResponse: {message}"
        assert (answer.element("Method"), answer.element("ResourceType")) == (method, "BUCKET")


def test_preflights_follow_the_rules_at_once(s3: Any, raw: RawClient, bucket: str) -> None:
    for method in ("GET", "PUT"):
        put_rules(s3, bucket, {**RULES[1], "AllowedMethods": [method]})
        assert preflight(raw, f"/{bucket}", origin=ONE, method=method).status == 200
    assert preflight(raw, f"/{bucket}", origin=ONE, method="GET").status == 403
    s3.delete_bucket_cors(Bucket=bucket)
    assert preflight(raw, f"/{bucket}", origin=ONE, method="PUT").status == 403


@pytest.mark.parametrize("origin", [b"https://\xc3\xa9", b"a\tb", b"https://" + b"o" * 8000, b"\xff"])
def test_origins_that_are_none_are_no_defect(raw: RawClient, shared: str, origin: bytes) -> None:
    for method in (b"OPTIONS", b"HEAD"):
        with raw.connect() as connection:
            connection.send(
                b"%s /%s/key HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: HEAD\r\nOrigin: %s\r\n\r\n"
                % (method, shared.encode(), origin)
            )
            assert connection.answer(method.decode()).status in (200, 400, 403)


# Other requests


def test_what_a_page_of_an_allowed_origin_may_read(raw: RawClient, shared: str) -> None:
    answer = raw.request("GET", f"/{shared}/key", {"origin": ONE})
    assert (answer.status, answer.body) == (200, b"kept")
    assert cors_headers(answer) == {
        "access-control-allow-origin": ONE,
        "access-control-allow-methods": "GET, PUT, DELETE",
        "access-control-expose-headers": "ETag, x-amz-request-id",
        "access-control-max-age": "3000",
        "access-control-allow-credentials": "true",
        "vary": VARY,
    }


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://two.example"},
        {"referer": ONE},
        {"origin": ONE, "access-control-request-method": "POST"},
        {"origin": ONE, "access-control-request-headers": "content-type"},
    ],
)
def test_requests_that_no_rule_allows_are_answered_all_the_same(
    raw: RawClient, shared: str, headers: dict[str, str]
) -> None:
    """It is the browser that keeps the answer from the page."""
    answer = raw.request("GET", f"/{shared}/key", headers)
    assert (answer.status, answer.body) == (200, b"kept")
    assert cors_headers(answer) == {}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/none", 404),
        ("HEAD", "/key", 200),
        ("HEAD", "/none", 404),
        ("GET", "?list-type=2", 200),
        ("GET", "?cors", 200),
        ("PUT", "/written", 200),
        ("DELETE", "/none", 204),
        ("GET", "?max-keys=x", 400),
        ("PUT", "/" + "k" * 1025, 400),
    ],
)
def test_errors_and_other_operations(raw: RawClient, shared: str, method: str, path: str, expected: int) -> None:
    answer = raw.request(method, f"/{shared}{path}", {"origin": ONE})
    assert answer.status == expected
    allowed = {"HEAD": "*"}.get(method, ONE)
    assert answer.headers["access-control-allow-origin"] == allowed
    assert answer.headers["vary"] == VARY


def test_refused_signatures_can_be_read_by_the_page(gateway: Gateway, raw: RawClient, shared: str) -> None:
    """So that a web application can tell why it failed."""
    wrong = RawClient(gateway, secret="x" * 40).request("GET", f"/{shared}/key", {"origin": ONE})
    anonymous = raw.send("GET", f"/{shared}/key", {"host": raw.host, "origin": ONE})
    for answer, code in ((wrong, "SignatureDoesNotMatch"), (anonymous, "AccessDenied")):
        assert answer.refusal == (403, code)
        assert answer.headers["access-control-allow-origin"] == ONE


def test_a_cached_answer(s3: Any, raw: RawClient, shared: str) -> None:
    etag = s3.head_object(Bucket=shared, Key="key")["ETag"]
    answer = raw.request("GET", f"/{shared}/key", {"origin": ONE, "if-none-match": etag})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (304, ONE)


def test_the_rules_before_an_operation_answer_it(s3: Any, raw: RawClient, bucket: str) -> None:
    put_rules(s3, bucket, *RULES)
    assert raw.request("DELETE", f"/{bucket}?cors", {"origin": ONE}).headers["access-control-allow-origin"] == ONE
    assert cors_headers(raw.request("DELETE", f"/{bucket}?cors", {"origin": ONE})) == {}
    put_rules(s3, bucket, *RULES)
    answer = raw.request("DELETE", f"/{bucket}", {"origin": ONE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, ONE)
    assert cors_headers(raw.request("GET", f"/{bucket}", {"origin": ONE})) == {}


def test_presigned_urls(raw: RawClient, shared: str) -> None:
    url = raw.presign("GET", f"/{shared}/key")
    assert preflight(raw, url, origin=ONE, method="GET").status == 200
    answer = raw.send("GET", url, {"host": raw.host, "origin": ONE})
    assert (answer.body, answer.headers["access-control-allow-origin"]) == (b"kept", ONE)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"SEALGATE_LISTEN_DOMAINS": "s3.cors.test"}
    with running_gateway(tmp_path_factory.mktemp("cors"), environment=environment, root="file") as made:
        yield made


def test_buckets_in_the_host(hosts: Gateway) -> None:
    s3, raw = hosts.client("s3"), RawClient(hosts)
    s3.create_bucket(Bucket="hosted")
    put_rules(s3, "hosted", *RULES)
    raw.host = "hosted.s3.cors.test"
    assert preflight(raw, "/key", origin=ONE, method="PUT").status == 200
    answer = preflight(raw, "/", origin=ONE, method="POST")
    assert (answer.status, answer.element("ResourceType")) == (403, "BUCKET")
    assert preflight(raw, "/hosted", origin=ONE, method="POST").element("ResourceType") == "OBJECT"
    answer = raw.send("GET", "/key", {"host": raw.host, "origin": ONE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (403, ONE)
