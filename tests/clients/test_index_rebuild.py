"""`sealgate index rebuild` on a gateway whose index was lost, by what clients see of it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.storage.index.setting_aside import ALL_TABLES
from tests.clients.checks import headers_of, random_bytes
from tests.harness import Gateway, running_gateway, wait_until

BUCKETS = ("first", "second")
VOLATILE = {"date", "x-amz-request-id", "x-amz-id-2"}
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
KMS: dict[str, Any] = {"ServerSideEncryption": "aws:kms"}


@pytest.fixture
def gateway(tmp_path: Path, index_url: str | None) -> Iterator[Gateway]:
    environment = {"SEALGATE_STORAGE_INLINE_BYTES": "0"}
    with running_gateway(tmp_path, root="file", index=index_url, environment=environment) as made:
        yield made


def fill(s3: Any) -> None:
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
        open_to = {"Rules": [{"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=open_to)
    s3.put_bucket_versioning(Bucket="second", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="second", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    for number in range(20):
        bucket = BUCKETS[number % 2]
        mode: dict[str, Any] = (
            {},
            KMS,
            {**KMS, "BucketKeyEnabled": True},
            {"ServerSideEncryption": "aws:kms:dsse"},
            CUSTOMER,
        )[number % 5]
        key = f"folder {number % 3}/{number % 7}"
        s3.put_object(Bucket=bucket, Key=key, Body=random_bytes(5000 * number), Metadata={"n": str(number)}, **mode)
    upload = {"Bucket": "second", "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **KMS)["UploadId"]
    bodies = enumerate((random_bytes(5 << 20), b"the end"), 1)
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=b)["ETag"]} for n, b in bodies]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket="first", Key="copy", CopySource={"Bucket": "second", "Key": "parts"})


def everything(s3: Any) -> list[Any]:
    """All that a client can learn of buckets, versions and bodies."""
    told: list[Any] = [s3.list_buckets()["Buckets"], s3.get_bucket_tagging(Bucket="second")["TagSet"]]
    for bucket in BUCKETS:
        listed = s3.list_object_versions(Bucket=bucket)
        told.append(listed["Versions"])
        for each in listed["Versions"]:
            where = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            try:
                answer = s3.get_object(**where, ChecksumMode="ENABLED")
            except s3.exceptions.ClientError:
                answer = s3.get_object(**where, ChecksumMode="ENABLED", **CUSTOMER)
            headers = {name: value for name, value in headers_of(answer).items() if name not in VOLATILE}
            told += [answer["Body"].read(), headers]
    return told


def lose_index(gateway: Gateway) -> None:
    if gateway.index is None:
        shutil.rmtree(gateway.data / "index")
        return
    schema = tomllib.loads((gateway.data / "sealgate.toml").read_text())["database"]["schema"]
    asyncio.run(_drop(gateway.index, schema))


async def _drop(url: str, schema: str) -> None:
    """The index alone: identities are in the same schema."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"DROP TABLE {', '.join(f'{schema}.{table}' for table in ALL_TABLES)}")
    await connection.close()


def rebuild(gateway: Gateway, *arguments: str) -> Result:
    """In this process: a command is the same there, and half as long."""
    return CliRunner().invoke(main, ["index", "rebuild", str(gateway.data), *arguments], env=gateway.environment)


def test_everything_comes_back(gateway: Gateway, tmp_path: Path) -> None:
    s3 = gateway.client("s3")
    fill(s3)
    told = everything(s3)
    served = rebuild(gateway)
    assert (served.exit_code, served.stdout) == (4, "")
    gateway.stop()
    lose_index(gateway)
    customer_key = tmp_path / "customer-key"
    customer_key.write_bytes(b"k" * 32)
    options = ("--customer-key-file", str(customer_key), "--json")

    tried = rebuild(gateway, "--dry-run")
    assert tried.exit_code == 1, tried.stderr
    assert "4 skipped: SSE-C, without its key" in tried.stdout
    done = rebuild(gateway, *options)
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["versions"] == (len(told) - 4) // 2  # a body and headers each
    assert (report["buckets"], report["skipped"], report["held"]) == (2, {}, 0)
    gateway.start()
    assert everything(gateway.client("s3")) == told
    wait_until(lambda: "RebuildIndex" in audit_of(gateway), "the audit trail tells of it")
    gateway.stop()
    refused = rebuild(gateway)
    assert refused.exit_code == 1 and "not empty" in refused.stderr
    again = rebuild(gateway, *options, "--set-aside")
    assert again.exit_code == 0, again.stderr
    assert re.search(r"The index that was there lies in .*_aside_[0-9]{14}\.", again.stderr), again.stderr
    assert json.loads(again.stdout)["versions"] == report["versions"]
    gateway.start()
    assert everything(gateway.client("s3")) == told


def audit_of(gateway: Gateway) -> str:
    return "".join(
        path.read_text(errors="replace") for path in sorted((gateway.data / "audit").glob("*")) if path.is_file()
    )
