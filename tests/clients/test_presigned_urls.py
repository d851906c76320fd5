"""Presigned URLs: made by botocore, changed by hand, and with headers hoisted into the query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.raw import Answer, RawClient
from tests.harness import Gateway


@pytest.fixture(scope="module")
def signer(gateway: Gateway) -> Any:
    """Signs version 4, which botocore does not for URLs without being told."""
    return gateway.client("s3", signature_version="s3v4")


def use(raw: RawClient, gateway: Gateway, method: str, url: str, body: bytes = b"", **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.send(method, url.removeprefix(gateway.endpoint_url), {"host": raw.host, **names}, body)


@pytest.mark.parametrize("key", ["a", "a b+c/é", "100%", "..//x"])
def test_botocores_urls_put_get_head_and_delete(
    gateway: Gateway, signer: Any, raw: RawClient, bucket: str, key: str
) -> None:
    def url(operation: str, **parameters: Any) -> str:
        return str(signer.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key, **parameters}))

    assert use(raw, gateway, "PUT", url("put_object"), b"presigned").status == 200
    got = use(raw, gateway, "GET", url("get_object", ResponseContentType="text/x"))
    assert (got.status, got.body, got.headers["content-type"]) == (200, b"presigned", "text/x")
    assert use(raw, gateway, "GET", url("get_object"), range="bytes=3-4").body == b"si"
    assert use(raw, gateway, "HEAD", url("head_object")).headers["content-length"] == "9"
    assert use(raw, gateway, "DELETE", url("delete_object")).status == 204
    assert use(raw, gateway, "GET", url("get_object")).refusal == (404, "NoSuchKey")


def test_botocores_urls_list_a_bucket(gateway: Gateway, signer: Any, raw: RawClient, bucket: str) -> None:
    listing = signer.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket, "Prefix": "a b"})
    assert use(raw, gateway, "GET", listing).status == 200


def begun(signer: Any, raw: RawClient, gateway: Gateway, bucket: str, key: str) -> dict[str, str]:
    """An upload in parts that a URL began."""
    named = {"Bucket": bucket, "Key": key}
    answer = use(raw, gateway, "POST", signer.generate_presigned_url("create_multipart_upload", Params=named))
    assert answer.status == 200
    return {**named, "UploadId": answer.element("UploadId")}


def completing(*etags: str) -> bytes:
    parts = (f"<Part><PartNumber>{at}</PartNumber><ETag>{etag}</ETag></Part>" for at, etag in enumerate(etags, 1))
    return f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()


@pytest.mark.parametrize("key", ["k", "a b+c/é"])
def test_an_upload_in_parts_by_urls_alone(gateway: Gateway, signer: Any, raw: RawClient, bucket: str, key: str) -> None:
    upload = begun(signer, raw, gateway, bucket, key)
    bodies = [b"x" * (5 << 20), b"tail"]
    etags = []
    for number, body in enumerate(bodies, 1):
        url = signer.generate_presigned_url("upload_part", Params={**upload, "PartNumber": number})
        etags.append(use(raw, gateway, "PUT", url, body).headers["etag"])
    listed = use(raw, gateway, "GET", signer.generate_presigned_url("list_parts", Params=upload))
    assert (listed.status, listed.body.count(b"<Part>"), listed.element("UploadId")) == (200, 2, upload["UploadId"])
    url = signer.generate_presigned_url("complete_multipart_upload", Params=upload)
    done = use(raw, gateway, "POST", url, completing(*etags))
    assert done.status == 200
    got = signer.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["ETag"]) == (b"".join(bodies), done.element("ETag").replace("&quot;", '"'))
    assert "Uploads" not in signer.list_multipart_uploads(Bucket=bucket)


def test_an_upload_in_parts_is_aborted_by_a_url(gateway: Gateway, signer: Any, raw: RawClient, bucket: str) -> None:
    upload = begun(signer, raw, gateway, bucket, "k")
    url = signer.generate_presigned_url("abort_multipart_upload", Params=upload)
    assert use(raw, gateway, "DELETE", url).status == 204
    assert use(raw, gateway, "DELETE", url).refusal == (404, "NoSuchUpload")
    late = signer.generate_presigned_url("upload_part", Params={**upload, "PartNumber": 1})
    assert use(raw, gateway, "PUT", late, b"late").refusal == (404, "NoSuchUpload")


UPLOAD_URLS = [
    ("PUT", "partNumber=1&"),
    ("GET", ""),
    ("POST", ""),
    ("DELETE", ""),
]
"""Of UploadPart, ListParts, CompleteMultipartUpload and AbortMultipartUpload, before the upload's id."""


