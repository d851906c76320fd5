"""The first ten minutes, as the README has them: a fresh clone, an empty HOME, `make run`, then the stock aws-cli.

The clone is of the repository's last commit. Everything the machine may have set for AWS or Sealgate is taken out of
the environment; what package clients need (proxies, certificates) stays.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import boto3
import pytest
from botocore.config import Config

from tests.harness import REPOSITORY, clean_environment, wait_until

pytestmark = pytest.mark.slow

GIB = 1 << 30
INSTALL_SECONDS = 1200.0


def _unused_port() -> int:
    """Below those that systems hand out by themselves: nobody is given it while the installation takes its time."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a hundred ports are in use")


class FirstRun:
    """A fresh clone and the gateway that `make run` started in it."""

    def __init__(self, directory: Path) -> None:
        self.clone = directory / "clone"
        self.home = directory / "home"
        self.home.mkdir()
        self.log = directory / "make-run.log"
        self.process: subprocess.Popen[bytes] | None = None
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(self.clone)], check=True, timeout=60)
        self.port = _unused_port()

    @property
    def environment(self) -> dict[str, str]:
        environment = clean_environment(HOME=str(self.home))
        del environment["PYTHONPATH"]
        return environment

    def make_run(self) -> str:
        """`make run` until it says ready; what it printed."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["make", "run", f"LISTEN=127.0.0.1:{self.port}"],
                cwd=self.clone,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def ready() -> str | None:
            assert self.process is not None
            text = self.log.read_text(errors="replace")
            if self.process.poll() is not None:
                raise AssertionError(f"make run ended:\n{text}")
            return text if re.search("^ready: ", text, re.MULTILINE) else None

        return str(wait_until(ready, "make run is ready", INSTALL_SECONDS))

    def stop(self) -> None:
        """What Ctrl-C does: SIGINT to the foreground process group."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(60)
            self.process = None

    def shell(self, script: str) -> str:
        """Run lines as a person would paste them, in the clone; a failing one fails the test."""
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def aws(self, *arguments: str) -> str:
        return self.shell(f". .sealgate/dev.env; aws {shlex.join(arguments)}")

    def dev_env(self) -> dict[str, str]:
        text = (self.clone / ".sealgate" / "dev.env").read_text()
        return dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    run = FirstRun(tmp_path_factory.mktemp("first-run"))
    try:
        run.make_run()
        yield run
    finally:
        run.stop()
        shutil.rmtree(run.clone.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def alias(first_run: FirstRun) -> str:
    key_id = first_run.aws("kms", "create-key", "--query", "KeyMetadata.KeyId", "--output", "text").strip()
    first_run.aws("kms", "create-alias", "--alias-name", "alias/first", "--target-key-id", key_id)
    first_run.aws("s3", "mb", "s3://first-run")
    return "alias/first"


def readme_blocks() -> list[str]:
    """The shell blocks of README's "Ten minutes", without the two commands that this module itself is about."""
    section = (REPOSITORY / "README.md").read_text().split("## Ten minutes")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [block for block in blocks if block.strip() != "make run"]


def test_every_command_of_the_readme_works_in_order(first_run: FirstRun) -> None:
    blocks = readme_blocks()
    assert len(blocks) >= 4
    told = first_run.shell("\n".join(blocks))
    assert told.count("net 30 days") == 2
    assert "closed: KMS.DisabledException" in told
    assert told.strip().endswith("aws:kms")


def test_the_other_command_of_the_readme_is_what_ci_runs() -> None:
    assert re.search(r"```sh\nmake test\n```", (REPOSITORY / "README.md").read_text())
    assert "\nmake test\n" in (REPOSITORY / ".ci" / "run").read_text()


def test_a_gibibyte_goes_up_and_down_by_aws_cli(first_run: FirstRun, alias: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        digest = write_gibibyte(file)
    first_run.aws(
        *("s3", "cp", "--only-show-errors", str(source), "s3://first-run/big"),
        *("--sse", "aws:kms", "--sse-kms-key-id", alias),
    )
    source.unlink()
    first_run.aws("s3", "cp", "--only-show-errors", "s3://first-run/big", str(target))
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    target.unlink()
    etag = first_run.aws("s3api", "head-object", "--bucket", "first-run", "--key", "big", "--query", "ETag")
    assert re.search(r"-\d+", etag), "the upload was multipart"


def write_gibibyte(file: IO[bytes]) -> str:
    """A GiB in which no MiB is like another; returns its SHA-256."""
    digest = hashlib.sha256()
    block = bytearray(os.urandom(1 << 20))
    for number in range(GIB >> 20):
        block[:8] = number.to_bytes(8, "big")
        file.write(block)
        digest.update(block)
    return digest.hexdigest()


def test_a_real_tree_syncs_up_and_down(first_run: FirstRun, alias: str, tmp_path: Path) -> None:
    """The Python standard library without its caches: a good two thousand files, most of them small."""
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(
        sysconfig.get_paths()["stdlib"],
        source,
        ignore=shutil.ignore_patterns("__pycache__", "site-packages", "*.so", "*.a", "*.o"),
        symlinks=False,
        ignore_dangling_symlinks=True,
    )
    files = [path for path in source.rglob("*") if path.is_file()]
    assert len(files) > 2000
    for directory in sorted(source.rglob("*"), reverse=True):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()  # S3 has no empty directories
    sse = ("--sse", "aws:kms", "--sse-kms-key-id", alias)
    first_run.aws("s3", "sync", "--only-show-errors", str(source), "s3://first-run/lib", *sse)
    first_run.aws("s3", "sync", "--only-show-errors", "s3://first-run/lib", str(target))
    difference = subprocess.run(["diff", "-r", str(source), str(target)], capture_output=True, text=True, check=False)
    assert (difference.returncode, difference.stdout) == (0, "")


def test_a_stream_that_cannot_seek_goes_up_by_boto3(first_run: FirstRun, alias: str) -> None:
    pieces = 1024
    writer = "import sys\nfor n in range(int(sys.argv[1])): sys.stdout.buffer.write(n.to_bytes(8, 'big') * 8192)"
    s3 = boto3.client("s3", **client_options(first_run.dev_env()))
    extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": alias}
    with subprocess.Popen([sys.executable, "-c", writer, str(pieces)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert not process.stdout.seekable()
        s3.upload_fileobj(process.stdout, "first-run", "stream", ExtraArgs=extra)
    body = s3.get_object(Bucket="first-run", Key="stream")["Body"]
    for number in range(pieces):
        assert body.read(1 << 16) == number.to_bytes(8, "big") * 8192
    assert body.read(1) == b""


def client_options(dev_env: dict[str, str]) -> dict[str, Any]:
    return {
        "endpoint_url": dev_env["AWS_ENDPOINT_URL"],
        "region_name": dev_env["AWS_DEFAULT_REGION"],
        "aws_access_key_id": dev_env["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": dev_env["AWS_SECRET_ACCESS_KEY"],
        "config": Config(s3={"addressing_style": "path"}),
    }


def test_running_it_again_keeps_data_and_keys(first_run: FirstRun, alias: str) -> None:
    first_run.shell(
        f". .sealgate/dev.env; echo kept | aws s3 cp - s3://first-run/kept --sse aws:kms --sse-kms-key-id {alias}"
    )
    before = first_run.dev_env()
    first_run.stop()
    printed = first_run.make_run()
    assert first_run.dev_env() == before
    for name, value in before.items():
        assert re.search(rf"^export {name}=.?{re.escape(value)}", printed, re.MULTILINE), name
    assert first_run.aws("s3", "cp", "s3://first-run/kept", "-") == "kept\n"
