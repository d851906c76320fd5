"""Large files by the clients that people have: in parts, several at once, up and down.

    python -m bench.transfers [--size 1024] [--runs 3] [--workers 1]

aws-cli (`aws s3 cp`), boto3 (s3transfer in Python) and the S3 client of AWS's Common Runtime (awscrt), each with what
it does unless told otherwise, against a gateway in a scratch directory whose bucket has SSE-KMS under a bucket key.
CPU seconds of the server for a GiB, and MiB a second, which on a small machine is mostly what the client leaves over.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup
from awscrt.s3 import S3Client, S3RequestTlsMode, S3RequestType
from botocore.config import Config

from bench.__main__ import own_gateway
from bench.endpoint import Endpoint
from bench.machine import describe
from bench.measuring import Spread
from bench.workloads import MIB
from tests.harness import REGION, clean_environment

BUCKET = "transfers"
KEY = "large"
SECONDS = 3600

Transfer = Callable[[Path], object]


def by_aws_cli(endpoint: Endpoint) -> tuple[Transfer, Transfer]:
    environment = clean_environment(
        **{**endpoint.credentials, "AWS_ENDPOINT_URL": endpoint.endpoint_url, "AWS_DEFAULT_REGION": REGION}
    )

    def copy(source: str, target: str) -> None:
        command = ["aws", "s3", "cp", "--only-show-errors", source, target]
        subprocess.run(command, env=environment, timeout=SECONDS, check=True)

    place = f"s3://{BUCKET}/{KEY}"
    return lambda path: copy(str(path), place), lambda path: copy(place, str(path))


def by_boto3(s3: Any) -> tuple[Transfer, Transfer]:
    return lambda path: s3.upload_file(str(path), BUCKET, KEY), lambda path: s3.download_file(BUCKET, KEY, str(path))


def by_awscrt(endpoint: Endpoint) -> tuple[Transfer, Transfer]:
    group = EventLoopGroup(2)
    client = S3Client(
        bootstrap=ClientBootstrap(group, DefaultHostResolver(group)),
        region=REGION,
        credential_provider=AwsCredentialsProvider.new_static(
            endpoint.credentials["AWS_ACCESS_KEY_ID"], endpoint.credentials["AWS_SECRET_ACCESS_KEY"]
        ),
        tls_mode=S3RequestTlsMode.DISABLED,
    )
    host = ("Host", endpoint.endpoint_url.removeprefix("http://"))

    def ask(method: str, kind: S3RequestType, *headers: tuple[str, str], **files: str) -> None:
        request = HttpRequest(method, f"/{BUCKET}/{KEY}", HttpHeaders([host, *headers]))
        client.make_request(request=request, type=kind, **files).finished_future.result(SECONDS)

    def upload(path: Path) -> None:
        length = ("Content-Length", str(path.stat().st_size))
        ask("PUT", S3RequestType.PUT_OBJECT, length, send_filepath=str(path))

    return upload, lambda path: ask("GET", S3RequestType.GET_OBJECT, recv_filepath=str(path))


def measure(endpoint: Endpoint, transfer: Transfer, path: Path, size: int, runs: int) -> tuple[Spread, Spread]:
    """CPU seconds a GiB, and MiB a second."""
    cpu, rates = [], []
    for _ in range(runs):
        before, began = endpoint.usage(), time.perf_counter()
        transfer(path)
        took = time.perf_counter() - began
        after = endpoint.usage()
        spent = sum(after[name].cpu_seconds - before[name].cpu_seconds for name in after)
        cpu.append(spent * (1 << 30) / size)
        rates.append(size / MIB / took)
    return Spread.of(cpu), Spread.of(rates)


def encrypt_by_default(s3: Any) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the file (1024)")
    parser.add_argument("--runs", type=int, default=3, help="of each, of which the median is told (3)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    found = {}
    with tempfile.TemporaryDirectory(prefix="sealgate-bench-") as directory:
        scratch = Path(directory)
        source, target, size = scratch / "up", scratch / "down", asked.size * MIB
        with source.open("wb") as file:
            for _ in range(asked.size):
                file.write(os.urandom(MIB))
        with own_gateway(scratch, "file", asked.workers, "sqlite", "file") as endpoint:
            s3 = boto3.client(
                "s3",
                endpoint_url=endpoint.endpoint_url,
                region_name=REGION,
                config=Config(s3={"addressing_style": "path"}),
                aws_access_key_id=endpoint.credentials["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=endpoint.credentials["AWS_SECRET_ACCESS_KEY"],
            )
            s3.create_bucket(Bucket=BUCKET)
            encrypt_by_default(s3)
            clients = {"aws-cli": by_aws_cli(endpoint), "boto3": by_boto3(s3), "awscrt": by_awscrt(endpoint)}
            for name, transfers in clients.items():
                for what, transfer, path in zip(("up", "down"), transfers, (source, target), strict=True):
                    cpu, rate = measure(endpoint, transfer, path, size, asked.runs)
                    found[f"{name} {what}"] = {"cpu_seconds_of_a_gib": cpu.median, "mib_per_second": rate.median}
                    told = f"{cpu.median:6.2f} s CPU a GiB ({cpu.least:.2f}-{cpu.most:.2f})"
                    print(f"{name:8} {what:5} {told} {rate.median:6.0f} MiB/s", flush=True)
                with source.open("rb") as sent, target.open("rb") as received:
                    while block := sent.read(MIB):
                        assert received.read(MIB) == block, f"{name}: what came down is not what went up"
                target.unlink()
    if asked.json is not None:
        asked.json.write_text(json.dumps({"machine": describe(), "transfers": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