@pytest.mark.parametrize(("method", "query"), UPLOAD_URLS)
def test_the_url_of_an_upload_is_good_for_it_alone(
    gateway: Gateway, signer: Any, raw: RawClient, bucket: str, method: str, query: str
) -> None:
    """Nothing was sent to the one upload or the other, whichever way the URL is bent."""
    upload, other = (begun(signer, raw, gateway, bucket, "k") for _ in range(2))
    etag = signer.upload_part(**upload, PartNumber=1, Body=b"kept")["ETag"]
    body = {"PUT": b"body", "POST": completing(etag)}.get(method, b"")
    target = f"/{bucket}/k?{query}uploadId={upload['UploadId']}"

    def tried(method: str, url: str) -> tuple[int, str]:
        return raw.send(method, url, {"host": raw.host}, body).refusal

    url = raw.presign(method, target)
    expired = raw.presign(method, target, now=datetime.now(UTC) - timedelta(hours=1))
    denied = (403, "SignatureDoesNotMatch")
    assert tried(method, expired) == (403, "AccessDenied")
    # What is no operation at all is told before the signature is looked at: PUT on an upload without a part's number.
    wrong = {tried(other_method, url) for other_method, _ in UPLOAD_URLS if other_method != method}
    assert wrong <= {denied, (405, "MethodNotAllowed"), (400, "InvalidArgument")}
    assert tried(method, url.replace(upload["UploadId"], other["UploadId"])) == denied
    assert tried(method, url.replace("/k?", "/other?", 1)) == denied
    if query:
        assert tried(method, url.replace("partNumber=1&", "partNumber=2&")) == denied
    assert [each["ETag"] for each in signer.list_parts(**upload)["Parts"]] == [etag]
    assert "Parts" not in signer.list_parts(**other)
    assert refusal(signer.head_object, Bucket=bucket, Key="k") == (404, "404")


def test_the_url_of_an_upload_names_an_upload(raw: RawClient, bucket: str) -> None:
    for method, query in UPLOAD_URLS:
        url = raw.presign(method, f"/{bucket}/k?{query}uploadId=none")
        body = completing('"x"') if method == "POST" else b""
        assert raw.send(method, url, {"host": raw.host}, body).refusal == (404, "NoSuchUpload"), method


def test_headers_that_were_signed_must_come_along(gateway: Gateway, signer: Any, raw: RawClient, bucket: str) -> None:
    asked = {"Bucket": bucket, "Key": "k", "ContentType": "text/plain"}
    url = signer.generate_presigned_url("put_object", Params=asked)
    assert use(raw, gateway, "PUT", url, b"1").refusal == (403, "SignatureDoesNotMatch")
    assert use(raw, gateway, "PUT", url, b"1", content_type="text/html").refusal == (403, "SignatureDoesNotMatch")
    assert use(raw, gateway, "PUT", url, b"1", content_type="text/plain").status == 200


def test_x_amz_headers_in_the_query_are_honoured(s3: Any, raw: RawClient, bucket: str, kms_key: str) -> None:
    query = (
        "x-amz-meta-colour=blue%20green&x-amz-storage-class=STANDARD_IA&x-amz-server-side-encryption=aws:kms"
        f"&x-amz-server-side-encryption-aws-kms-key-id={kms_key}"
    )
    assert raw.send("PUT", raw.presign("PUT", f"/{bucket}/k?{query}"), {"host": raw.host}, b"1").status == 200
    found = s3.head_object(Bucket=bucket, Key="k")
    assert (found["Metadata"], found["StorageClass"]) == ({"colour": "blue green"}, "STANDARD_IA")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", kms_key)


def test_x_amz_headers_in_the_query_cannot_be_overruled(s3: Any, raw: RawClient, bucket: str) -> None:
    target = raw.presign("PUT", f"/{bucket}/k?x-amz-meta-colour=blue")
    answer = raw.send("PUT", target, {"host": raw.host, "x-amz-meta-colour": "red"}, b"1")
    assert answer.refusal == (403, "AccessDenied")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")


def test_x_amz_headers_that_were_not_signed_are_refused(s3: Any, raw: RawClient, bucket: str) -> None:
    """Or whoever holds the URL could give the object another encryption than its signer meant."""
    target = raw.presign("PUT", f"/{bucket}/k")
    answer = raw.send("PUT", target, {"host": raw.host, "x-amz-server-side-encryption": "aws:kms"}, b"1")
    assert answer.refusal == (403, "AccessDenied")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")


@pytest.mark.parametrize(
    ("hoisted", "expected"),
    [
        ("x-amz-acl=public-read", (400, "AccessControlListNotSupported")),
        ("x-amz-tagging=a%3Db%3Dc", (400, "InvalidArgument")),
        ("X-Amz-Object-Lock-Mode=GOVERNANCE", (501, "NotImplemented")),
        ("x-amz-server-side-encryption=rot13", (400, "InvalidArgument")),
    ],
)
def test_x_amz_headers_in_the_query_are_refused_as_headers_are(
    raw: RawClient, bucket: str, hoisted: str, expected: tuple[int, str]
) -> None:
    answer = raw.send("PUT", raw.presign("PUT", f"/{bucket}/k?{hoisted}"), {"host": raw.host}, b"1")
    assert answer.refusal == expected


