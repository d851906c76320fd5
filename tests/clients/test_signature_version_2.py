"""Signature Version 2 of boto3, by a gateway that was configured to take it. All others refuse it (test_refusals)."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from iam.secrets import Secret
from iam.sigv2 import sign
from tests.clients.checks import random_bytes, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.sessions import client_with
from tests.clients.test_post_object import post
from tests.clients.test_virtual_host import DOMAIN, resolve_here
from tests.harness import Gateway, running_gateway


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    setting = {"SEALGATE_LISTEN_SIGNATURE_VERSION_2": "true", "SEALGATE_LISTEN_DOMAINS": DOMAIN}
    with running_gateway(tmp_path_factory.mktemp("old"), environment=setting) as gateway:
        yield gateway


@pytest.fixture(params=["path", "virtual"])
def client(old: Gateway, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    resolve_here(monkeypatch)
    port = old.endpoint_url.rpartition(":")[2]
    return old.client(
        "s3",
        endpoint_url=f"http://{DOMAIN}:{port}",
        signature_version="s3",
        s3={"addressing_style": request.param},
    )


def test_ordinary_work(client: Any) -> None:
    bucket = make_bucket(client)
    data = random_bytes(100_000)
    client.put_object(Bucket=bucket, Key="a b+c/é", Body=data, ContentType="text/plain", Metadata={"colour": "blue"})
    found = client.get_object(Bucket=bucket, Key="a b+c/é", ResponseContentType="text/html")
    assert (found["Body"].read(), found["ContentType"]) == (data, "text/html")
    assert [each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix="a b")["Contents"]] == ["a b+c/é"]
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = client.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    assert client.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read() == b"1"
    upload = {"Bucket": bucket, "Key": "m"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    etag = client.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    entries = client.list_object_versions(Bucket=bucket)["Versions"]
    objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in entries]
    assert len(client.delete_objects(Bucket=bucket, Delete={"Objects": objects})["Deleted"]) == 3
    client.delete_bucket(Bucket=bucket)


def test_urls(client: Any) -> None:
    bucket = make_bucket(client)
    url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b"})
    assert "AWSAccessKeyId=" in url
    with urllib.request.urlopen(urllib.request.Request(url, b"data", {"content-type": ""}, method="PUT")) as answer:
        assert answer.status == 200
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"data"
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"}, ExpiresIn=-1)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    with caught.value:
        assert caught.value.code == 403


def test_a_form(old: Gateway) -> None:
    raw = RawClient(old)
    bucket = make_bucket(old.client("s3"))
    expiration = f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    document = {"expiration": expiration, "conditions": [{"bucket": bucket}, {"key": "k"}]}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    fields = {"key": "k", "AWSAccessKeyId": raw.access_key_id, "policy": policy}
    signature = sign(Secret(raw.secret.encode()), policy)
    assert post(raw, bucket, {**fields, "signature": signature}).status == 204
    assert post(raw, bucket, {**fields, "signature": "x" + signature}).refusal == (403, "SignatureDoesNotMatch")


def test_a_wrong_secret(old: Gateway) -> None:
    client = old.client("s3", signature_version="s3")
    client._request_signer._credentials.secret_key = "wrong"
    assert refusal(client.list_buckets) == (403, "SignatureDoesNotMatch")


def test_version_4_works_as_ever(old: Gateway) -> None:
    assert "Buckets" in old.client("s3").list_buckets()


def test_temporary_credentials(old: Gateway, client: Any) -> None:
    """In headers and URLs the session token is signed as every x-amz-* header is; in forms it is a field."""
    bucket = make_bucket(client)
    credentials = old.client("sts").get_session_token()["Credentials"]
    session = client_with(old, "s3", credentials, signature_version="s3")
    session.put_object(Bucket=bucket, Key="a b", Body=b"body")
    assert session.get_object(Bucket=bucket, Key="a b")["Body"].read() == b"body"
    url = session.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"})
    assert "Signature=" in url and "x-amz-security-token=" in url
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"body"
    form = session.generate_presigned_post(bucket, "formed")
    assert "AWSAccessKeyId" in form["fields"]
    assert post(RawClient(old), bucket, form["fields"]).status == 204
    wrong = client_with(old, "s3", {**credentials, "SessionToken": credentials["SessionToken"][:-4] + "AAAA"},
                        signature_version="s3")  # fmt: skip
    assert refusal(wrong.get_object, Bucket=bucket, Key="a b") == (400, "InvalidToken")
