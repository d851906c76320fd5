"""What a crowd of connections costs a client beside it: 10 000 that idle, and 500 that upload slowly.

    python -m bench.crowd [--idle 10000] [--slow 500] [--rounds 300]

Starts a gateway with one worker in a scratch directory, and stops it. The same work, a PUT and a GET of 64 KiB, is
timed alone, beside those that idle, and beside all of them; what counts is the ratio to the first.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.acceptance.crowd import SETTINGS, gather_crowd, leave
from tests.acceptance.raw import PRESIGNING, presign_by
from tests.harness import Gateway

BUCKET = "crowd"


def work(s3: Any, rounds: int) -> list[float]:
    """Seconds of each round, in order of their length."""
    body = bytes(65_536)
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        s3.put_object(Bucket=BUCKET, Key="fast", Body=body)
        assert s3.get_object(Bucket=BUCKET, Key="fast")["Body"].read() == body
        taken.append(time.perf_counter() - began)
    return sorted(taken)


def tell(name: str, taken: list[float], alone: list[float]) -> None:
    median, slowest = taken[len(taken) // 2], taken[-1]
    ratio = median / alone[len(alone) // 2]
    print(f"{name:36} median {median * 1000:6.1f} ms ({ratio:4.2f} x alone)   slowest {slowest * 1000:6.1f} ms")


async def measure(gateway: Gateway, idle: int, slow: int, rounds: int) -> None:
    s3, signer = gateway.client("s3"), gateway.client("s3", **PRESIGNING)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="seen", Body=b"seen")
    url = presign_by(signer, "head_object", Bucket=BUCKET, Key="seen")
    work(s3, 20)
    alone = await asyncio.to_thread(work, s3, rounds)
    tell("alone", alone, alone)
    resting = await gather_crowd(url, idle)
    tell(f"beside {idle} that idle", await asyncio.to_thread(work, s3, rounds), alone)
    uploading = await gather_crowd(url, slow)
    hurry = asyncio.Event()
    urls = [presign_by(signer, "put_object", Bucket=BUCKET, Key=f"slow/{number}") for number in range(slow)]
    uploads = asyncio.gather(*(each.upload(target, hurry) for each, target in zip(uploading, urls, strict=True)))
    tell(f"and {slow} that upload slowly", await asyncio.to_thread(work, s3, rounds), alone)
    hurry.set()
    assert set(await uploads) <= {200}
    await leave([*resting, *uploading])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sealgate-bench-") as directory:
        gateway = Gateway(Path(directory) / "data", root="file", environment=SETTINGS).init().start()
        try:
            asyncio.run(measure(gateway, arguments.idle, arguments.slow, arguments.rounds))
        finally:
            gateway.stop()


if __name__ == "__main__":
    main()
