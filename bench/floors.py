"""What the machine gives at the most, taken in the same run: ciphers, digests, the disk, a server that does nothing.

As a module of its own (`python -m bench.floors`) it is that server: aiohttp on uvloop, 4 KiB for every GET, and the
body of every PUT thrown away.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.endpoint import Endpoint
from bench.workloads import MIB
from tests.harness import clean_environment

SEGMENT_BYTES = 65_536
REPEATS = 64


def _gib_per_second(action: Callable[[], object], size: int) -> float:
    """By CPU time of this process; the best of several, which a busy machine disturbs least."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(REPEATS):
            action()
        best = min(best, time.process_time() - began)
    return size * REPEATS / best / (1 << 30)


def ciphers_and_digests() -> dict[str, float]:
    """GiB of a core's second."""
    data, out = os.urandom(SEGMENT_BYTES), bytearray(SEGMENT_BYTES + 16)
    aead = AESGCM(os.urandom(32))  # throw-away: a floor repeats its nonce, which nothing but a benchmark may
    block = os.urandom(MIB)
    return {
        "AES-256-GCM, 64 KiB": _gib_per_second(lambda: aead.encrypt_into(bytes(12), data, None, out), SEGMENT_BYTES),
        "SHA-256": _gib_per_second(lambda: hashlib.sha256(block).digest(), MIB),
        "MD5": _gib_per_second(lambda: hashlib.md5(block, usedforsecurity=False).digest(), MIB),
    }


def disk(directory: Path) -> dict[str, float]:
    """MiB a second of a sequential write that ends with fsync, and milliseconds of an fsync of 4 KiB."""
    block, path = os.urandom(MIB), directory / "floor"
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(256):
            file.write(block)
        os.fsync(file.fileno())
        speed = 256 / (time.perf_counter() - began)
        taken = []
        for _ in range(50):
            file.write(block[:4096])
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return {"sequential write, MiB/s": speed, "fsync of 4 KiB, ms": sorted(taken)[25] * 1000}


@contextmanager
def bare_server() -> Iterator[Endpoint]:
    """aiohttp and uvloop alone, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.floors"], stdout=subprocess.PIPE, env=clean_environment(), text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        nobody = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
        yield Endpoint("floor", found[0], nobody, lambda: {"server": [process.pid]})
    finally:
        process.terminate()
        process.wait(30)


async def _serve() -> None:
    body = os.urandom(4096)

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.method == "PUT":
            async for _ in request.content.iter_any():
                pass
            return web.Response()
        return web.Response(body=body)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
