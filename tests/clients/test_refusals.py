"""Bad input over real sockets: the AWS error, nothing stored, and a gateway that goes on.

That no request of the session answers 500 is held by the `gateway` fixture.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import stored_files
from tests.clients.raw import EMPTY_SHA256, UNSIGNED, RawClient, head
from tests.harness import Gateway, running_gateway, wait_until

MD5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
LONG = 200_000


def nothing_is_stored(gateway: Gateway, s3: Any, bucket: str) -> bool:
    return s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0 and not any(
        path.parent.parent.name == "tmp" for path in stored_files(gateway)
    )


def test_a_wrong_secret(gateway: Gateway, s3: Any, bucket: str) -> None:
    answer = RawClient(gateway, secret="x" * 40).request("PUT", f"/{bucket}/k", body=b"x")
    assert answer.refusal == (403, "SignatureDoesNotMatch")
    assert answer.element("StringToSign").startswith("AWS4-HMAC-SHA256")
    assert nothing_is_stored(gateway, s3, bucket)


def test_an_unknown_access_key(gateway: Gateway, bucket: str) -> None:
    answer = RawClient(gateway, access_key_id="AKIA" + "A" * 16).request("GET", f"/{bucket}")
    assert answer.refusal == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off(raw: RawClient, bucket: str, minutes: int) -> None:
    answer = raw.request("GET", f"/{bucket}", now=datetime.now(UTC) + timedelta(minutes=minutes))
    assert answer.refusal == (403, "RequestTimeTooSkewed")


def test_another_region(raw: RawClient, bucket: str) -> None:
    answer = raw.request("GET", f"/{bucket}", region="eu-central-1")
    assert answer.refusal == (400, "AuthorizationHeaderMalformed")
    assert answer.element("Region") == "us-east-1"


def test_nobody(raw: RawClient, bucket: str) -> None:
    assert raw.send("GET", f"/{bucket}", {"host": raw.host}).refusal == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("AWS4-HMAC-SHA256 nonsense", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0", "AuthorizationHeaderMalformed"),
        ("AWS AKIAEXAMPLE:signature", "InvalidRequest"),
        ("Basic YTpi", "InvalidArgument"),
    ],
)
def test_an_authorization_that_is_none(raw: RawClient, bucket: str, authorization: str, code: str) -> None:
    signed = raw.sign("GET", f"/{bucket}", payload_hash=EMPTY_SHA256)
    answer = raw.send("GET", f"/{bucket}", {**signed.headers, "authorization": authorization})
    assert answer.refusal == (400, code)


def test_a_body_that_is_not_the_signed_one(gateway: Gateway, s3: Any, raw: RawClient, bucket: str) -> None:
    for size in (5, LONG):
        signed = raw.sign("PUT", f"/{bucket}/k", payload_hash=hashlib.sha256(b"a" * size).hexdigest())
        answer = raw.send("PUT", f"/{bucket}/k", signed.headers, b"b" * size)
        assert answer.refusal == (400, "XAmzContentSHA256Mismatch")
    assert nothing_is_stored(gateway, s3, bucket)


@pytest.mark.parametrize("size", [5, LONG])
@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("content-md5", MD5, "BadDigest"),
        ("content-md5", "no base64", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-sha256", "AAAA", "InvalidRequest"),
        ("x-amz-server-side-encryption", "rot13", "InvalidArgument"),
        ("x-amz-storage-class", "SHELF", "InvalidStorageClass"),
        ("x-amz-meta-long", "m" * 2049, "MetadataTooLarge"),
    ],
)
def test_headers_that_do_not_hold(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str, header: str, value: str, code: str, size: int
) -> None:
    answer = raw.request("PUT", f"/{bucket}/k", {header: value}, b"a" * size)
    assert answer.refusal == (400, code)
    assert nothing_is_stored(gateway, s3, bucket)


def test_a_body_that_ends_early_stores_nothing(gateway: Gateway, s3: Any, raw: RawClient, bucket: str) -> None:
    before = stored_files(gateway)
    for declared in (1000, 4 * LONG):
        signed = raw.sign("PUT", f"/{bucket}/k")
        with raw.connect() as connection:
            connection.send(head("PUT", f"/{bucket}/k", {**signed.headers, "content-length": str(declared)}))
            connection.send(b"a" * (declared - 1))
    wait_until(lambda: ended_early(gateway) >= 2, "both uploads have ended")
    wait_until(lambda: stored_files(gateway) == before, "what the cut uploads had written is gone")
    assert nothing_is_stored(gateway, s3, bucket)


def ended_early(gateway: Gateway) -> int:
    """How many requests the access log calls aborted, or refused as incomplete."""
    lines = gateway.log_path.read_text(errors="replace").splitlines()
    return sum('"aborted":true' in line or '"IncompleteBody"' in line for line in lines)


def test_a_body_longer_than_declared(gateway: Gateway, s3: Any, raw: RawClient, bucket: str) -> None:
    signed = raw.sign("PUT", f"/{bucket}/k")
    with raw.connect() as connection:
        connection.send(head("PUT", f"/{bucket}/k", {**signed.headers, "content-length": "3"}) + b"abcdef\r\n\r\n")
        assert connection.answer("PUT").status == 400
        assert connection.is_ended()
    assert nothing_is_stored(gateway, s3, bucket)


def test_a_body_without_a_length(raw: RawClient, bucket: str) -> None:
    signed = raw.sign("PUT", f"/{bucket}/k")
    with raw.connect() as connection:
        connection.send(head("PUT", f"/{bucket}/k", {**signed.headers, "transfer-encoding": "chunked"}))
        answer = connection.answer("PUT")
        assert (answer.refusal, answer.element("Header")) == ((501, "NotImplemented"), "Transfer-Encoding")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ab", "InvalidBucketName"),
        ("UPPER-case", "InvalidBucketName"),
        ("192.168.0.1", "InvalidBucketName"),
        ("a..b", "InvalidBucketName"),
        ("x" * 64, "InvalidBucketName"),
    ],
)
def test_illegal_bucket_names(raw: RawClient, name: str, code: str) -> None:
    assert raw.request("PUT", f"/{name}").refusal == (400, code)


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        ("/{bucket}/" + "k" * 1025, (400, "KeyTooLongError")),
        ("/{bucket}/%ff", (400, "InvalidURI")),
        ("/{bucket}?max-keys=many", (400, "InvalidArgument")),
        ("/{bucket}?max-keys=-1", (400, "InvalidArgument")),
        ("/{bucket}?encoding-type=rot13", (400, "InvalidArgument")),
        ("/{bucket}?list-type=2&continuation-token=forged", (400, "InvalidArgument")),
        ("/{bucket}/k?uploadId=forged", (404, "NoSuchUpload")),
        ("/{bucket}/k?versionId=forged", (400, "InvalidArgument")),
    ],
)
def test_queries_and_keys_that_are_none(raw: RawClient, bucket: str, target: str, refusal: tuple[int, str]) -> None:
    assert raw.request("GET", target.format(bucket=bucket)).refusal == refusal


@pytest.mark.parametrize(
    "document",
    [
        b"<",
        b"<Delete>",
        b"<Other/>",
        b"<Delete><Object/></Delete>",
        b"\x00",
        b"<Delete>" * 5000,
        b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    ],
)
def test_documents_that_are_malformed(raw: RawClient, bucket: str, document: bytes) -> None:
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    answer = raw.request("POST", f"/{bucket}?delete", {"content-md5": md5}, document)
    assert answer.refusal == (400, "MalformedXML")


def test_documents_that_are_too_large(raw: RawClient, bucket: str) -> None:
    signed = raw.sign("POST", f"/{bucket}?delete", {"content-md5": MD5}, UNSIGNED)
    answer = raw.send("POST", f"/{bucket}?delete", {**signed.headers, "content-length": str(50 << 20)}, b"")
    assert answer.refusal == (400, "MaxMessageLengthExceeded")


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("TrentService.CreateKey", b"{", "SerializationException"),
        ("TrentService.CreateKey", b"[]", "SerializationException"),
        ("TrentService.DescribeKey", b"{}", "ValidationException"),
        ("TrentService.DescribeKey", b'{"KeyId": 7}', "SerializationException"),
        ("TrentService.DescribeKey", b'{"KeyId": "nobody"}', "NotFoundException"),
        ("TrentService.Encrypt", b'{"KeyId": "alias/x", "Plaintext": ""}', "ValidationException"),
        ("TrentService.Nothing", b"{}", "UnknownOperationException"),
        ("TrentService.ConnectCustomKeyStore", b"{}", "UnsupportedOperationException"),
        ("TrentService.CreateKey", b"[" * 100_000, "SerializationException"),
    ],
)
def test_kms_requests_that_are_malformed(raw: RawClient, target: str, body: bytes, code: str) -> None:
    headers = {"x-amz-target": target, "content-type": "application/x-amz-json-1.1"}
    assert raw.request("POST", "/", headers, body, service="kms").refusal == (400, code)


def test_a_kms_body_that_is_too_large(raw: RawClient) -> None:
    headers = {"x-amz-target": "TrentService.CreateKey", "content-type": "application/x-amz-json-1.1"}
    assert raw.request("POST", "/", headers, b" " * (2 << 20), service="kms").status in (400, 413)


def test_a_header_section_that_is_too_large(raw: RawClient) -> None:
    with raw.connect() as connection:
        connection.send(head("GET", "/", {"host": raw.host, "x-long": "x" * 40_000}))
        assert connection.answer().refusal == (400, "RequestHeaderSectionTooLarge")


def test_what_is_no_http(raw: RawClient) -> None:
    with raw.connect() as connection:
        connection.send(b"\x16\x03\x01 not http\r\n\r\n")
        assert connection.answer().status == 400
        assert connection.is_ended()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that waits a second for headers and bodies."""
    environment = {"SEALGATE_LISTEN_HEADER_SECONDS": "1", "SEALGATE_LISTEN_BODY_READ_SECONDS": "1"}
    directory: Path = tmp_path_factory.mktemp("impatient")
    with running_gateway(directory, environment=environment, root="file") as made:
        made.client("s3").create_bucket(Bucket="patience")
        yield made


def test_slow_clients_are_told_and_harm_nobody(impatient: Gateway) -> None:
    raw = RawClient(impatient)
    signed = raw.sign("PUT", "/patience/slow")
    with raw.connect() as trickling, raw.connect() as stalling:
        trickling.send(b"GET / HTTP/1.1\r\nHo")
        stalling.send(head("PUT", "/patience/slow", {**signed.headers, "content-length": str(LONG)}) + b"a" * 1000)
        started = time.monotonic()
        assert raw.request("PUT", "/patience/fast", body=b"x").status == 200
        assert time.monotonic() - started < 20, "a fast client does not wait for the slow ones"
        assert trickling.answer().refusal == (400, "RequestTimeout")
        assert stalling.answer().refusal == (400, "RequestTimeout")
        assert stalling.is_ended()
    s3 = impatient.client("s3")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="patience")["Contents"]] == ["fast"]
    assert not [path for path in stored_files(impatient) if path.parent.parent.name == "tmp"]
