"""Path style and virtual-host style."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.raw import RawClient, head
from tests.harness import Gateway, running_gateway

DOMAIN = "s3.example.test"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that hosts buckets under two domains, one of them within the other."""
    directory = tmp_path_factory.mktemp("hosts")
    environment = {"SEALGATE_LISTEN_DOMAINS": f"{DOMAIN},deep.{DOMAIN}"}
    with running_gateway(directory, environment=environment, root="file") as made:
        s3 = made.client("s3")
        s3.create_bucket(Bucket="hosted")
        s3.create_bucket(Bucket="with.dots")
        for bucket in ("hosted", "with.dots"):
            s3.put_object(Bucket=bucket, Key="a/b", Body=bucket.encode())
        s3.put_object(Bucket="hosted", Key="hosted/a", Body=b"a key that begins like the bucket")
        yield made


@pytest.fixture(scope="module")
def client(hosts: Gateway) -> RawClient:
    return RawClient(hosts)


@pytest.mark.parametrize(
    ("host", "target", "body"),
    [
        (f"hosted.{DOMAIN}", "/a/b", b"hosted"),
        (f"hosted.{DOMAIN}:9000", "/a/b", b"hosted"),
        (f"HOSTED.{DOMAIN.upper()}", "/a/b", b"hosted"),
        (f"with.dots.{DOMAIN}", "/a/b", b"with.dots"),
        (f"hosted.deep.{DOMAIN}", "/a/b", b"hosted"),
        (f"hosted.{DOMAIN}", "/hosted/a", b"a key that begins like the bucket"),
        (DOMAIN, "/hosted/a/b", b"hosted"),
        (f"deep.{DOMAIN}", "/hosted/a/b", b"hosted"),
        ("127.0.0.1", "/hosted/a/b", b"hosted"),
        ("elsewhere.test", "/hosted/a/b", b"hosted"),
    ],
)
def test_the_bucket_is_found_in_host_or_path(client: RawClient, host: str, target: str, body: bytes) -> None:
    answer = client.request("GET", target, {"host": host})
    assert (answer.status, answer.body) == (200, body)


def test_operations_on_a_bucket_in_the_host(client: RawClient) -> None:
    host = {"host": f"hosted.{DOMAIN}"}
    assert client.request("HEAD", "/", host).status == 200
    assert b"<Key>a/b</Key>" in client.request("GET", "/?list-type=2", host).body
    assert b"LocationConstraint" in client.request("GET", "/?location", host).body
    assert b"ListAllMyBucketsResult" in client.request("GET", "/", {"host": DOMAIN}).body


def test_a_bucket_is_made_and_removed_by_its_host(client: RawClient) -> None:
    host = {"host": f"made-here.{DOMAIN}"}
    assert client.request("PUT", "/", host).status == 200
    assert client.request("PUT", "/k", host, b"1").status == 200
    assert client.request("DELETE", "/k", host).status == 204
    assert client.request("DELETE", "/", host).status == 204
    assert client.request("HEAD", "/", host).status == 404


def test_a_host_with_a_bucket_that_is_not_there(client: RawClient) -> None:
    answer = client.request("GET", "/a", {"host": f"absent.{DOMAIN}"})
    assert (answer.refusal, answer.element("BucketName")) == ((404, "NoSuchBucket"), "absent")


def test_the_signature_covers_the_host(client: RawClient) -> None:
    signed = client.sign("GET", "/a/b", {"host": f"hosted.{DOMAIN}"})
    answer = client.send("GET", "/a/b", {**signed.headers, "host": f"with.dots.{DOMAIN}"})
    assert answer.refusal == (403, "SignatureDoesNotMatch")


def test_boto3_addresses_buckets_by_host(hosts: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is resolved here, as DNS would."""
    real = socket.getaddrinfo

    def resolve(name: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if str(name).endswith(DOMAIN) else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = hosts.endpoint_url.rpartition(":")[2]
    s3 = hosts.client("s3", s3={"addressing_style": "virtual"}, endpoint_url=f"http://{DOMAIN}:{port}")
    s3.put_object(Bucket="hosted", Key="x y/é", Body=b"by host")
    assert s3.get_object(Bucket="hosted", Key="x y/é")["Body"].read() == b"by host"
    assert "hosted" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize("target", ["//a", "///", "//a/b"])
def test_a_path_without_a_bucket_names_nothing(raw: RawClient, target: str) -> None:
    assert raw.request("GET", target).refusal == (400, "InvalidBucketName")


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/{0}/a%2Fb", "a/b"),
        ("/{0}/%61%62", "ab"),
        ("/{0}//x", "/x"),
        ("/{0}/x/", "x/"),
        ("/{0}/../x", "../x"),
        ("/{0}/x%20y+z", "x y+z"),
        ("/{0}/%C3%A9", "é"),
        ("/{0}/%3Fa%23b", "?a#b"),
    ],
)
def test_paths_are_decoded_once_and_never_normalised(
    s3: Any, raw: RawClient, bucket: str, target: str, key: str
) -> None:
    assert raw.request("PUT", target.format(bucket), body=b"1").status == 200
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert raw.request("GET", target.format(bucket)).body == b"1"


def test_an_absolute_target_is_taken_as_its_path(s3: Any, raw: RawClient, bucket: str) -> None:
    """RFC 9112, section 3.2.2: what a client sends to a proxy."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    signed = raw.sign("GET", f"/{bucket}/a")
    with raw.connect() as connection:
        connection.send(head("GET", f"http://{raw.host}/{bucket}/a", signed.headers))
        assert connection.answer().body == b"1"


@pytest.mark.parametrize("target", ["/{0}/%", "/{0}/%zz", "/{0}/%ff", "/{0}/a%c3", "/{0}/a?x=%ff"])
def test_paths_that_are_no_text(raw: RawClient, bucket: str, target: str) -> None:
    assert raw.request("GET", target.format(bucket)).refusal == (400, "InvalidURI")


def test_one_connection_serves_many_requests(s3: Any, raw: RawClient, bucket: str) -> None:
    with raw.connect() as connection:
        for number in range(5):
            target = f"/{bucket}/{number}"
            signed = raw.sign("PUT", target)
            connection.send(head("PUT", target, {**signed.headers, "content-length": "1"}) + b"x")
            assert connection.answer("PUT").status == 200
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 5


def test_requests_sent_at_once_are_answered_in_order(s3: Any, raw: RawClient, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    requests = [head("GET", f"/{bucket}/{key}", raw.sign("GET", f"/{bucket}/{key}").headers) for key in ("a", "b", "c")]
    with raw.connect() as connection:
        connection.send(b"".join(requests))
        assert [connection.answer().body for _ in requests] == [b"a", b"b", b"c"]
