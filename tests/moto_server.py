"""moto's server, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from tests.harness import REGION, clean_environment, wait_until

ACCESS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY": "moto-looks-at-no-signature"}
BUCKET = "backing"


@contextmanager
def moto_server(log_path: Path) -> Iterator[str]:
    """Its address, on a free port of 127.0.0.1."""
    with log_path.open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        environment = {**clean_environment(), "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        said = wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", log_path.read_text()), "moto is ready", 60)
        yield said[0]
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def moto_bucket(log_path: Path) -> Iterator[Any]:
    """A client of moto's S3, which has BUCKET, for who keeps its ciphertext there with the key ACCESS."""
    with moto_server(log_path) as url:
        credentials = {name.lower(): value for name, value in ACCESS.items()}
        client = boto3.client("s3", endpoint_url=url, region_name=REGION, **credentials)
        client.create_bucket(Bucket=BUCKET)
        yield client