def test_time(raw: RawClient, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    now = datetime.now(UTC)
    table: list[tuple[timedelta, int, tuple[int, str], str]] = [
        (timedelta(hours=-1), 3700, (200, ""), ""),
        (timedelta(days=-6), 604_800, (200, ""), ""),
        (timedelta(minutes=5), 60, (200, ""), ""),
        (timedelta(hours=-1), 3500, (403, "AccessDenied"), "Request has expired"),
        (timedelta(hours=1), 60, (403, "AccessDenied"), "Request is not valid yet"),
    ]
    for shift, expires, expected, message in table:
        answer = raw.send(
            "GET", raw.presign("GET", f"/{bucket}/k", expires=expires, now=now + shift), {"host": raw.host}
        )
        assert (answer.refusal, answer.message) == (expected, message), shift


@pytest.mark.parametrize("expires", [0, -1, 604_801, 10**12])
def test_lifetimes_out_of_range(raw: RawClient, bucket: str, expires: int) -> None:
    answer = raw.send("GET", raw.presign("GET", f"/{bucket}/k", expires=expires), {"host": raw.host})
    assert answer.refusal == (400, "AuthorizationQueryParametersError")


CHANGES: list[tuple[str, str, tuple[int, str]]] = [
    ("/k?", "/other?", (403, "SignatureDoesNotMatch")),
    ("X-Amz-Expires=60", "X-Amz-Expires=61", (403, "SignatureDoesNotMatch")),
    ("X-Amz-Expires=60", "X-Amz-Expires=x", (400, "AuthorizationQueryParametersError")),
    ("X-Amz-Expires=60&", "", (400, "AuthorizationQueryParametersError")),
    ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60", (400, "AuthorizationQueryParametersError")),
    ("X-Amz-Signature=", "X-Amz-Signature=0", (403, "SignatureDoesNotMatch")),
    ("X-Amz-Signature=", "X-Amz-Sig=", (400, "AuthorizationQueryParametersError")),
    ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", (400, "AuthorizationQueryParametersError")),
    ("SignedHeaders=host", "SignedHeaders=host%3Brange", (403, "SignatureDoesNotMatch")),
    ("%2Fs3%2F", "%2Fkms%2F", (400, "AuthorizationQueryParametersError")),
    ("%2Fus-east-1%2F", "%2Feu-west-1%2F", (400, "AuthorizationQueryParametersError")),
    ("&X-Amz-Date", "&versionId=null&X-Amz-Date", (403, "SignatureDoesNotMatch")),
    ("&X-Amz-Date", "&response-content-type=text%2Fhtml&X-Amz-Date", (403, "SignatureDoesNotMatch")),
    ("&X-Amz-Date", "&X-Amz-Security-Token=x&X-Amz-Date", (400, "InvalidToken")),
]


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES)
def test_a_url_that_was_changed(raw: RawClient, s3: Any, bucket: str, old: str, new: str, expected: Any) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    url = raw.presign("GET", f"/{bucket}/k")
    assert old in url
    answer = raw.send("GET", url.replace(old, new, 1), {"host": raw.host})
    assert answer.refusal == expected


def test_a_url_is_good_for_its_method_and_host(raw: RawClient, bucket: str) -> None:
    url = raw.presign("GET", f"/{bucket}/k")
    assert raw.send("DELETE", url, {"host": raw.host}).refusal == (403, "SignatureDoesNotMatch")
    assert raw.send("PUT", url, {"host": raw.host}, b"1").refusal == (403, "SignatureDoesNotMatch")
    assert raw.send("GET", url, {"host": "elsewhere.test"}).refusal == (403, "SignatureDoesNotMatch")


def test_a_url_and_an_authorization_header_are_one_too_many(raw: RawClient, bucket: str) -> None:
    url = raw.presign("GET", f"/{bucket}/k")
    authorization = raw.sign("GET", f"/{bucket}/k").headers["authorization"]
    answer = raw.send("GET", url, {"host": raw.host, "authorization": authorization})
    assert answer.refusal == (400, "InvalidArgument")


def test_the_older_signature_is_refused(raw: RawClient, gateway: Gateway, bucket: str) -> None:
    url = gateway.client("s3", signature_version="s3").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"}
    )
    assert "AWSAccessKeyId=" in url
    assert use(raw, gateway, "GET", url).refusal == (400, "InvalidRequest")


def test_a_url_of_another_account_is_refused(gateway: Gateway, bucket: str) -> None:
    other = RawClient(gateway, access_key_id="AKIA" + "Z" * 16, secret="s" * 40)
    answer = other.send("GET", other.presign("GET", f"/{bucket}/k"), {"host": other.host})
    assert answer.refusal == (403, "InvalidAccessKeyId")
