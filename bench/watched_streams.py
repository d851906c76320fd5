"""What `kms.on_key_disabled = "abort"` costs a download: for each request, and for each batch of 256 KiB.

    python -m bench.watched_streams [--batches 500000]

CPU nanoseconds; a batch takes some 30 µs to open, so a hundredth of that is the budget.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator
from typing import cast

from gateway.operations.key_watch import KeyInUse, KeyWatch, Stream
from gateway.protocol.messages import Buffer
from kms.api.service import KeyService

KEY = KeyInUse("arn:aws:kms:us-east-1:123456789012:key/0", 1)
ROUNDS = 3


async def stream(batches: int) -> AsyncGenerator[Buffer]:
    for _ in range(batches):
        yield b""


async def consume(body: Stream) -> int:
    began = time.process_time_ns()
    async for _ in body:
        pass
    await body.aclose()
    return time.process_time_ns() - began


async def measure(batches: int) -> None:
    watch = KeyWatch(cast(KeyService, None), lambda: KEY.epoch)  # never asked, since the epoch stays
    plain = min([await consume(stream(batches)) for _ in range(ROUNDS)])
    watched = min([await consume(watch.watched(stream(batches), [KEY], "request")) for _ in range(ROUNDS)])
    print(f"each batch   {(watched - plain) / batches:6.0f} ns")
    began = time.process_time_ns()
    for _ in range(batches):
        with watch.watching([KEY], "request"):
            pass
    print(f"each request {(time.process_time_ns() - began) / batches:6.0f} ns")
    await watch.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=500_000)
    asyncio.run(measure(parser.parse_args().batches))


if __name__ == "__main__":
    main()
