"""`sealgate rewrap` and `sealgate jobs`, beside a gateway that serves, is killed, or is stopped."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.clients.checks import headers_of, random_bytes
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, running_gateway, wait_until

VOLATILE = {"date", "x-amz-request-id", "x-amz-id-2"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("rewrap"), root="file", workers=2) as made:
        yield made


@pytest.fixture
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture
def kms(gateway: Gateway) -> Any:
    return gateway.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def rewrap(gateway: Gateway, *arguments: str, check: bool = True) -> Any:
    return json.loads(gateway.sealgate("rewrap", str(gateway.data), *arguments, "--json", check=check).stdout)


def job(gateway: Gateway, verb: str, job_id: str) -> Any:
    return json.loads(gateway.sealgate("jobs", verb, str(gateway.data), job_id, "--json").stdout)


def fill(s3: Any, bucket: str, key: str) -> None:
    """One object of each kind that a KMS key opens, older versions and a delete marker among them."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for size in (0, 10, 100_000):
        s3.put_object(Bucket=bucket, Key="versions", Body=random_bytes(size), Metadata={"n": str(size)}, **sse)
    s3.delete_object(Bucket=bucket, Key="versions")
    s3.put_object(Bucket=bucket, Key="a/bucket key", Body=b"x", Tagging="a=b", BucketKeyEnabled=True, **sse)
    dsse = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": key}
    s3.put_object(Bucket=bucket, Key="a/twice", Body=random_bytes(70_000), ChecksumAlgorithm="SHA256", **dsse)
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **sse)["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=b)["ETag"]} for n, b in _PARTS]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "parts"}, **sse)
    s3.put_object(Bucket=bucket, Key="by the service", Body=b"x", ServerSideEncryption="AES256")


_PARTS = ((1, random_bytes(5 << 20)), (2, b"the end"))
BY_KEY = 7
"""Object versions that `fill` writes under the key."""


def everything(s3: Any, bucket: str) -> list[Any]:
    """All that a client can learn of a bucket's versions, their bodies included, but for the key's name."""
    listed = s3.list_object_versions(Bucket=bucket)
    told = [{name: value for name, value in each.items() if name != "Owner"} for each in listed["Versions"]]
    told += listed["DeleteMarkers"]
    for each in listed["Versions"]:
        where = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
        answer = s3.get_object(**where, ChecksumMode="ENABLED")
        headers = {name: value for name, value in headers_of(answer).items() if name not in VOLATILE}
        headers.pop("x-amz-server-side-encryption-aws-kms-key-id", None)
        told += [answer["Body"].read(), headers, s3.get_object_tagging(**where)["TagSet"]]
    return told


def keys_of(gateway: Gateway, bucket: str) -> Counter[tuple[str, int]]:
    query = """SELECT key_arn, key_version FROM object_version JOIN bucket USING (bucket_id)
        WHERE name = ? AND key_arn IS NOT NULL"""
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
        return Counter(index.execute(query, (bucket,)).fetchall())


def state_of(gateway: Gateway, job_id: str) -> str:
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
        return str(index.execute("SELECT state FROM batch_job WHERE job_id = ?", (job_id,)).fetchone()[0])


def test_to_another_key(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    bucket, other = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    fill(s3, bucket, key)
    before = everything(s3, bucket)
    tried = rewrap(gateway, "--key", key, "--to", other, "--dry-run")
    assert (tried["state"], tried["done"], tried["refused"]) == ("Complete", BY_KEY, {})
    assert keys_of(gateway, bucket) == {(key, 1): BY_KEY}
    done = rewrap(gateway, "--key", key, "--to", other)
    assert (done["state"], done["total"], done["seen"], done["done"]) == ("Complete", BY_KEY, BY_KEY, BY_KEY)
    assert keys_of(gateway, bucket) == {(other, 1): BY_KEY}
    assert everything(s3, bucket) == before
    kms.disable_key(KeyId=key)
    assert everything(s3, bucket) == before


def test_data_sealed_anew(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    bucket, other = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    fill(s3, bucket, key)
    before = everything(s3, bucket)
    done = rewrap(gateway, "--key", key, "--to", other, "--reencrypt")
    assert (done["state"], done["reencrypt"], done["done"], done["refused"]) == ("Complete", True, BY_KEY, {})
    assert keys_of(gateway, bucket) == {(other, 1): BY_KEY}
    assert everything(s3, bucket) == before
    told = json.loads(gateway.sealgate("keys", "usage", str(gateway.data), other, "--json").stdout)["total"]
    assert told["only"]["number"] == told["versions"]["number"] == BY_KEY


def test_to_the_newest_version(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    bucket = make_bucket(s3)
    fill(s3, bucket, key)
    before = everything(s3, bucket)
    kms.rotate_key_on_demand(KeyId=key)
    s3.put_object(Bucket=bucket, Key="new", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    done = rewrap(gateway, "--key", key)
    assert (done["total"], done["done"], done["refused"]) == (BY_KEY, BY_KEY, {})
    assert keys_of(gateway, bucket) == {(key, 2): BY_KEY + 1}
    s3.delete_object(Bucket=bucket, Key="new", VersionId=s3.head_object(Bucket=bucket, Key="new")["VersionId"])
    assert everything(s3, bucket) == before
    again = rewrap(gateway, "--key", key)
    assert (again["total"], again["seen"], again["done"]) == (0, 0, 0)


def test_only_what_is_asked_for(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    buckets, other = [make_bucket(s3) for _ in range(2)], kms.create_key()["KeyMetadata"]["Arn"]
    for bucket in buckets:
        fill(s3, bucket, key)
    done = rewrap(gateway, "--key", key, "--to", other, "--bucket", buckets[0], "--prefix", "a/")
    assert (done["seen"], done["done"], done["passed"]) == (2 * BY_KEY, 2, 2 * BY_KEY - 2)
    assert keys_of(gateway, buckets[0]) == {(key, 1): BY_KEY - 2, (other, 1): 2}
    assert keys_of(gateway, buckets[1]) == {(key, 1): BY_KEY}


def test_what_is_refused_is_counted_with_its_reason(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    bucket, other = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    fill(s3, bucket, key)
    before = everything(s3, bucket)
    kms.disable_key(KeyId=other)
    for dry in ((), ("--dry-run",)):
        done = rewrap(gateway, "--key", key, "--to", other, *dry, check=False)
        assert (done["state"], done["done"]) == ("Complete", 0)
        assert done["refused"] == {"KMS.DisabledException": BY_KEY}
        assert Counter(each["key"] for each in done["refusals"]) == {
            "versions": 3,
            **dict.fromkeys(("a/bucket key", "a/twice", "parts", "copy"), 1),
        }
    assert everything(s3, bucket) == before
    told = gateway.sealgate("jobs", "status", str(gateway.data), done["jobId"], "--failed").stdout
    assert f"KMS.DisabledException  {bucket}/a/twice" in told


def test_a_gateway_goes_on_with_it_and_it_is_paused_resumed_and_cancelled(
    gateway: Gateway, s3: Any, kms: Any, key: str
) -> None:
    bucket, other = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    for number in range(40):
        s3.put_object(Bucket=bucket, Key=str(number), Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    begun = rewrap(gateway, "--key", key, "--to", other, "--objects-per-second", "4", "--detach")  # time to pause it
    job_id = begun["jobId"]
    assert (begun["state"], begun["done"]) == ("Active", 0)
    wait_until(lambda: keys_of(gateway, bucket)[other, 1] > 0, "a worker goes on with it")
    assert job(gateway, "pause", job_id)["state"] == "Paused"
    wait_until(lambda: job(gateway, "status", job_id)["done"] == keys_of(gateway, bucket)[other, 1], "it rests")
    assert 0 < job(gateway, "status", job_id)["done"] < 40
    assert job(gateway, "resume", job_id)["state"] == "Active"
    wait_until(lambda: state_of(gateway, job_id) == "Complete", "it ends")
    ended = job(gateway, "status", job_id)
    assert (ended["seen"], ended["done"], ended["refused"]) == (40, 40, {})
    assert keys_of(gateway, bucket) == {(other, 1): 40}
    assert job(gateway, "cancel", job_id)["state"] == "Complete"
    back = rewrap(gateway, "--key", other, "--to", key, "--objects-per-second", "1", "--detach")["jobId"]
    assert job(gateway, "cancel", back)["state"] == "Cancelled"
    listed = json.loads(gateway.sealgate("jobs", "list", str(gateway.data), "--json").stdout)
    assert [each["jobId"] for each in listed[:2]] == [back, job_id]


def test_killed_in_the_middle(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    """Every version is as it was, under the one key or the other; and the job ends when somebody serves again."""
    bucket, other = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    fill(s3, bucket, key)
    for number in range(60):
        s3.put_object(Bucket=bucket, Key=str(number), Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    before = everything(s3, bucket)
    job_id = rewrap(gateway, "--key", key, "--to", other, "--objects-per-second", "30", "--detach")["jobId"]
    wait_until(lambda: keys_of(gateway, bucket)[other, 1] > 10, "it is under way")
    address = gateway.endpoint_url.removeprefix("http://")
    gateway.kill_all()
    gateway.environment["SEALGATE_LISTEN_ADDRESS"] = address
    gateway.start()
    split = keys_of(gateway, bucket)
    assert split[other, 1] + split[key, 1] == BY_KEY + 60
    assert 10 < split[other, 1] < BY_KEY + 60
    assert everything(s3, bucket) == before
    # Whoever had it is dead: its lease ends by itself.
    wait_until(lambda: state_of(gateway, job_id) == "Complete", "it ends", 60)
    assert keys_of(gateway, bucket) == {(other, 1): BY_KEY + 60}
    assert everything(s3, bucket) == before


def test_while_it_is_stopped(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    bucket, other = make_bucket(s3), kms.create_key()["KeyMetadata"]["Arn"]
    fill(s3, bucket, key)
    before = everything(s3, bucket)
    address = gateway.endpoint_url.removeprefix("http://")
    gateway.stop()
    try:
        assert rewrap(gateway, "--key", key, "--to", other)["done"] == BY_KEY
    finally:
        gateway.environment["SEALGATE_LISTEN_ADDRESS"] = address
        gateway.start()
    assert keys_of(gateway, bucket) == {(other, 1): BY_KEY}
    assert everything(s3, bucket) == before


def test_unknown_keys_and_jobs(gateway: Gateway) -> None:
    data = str(gateway.data)
    for arguments in (("rewrap", data, "--key", "alias/none"), ("jobs", "status", data, "ab")):
        refused = gateway.sealgate(*arguments, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert arguments[-1] in refused.stderr
