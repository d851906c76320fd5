"""The stock aws-cli: what people type first. Each command is a process, so that there are few of them."""

from __future__ import annotations

import base64
import filecmp
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.clients.access import take_customer_keys
from tests.clients.checks import error_of, random_bytes
from tests.harness import Gateway

FILES = {
    "read me.txt": b"hello\n",
    "empty": b"",
    "a/b/c/deep.bin": random_bytes(100_000),
    "a/ünïcode €.txt": b"text",
    "a/plus+and%25percent & more": b"signs",
    # Above the 8 MiB from which aws-cli uploads in parts.
    "large.bin": random_bytes(9 << 20),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        # Older than any upload: S3 tells times in whole seconds, and a file of the same second would count as newer.
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path / "tree"


def differences(one: Path, other: Path) -> list[str]:
    """Names of files that are not in both with the same bytes."""
    names = [{str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()} for top in (one, other)]
    _, mismatch, errors = filecmp.cmpfiles(one, other, names[0] & names[1], shallow=False)
    return sorted(names[0] ^ names[1]) + mismatch + errors


def test_a_bucket_from_mb_to_rb(gateway: Gateway, s3: Any, tmp_path: Path) -> None:
    url = f"s3://cli-{uuid.uuid4()}"
    assert gateway.aws("s3", "mb", url).stdout == f"make_bucket: {url.removeprefix('s3://')}\n"
    up, down = tmp_path / "up", tmp_path / "down"
    up.write_bytes(random_bytes(10_000))
    gateway.aws("s3", "cp", str(up), f"{url}/dir/file", "--sse", "aws:kms")
    gateway.aws("s3", "cp", f"{url}/dir/file", str(down))
    assert down.read_bytes() == up.read_bytes()
    removed = gateway.aws("s3", "rb", url, "--force").stdout.splitlines()
    assert removed == [f"delete: {url}/dir/file", f"remove_bucket: {url.removeprefix('s3://')}"]
    assert error_of(s3.head_bucket, Bucket=url.removeprefix("s3://"))["Error"]["Code"] == "404"


def test_two_layers_by_the_default_of_a_bucket(
    gateway: Gateway, s3: Any, bucket: str, kms_key: str, tmp_path: Path
) -> None:
    """As docs/operations.md says: `aws s3 cp --sse` does not know the mode."""
    default = {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": kms_key}
    rules = json.dumps({"Rules": [{"ApplyServerSideEncryptionByDefault": default}]})
    asked = ["--bucket", bucket, "--server-side-encryption-configuration", rules]
    gateway.aws("s3api", "put-bucket-encryption", *asked)
    up, down = tmp_path / "up", tmp_path / "down"
    up.write_bytes(random_bytes(9 << 20))
    gateway.aws("s3", "cp", str(up), f"s3://{bucket}/file")
    gateway.aws("s3", "cp", f"s3://{bucket}/file", str(down))
    assert down.read_bytes() == up.read_bytes()
    found = s3.head_object(Bucket=bucket, Key="file")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms:dsse", kms_key)
    assert found["ETag"].endswith('-2"')


def test_a_tree_synced_up_and_down_is_the_same(
    gateway: Gateway, s3: Any, kms_bucket: str, kms_key: str, tree: Path, tmp_path: Path
) -> None:
    url, copy = f"s3://{kms_bucket}", tmp_path / "copy"
    assert gateway.aws("s3", "sync", str(tree), f"{url}/tree").stdout.count("upload:") == len(FILES)
    for name in FILES:
        found = s3.head_object(Bucket=kms_bucket, Key=f"tree/{name}")
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", kms_key)
    gateway.aws("s3", "sync", f"{url}/tree", str(copy))
    assert differences(tree, copy) == []

    # Only what changed is sent: to the sync, the rest has the sizes and times that it looks for.
    (tree / "empty").unlink()
    (tree / "new").write_bytes(b"new")
    changed = gateway.aws("s3", "sync", str(tree), f"{url}/tree", "--delete", "--no-progress").stdout.splitlines()
    assert sorted(line.split(":")[0] for line in changed) == ["delete", "upload"]

    listed = gateway.aws("s3", "ls", f"{url}/tree/", "--recursive").stdout
    shown = {line[31:]: int(line[20:30]) for line in listed.splitlines()}
    sizes = {name: len(data) for name, data in FILES.items() if name != "empty"} | {"new": 3}
    assert shown == {f"tree/{name}": size for name, size in sizes.items()}
    removed = gateway.aws("s3", "rm", url, "--recursive", "--quiet")
    assert removed.stdout == ""
    assert s3.list_objects_v2(Bucket=kms_bucket)["KeyCount"] == 0


def test_pages_of_list_objects_v2(gateway: Gateway, s3: Any, bucket: str) -> None:
    keys = [f"key {number:02} €" for number in range(7)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    listing = ["s3api", "list-objects-v2", "--bucket", bucket, "--output", "json"]
    whole = json.loads(gateway.aws(*listing, "--page-size", "2").stdout)
    assert [entry["Key"] for entry in whole["Contents"]] == keys
    first = json.loads(gateway.aws(*listing, "--no-paginate", "--max-keys", "3").stdout)
    assert (first["IsTruncated"], first["KeyCount"]) == (True, 3)
    token = ["--continuation-token", first["NextContinuationToken"]]
    rest = json.loads(gateway.aws(*listing, "--no-paginate", *token).stdout)
    assert [entry["Key"] for page in (first, rest) for entry in page["Contents"]] == keys
    assert rest["IsTruncated"] is False


def test_kms_encrypts_and_decrypts_files(gateway: Gateway, tmp_path: Path) -> None:
    made = json.loads(gateway.aws("kms", "create-key", "--description", "from the shell", "--output", "json").stdout)
    key = made["KeyMetadata"]["KeyId"]
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(random_bytes(4096))
    context = ["--encryption-context", "tenant=a,purpose=test"]
    text = ["--output", "text", "--query"]
    encrypt = ["kms", "encrypt", "--key-id", key, "--plaintext", f"fileb://{plain}", *context]
    sealed.write_bytes(base64.b64decode(gateway.aws(*encrypt, *text, "CiphertextBlob").stdout))
    decrypt = ["kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}"]
    opened = gateway.aws(*decrypt, *context, *text, "Plaintext").stdout
    assert base64.b64decode(opened) == plain.read_bytes()
    refused = gateway.aws(*decrypt, check=False)
    assert refused.returncode in (254, 255)
    assert "(InvalidCiphertextException)" in refused.stderr


def test_files_under_a_key_of_ones_own(gateway: Gateway, s3: Any, tmp_path: Path) -> None:
    """In one piece, in parts, and from one bucket's object to another's by another key."""
    url = f"s3://cli-{uuid.uuid4()}"
    gateway.aws("s3", "mb", url)
    take_customer_keys(s3, url.removeprefix("s3://"))
    by, other, up, down = (tmp_path / name for name in ("by", "other", "up", "down"))
    by.write_bytes(random_bytes(32, 1))
    other.write_bytes(random_bytes(32, 2))
    for size in (10_000, 9 << 20):
        up.write_bytes(random_bytes(size))
        key = ("--sse-c", "AES256", "--sse-c-key", f"fileb://{by}")
        gateway.aws("s3", "cp", str(up), f"{url}/file", *key)
        assert gateway.aws("s3", "cp", f"{url}/file", str(down), check=False).returncode != 0
        gateway.aws("s3", "cp", f"{url}/file", str(down), *key)
        assert down.read_bytes() == up.read_bytes()
        source = ("--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", f"fileb://{by}")
        target = ("--sse-c", "AES256", "--sse-c-key", f"fileb://{other}")
        gateway.aws("s3", "cp", f"{url}/file", f"{url}/copy", *source, *target)
        gateway.aws("s3", "cp", f"{url}/copy", str(down), *target)
        assert down.read_bytes() == up.read_bytes()
