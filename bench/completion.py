"""How long an upload of very many parts takes to complete, and what it costs.

    python -m bench.completion [--parts 10000] [--runs 5]

By a gateway in one process, without sockets and without fsync (file root's KMS embedded): what is told is
CompleteMultipartUpload from the parsed head of its request to the answer, SSE-KMS under a bucket key. Parts are of one
byte, which is allowed for this; how large they are has no part in it. Budget: a second for 10 000.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.protocol.modes import Mode
from tests.gateway.gateway_in_process import in_process_gateway
from tests.gateway.operations.uploads import begin
from tests.gateway.populated import MODES, Populator


async def measure(directory: Path, parts: int, runs: int) -> None:
    parts_of_an_upload.MIN_PART_BYTES = 0
    took, cpu = [], []
    async with in_process_gateway(directory) as gateway:
        await Populator(gateway).bucket("bench")
        for run in range(runs):
            upload = await begin(gateway, f"/bench/{run}", MODES[Mode.SSE_KMS_BUCKET_KEY])
            for number in range(1, parts + 1):
                sent = await upload.put(number, b"x")
                assert sent.status == 200, sent.body
            before, cpu_before = time.perf_counter(), time.process_time()
            done = await upload.complete()
            took.append(time.perf_counter() - before)
            cpu.append(time.process_time() - cpu_before)
            assert done.status == 200 and done.text("ETag"), done.body
            print(f"  run {run + 1}: {took[-1]:.3f} s, {cpu[-1]:.3f} s of CPU", flush=True)
    print(f"{parts} parts: {statistics.median(took):.3f} s, {statistics.median(cpu):.3f} s of CPU (medians of {runs})")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Complete an upload of very many parts.")
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(Path(directory), given.parts, given.runs))


if __name__ == "__main__":
    main()
