"""Buckets in the Host header through boto3, and presigned URLs of such hosts. Addresses are test_addressing.py's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.checks import random_bytes, refusal
from tests.clients.raw import RawClient
from tests.harness import Gateway, running_gateway

DOMAIN = "s3.hosts.test"
HOST = f"hosted.{DOMAIN}"
PART = random_bytes(5 << 20, seed=9)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"SEALGATE_LISTEN_DOMAINS": DOMAIN}
    with running_gateway(tmp_path_factory.mktemp("virtual"), environment=environment, root="file") as made:
        made.client("s3").create_bucket(Bucket="hosted")
        made.client("s3").create_bucket(Bucket="other")
        yield made


def resolve_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names under the domain are resolved here, as DNS would."""
    real = socket.getaddrinfo

    def resolve(name: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if str(name).endswith(DOMAIN) else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def by_host(hosts: Gateway, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that addresses buckets by host."""
    resolve_here(monkeypatch)
    port = urlsplit(hosts.endpoint_url).port
    options = {"s3": {"addressing_style": "virtual"}, "signature_version": "s3v4"}
    return hosts.client("s3", endpoint_url=f"http://{DOMAIN}:{port}", **options)


def test_an_upload_in_parts(hosts: Gateway, by_host: Any) -> None:
    where = {"Bucket": "hosted", "Key": "in/parts é"}
    upload = {**where, "UploadId": by_host.create_multipart_upload(**where)["UploadId"]}
    etags = [
        by_host.upload_part(**upload, PartNumber=number, Body=body)["ETag"] for number, body in ((1, PART), (2, b"end"))
    ]
    assert [part["PartNumber"] for part in by_host.list_parts(**upload)["Parts"]] == [1, 2]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    assert by_host.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["Bucket"] == "hosted"
    assert hosts.client("s3").get_object(**where)["Body"].read() == PART + b"end"


def test_a_copy_between_buckets(hosts: Gateway, by_host: Any) -> None:
    """The source is always bucket and key, whatever the style of the request."""
    by_host.put_object(Bucket="hosted", Key="hosted/source", Body=b"source")
    by_host.copy_object(Bucket="other", Key="copy", CopySource={"Bucket": "hosted", "Key": "hosted/source"})
    assert hosts.client("s3").get_object(Bucket="other", Key="copy")["Body"].read() == b"source"


def test_a_sealed_object_opens_in_either_style(hosts: Gateway, by_host: Any) -> None:
    """Its key is bound to bucket and key, which are the same in both."""
    by_path = hosts.client("s3")
    for writer, reader in ((by_host, by_path), (by_path, by_host)):
        written = writer.put_object(
            Bucket="hosted", Key="hosted/sealed", Body=b"sealed", ServerSideEncryption="aws:kms"
        )
        read = reader.get_object(Bucket="hosted", Key="hosted/sealed")
        assert (read["Body"].read(), read["SSEKMSKeyId"]) == (b"sealed", written["SSEKMSKeyId"])


def test_listings_deletes_and_refusals(by_host: Any) -> None:
    for key in ("list/a", "list/b"):
        by_host.put_object(Bucket="hosted", Key=key, Body=b"")
    listed = by_host.list_objects_v2(Bucket="hosted", Prefix="list/")
    assert (listed["Name"], [item["Key"] for item in listed["Contents"]]) == ("hosted", ["list/a", "list/b"])
    by_host.delete_objects(Bucket="hosted", Delete={"Objects": [{"Key": "list/a"}, {"Key": "list/b"}]})
    assert by_host.list_objects_v2(Bucket="hosted", Prefix="list/")["KeyCount"] == 0
    assert refusal(by_host.get_object, Bucket="hosted", Key="list/a") == (404, "NoSuchKey")
    assert refusal(by_host.get_object, Bucket="absent", Key="a") == (404, "NoSuchBucket")


def test_botocores_urls(hosts: Gateway, by_host: Any) -> None:
    raw = RawClient(hosts)
    for method, operation, body in (("PUT", "put_object", b"by url"), ("GET", "get_object", b"")):
        url = urlsplit(by_host.generate_presigned_url(operation, Params={"Bucket": "hosted", "Key": "a b/é"}))
        assert url.hostname == HOST
        answer = raw.send(method, f"{url.path}?{url.query}", {"host": url.netloc}, body)
        assert answer.status == 200, answer.body
    assert answer.body == b"by url"


def test_a_url_is_good_for_its_own_bucket(hosts: Gateway) -> None:
    raw = RawClient(hosts)
    raw.request("PUT", "/k", {"host": HOST}, b"kept")
    url = raw.presign("GET", "/k", host=HOST)
    assert raw.send("GET", url, {"host": HOST}).body == b"kept"
    for host, target in ((f"other.{DOMAIN}", url), (DOMAIN, f"/hosted{url}"), (DOMAIN, url)):
        assert raw.send("GET", target, {"host": host}).refusal == (403, "SignatureDoesNotMatch")


def test_a_second_host_does_not_choose_another_bucket(hosts: Gateway) -> None:
    raw = RawClient(hosts)
    signed = raw.sign("PUT", "/twice", {"host": HOST})
    with raw.connect() as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
        connection.send(f"PUT /twice HTTP/1.1\r\n{lines}Host: other.{DOMAIN}\r\nContent-Length: 1\r\n\r\nx".encode())
        assert connection.answer("PUT").refusal == (400, "BadRequest")
    for bucket in ("hosted", "other"):
        assert refusal(hosts.client("s3").head_object, Bucket=bucket, Key="twice") == (404, "404")
