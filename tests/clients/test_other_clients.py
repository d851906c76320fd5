"""Clients of other makers, each doing its ordinary work in a bucket that encrypts by a KMS key (others/README.md)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import random_bytes
from tests.clients.test_aws_cli import differences
from tests.harness import REPOSITORY, Gateway

OTHERS = Path(__file__).with_name("others")
CLIENTS = REPOSITORY / ".venv" / "clients"
FILES = {
    "read me.txt": b"hello\n",
    "a/b/c/deep.bin": random_bytes(100_000),
    "a/ünïcode €.txt": b"text",
    "a/plus+and & more": b"signs",
    "large.bin": random_bytes(11 << 20),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "tree"


def run(gateway: Gateway, *command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a client to its end, and return its standard output. Fails with all it said."""
    path = os.pathsep.join([str(CLIENTS / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        [str(part) for part in command],
        env={**gateway.aws_environment(), "PYTHONPATH": "", "PATH": path, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["s3fs", "minio", "pyarrow", "awscrt"])
def test_a_python_library(name: str, gateway: Gateway, s3: Any, kms_bucket: str, tree: Path, tmp_path: Path) -> None:
    down = tmp_path / "down"
    down.mkdir()
    run(gateway, CLIENTS / "bin" / "python", OTHERS / f"work_{name}.py", kms_bucket, tree, down)
    assert differences(tree, down) == []
    assert s3.list_objects_v2(Bucket=kms_bucket)["KeyCount"] == 0


def test_duckdb(gateway: Gateway, s3: Any, kms_bucket: str, tree: Path, tmp_path: Path) -> None:
    run(gateway, CLIENTS / "bin" / "python", OTHERS / "work_duckdb.py", kms_bucket, tree, tmp_path / "down")
    assert s3.head_object(Bucket=kms_bucket, Key="one.csv")["ServerSideEncryption"] == "aws:kms"
    assert s3.head_object(Bucket=kms_bucket, Key="large.parquet", PartNumber=1)["PartsCount"] > 1
    kept = [each["Key"] for each in s3.list_objects_v2(Bucket=kms_bucket, Prefix="numbers/")["Contents"]]
    assert [key.rpartition("/")[0] for key in kept] == ["numbers/part=7"]


def test_the_sdk_for_javascript(gateway: Gateway, s3: Any, kms_bucket: str, tree: Path, tmp_path: Path) -> None:
    if not (CLIENTS / "javascript" / "node_modules" / "@aws-sdk").exists():
        pytest.skip("npm could not install the SDK")
    # Modules are looked for beside the script that imports them.
    script = shutil.copy(OTHERS / "work_sdk.mjs", CLIENTS / "javascript" / f"work-{tmp_path.name}.mjs")
    try:
        run(gateway, "node", script, kms_bucket, tree, tmp_path / "down")
    finally:
        Path(script).unlink()
    assert differences(tree, tmp_path / "down") == []
    assert s3.list_objects_v2(Bucket=kms_bucket)["KeyCount"] == 0


def test_rclone(gateway: Gateway, s3: Any, kms_bucket: str, tree: Path, tmp_path: Path) -> None:
    # Told of the encryption, as rclone's manual demands of whoever uses SSE-KMS: else it takes every ETag for an MD5.
    options = "provider=Other,env_auth=true,server_side_encryption='aws:kms',chunk_size=5Mi,upload_cutoff=5Mi"
    remote = f":s3,{options},endpoint='{gateway.endpoint_url}':"
    rclone = ["rclone", "--config", str(tmp_path / "none.conf")]
    run(gateway, *rclone, "sync", tree, f"{remote}{kms_bucket}/tree")
    run(gateway, *rclone, "check", "--download", tree, f"{remote}{kms_bucket}/tree")
    (tree / "read me.txt").unlink()
    (tree / "new").write_bytes(b"new")
    run(gateway, *rclone, "sync", tree, f"{remote}{kms_bucket}/tree")
    run(gateway, *rclone, "sync", f"{remote}{kms_bucket}/tree", tmp_path / "down")
    assert differences(tree, tmp_path / "down") == []
    listed = run(gateway, *rclone, "lsf", "--recursive", "--files-only", f"{remote}{kms_bucket}/tree").splitlines()
    assert sorted(listed) == sorted({*FILES, "new"} - {"read me.txt"})
    assert s3.head_object(Bucket=kms_bucket, Key="tree/new")["ServerSideEncryption"] == "aws:kms"
    run(gateway, *rclone, "moveto", f"{remote}{kms_bucket}/tree/new", f"{remote}{kms_bucket}/moved")
    run(gateway, *rclone, "purge", f"{remote}{kms_bucket}/tree")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=kms_bucket)["Contents"]] == ["moved"]


def test_s3cmd(gateway: Gateway, s3: Any, kms_bucket: str, tree: Path, tmp_path: Path) -> None:
    host = gateway.endpoint_url.removeprefix("http://")
    (tmp_path / "config").write_text(f"[default]\nhost_base = {host}\nhost_bucket = {host}\nuse_https = False\n")
    s3cmd = [str(CLIENTS / "bin" / "s3cmd"), "-c", str(tmp_path / "config")]
    url = f"s3://{kms_bucket}"
    run(gateway, *s3cmd, "sync", "--multipart-chunk-size-mb=5", f"{tree}/", f"{url}/tree/")
    run(gateway, *s3cmd, "sync", f"{url}/tree/", f"{tmp_path}/down/")
    assert differences(tree, tmp_path / "down") == []
    assert run(gateway, *s3cmd, "ls", "--recursive", f"{url}/tree/").count(f"{url}/tree/") == len(FILES)
    assert s3.head_object(Bucket=kms_bucket, Key="tree/large.bin")["ServerSideEncryption"] == "aws:kms"
    run(gateway, *s3cmd, "mv", f"{url}/tree/large.bin", f"{url}/moved")
    run(gateway, *s3cmd, "del", "--recursive", "--force", f"{url}/")
    assert s3.list_objects_v2(Bucket=kms_bucket)["KeyCount"] == 0
