"""Rebuild the index of many objects of every mode, and compare every row with what it was.

    python -m bench.index_rebuild [--objects 100000] [--directory DIR]

Objects are written by the gateway in one process (no sockets, no fsync, file root's KMS embedded): single bodies,
uploads in parts, copies that share ciphertext, objects put under another key, renamed ones, older versions and
replaced ones. Then the index is rebuilt into an empty database from footers and notes alone. Exits with 1 if any row
is another than it was; revisions and seals aside, which are new, and whose documents are opened and compared.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.protocol.modes import Mode
from iam.principals import Caller, root_principal
from kms.api.types import CreateKey
from tests.gateway.gateway_in_process import ACCOUNT_ID, InProcessGateway, in_process_gateway
from tests.gateway.populated import Populator, everything
from tests.gateway.rebuild.rebuilding import rebuilt, sweep, tables

AT_ONCE = 16


async def fill(gateway: InProcessGateway, objects: int) -> None:
    make = Populator(gateway)
    await make.bucket("plain")
    await make.bucket("versions")
    await make.versioning("versions", "Enabled")
    key = await gateway.kms.call(Caller(root_principal(ACCOUNT_ID), "bench"), CreateKey())
    numbers = iter(range(objects))

    async def go_on(writer: int) -> None:
        for number in numbers:
            await one(make, writer, number, key.key_arn)
            if number % 10_000 == 0:
                print(f"  {number} objects", file=sys.stderr)

    await asyncio.gather(*(go_on(writer) for writer in range(AT_ONCE)))


async def one(make: Populator, writer: int, number: int, key_arn: str) -> None:
    """One version more than there was, in whatever way it comes about. Of one key there is one writer: the order of
    writes at one time is not in the footers."""
    mode = tuple(Mode)[number % len(Mode)]
    path = f"/plain/{mode.name.lower()}/{number // 1000}/{number}"
    kind = number // len(Mode) % 20
    if kind < 4:  # one of several versions
        await make.put(f"/versions/{writer}/{number // 1000}", mode, number % 5000)
    elif kind == 4:
        await make.upload(path, mode, (number % 70_000, 1))
    elif kind == 5 and mode is not Mode.SSE_C:
        await make.put(f"{path} source", mode, 3000)
        await make.copy(f"{path} source", path)
    elif kind == 6 and mode in {Mode.SSE_S3, Mode.SSE_KMS, Mode.SSE_KMS_BUCKET_KEY}:
        await make.put(path, mode, 3000)
        await make.rewrap(path, key_arn)
    elif kind == 7:
        await make.put(f"{path} before", mode, 3000)
        await make.sent("PUT", path, {"x-amz-rename-source": f"{path.lstrip('/')} before"}, query="renameObject")
    elif kind == 8:
        await make.put(path, mode, 10)
        await make.put(path, mode, 20)
    else:
        await make.put(path, mode, number % 5000)


async def measure(directory: Path, objects: int) -> bool:
    parts_of_an_upload.MIN_PART_BYTES = 0
    async with in_process_gateway(directory, inline_limit_bytes=0) as gateway:
        began = time.monotonic()
        await fill(gateway, objects)
        await sweep(gateway)
        print(f"{objects} objects written in {time.monotonic() - began:.0f} s")
        expected, told = tables(directory / "index.sqlite"), await everything(gateway, gateway.index)
        began, cpu = time.monotonic(), time.process_time()
        async with rebuilt(gateway, directory) as (index, report):
            took, cpu = time.monotonic() - began, time.process_time() - cpu
            made = await everything(gateway, index)
        speed = f"{report.blobs / took:.0f} blobs/s, {cpu / report.blobs * 1e6:.0f} us of CPU a blob"
        print(f"{report.versions} versions rebuilt from {report.blobs} blobs in {took:.0f} s ({speed})")
        print(f"skipped {sum(report.skipped.values())}, held {report.held}")
        rows = sum(map(len, expected))
        different = sum(one != other for one, other in zip(made, told, strict=False)) + abs(len(made) - len(told))
        same = tables(directory / "rebuilt.sqlite") == expected and not different
        print(f"{rows} rows of {len(expected)} tables compared, {different} documents of {len(told)} differ: {same=}")
        return same and not report.skipped and not report.held


def main() -> int:
    parser = argparse.ArgumentParser(description="Rebuild an index of many objects and compare it.")
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="where to work, on a disk with room [default: a temporary one]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        return 0 if asyncio.run(measure(Path(directory), given.objects)) else 1


if __name__ == "__main__":
    sys.exit(main())
