"""What the audit trail costs: KeyService calls in process with and without it, and the trail alone.

    python -m bench.audit_trail [--seconds 3] [--calls 64]

Each figure is given as operations a second on the wall clock and as CPU microseconds of this process, all its threads;
on a busy machine the second is the one to trust. "loop" is the CPU of the event loop's thread alone for one line.
Budgets: 10 000 calls a second with the trail, 15 us of the loop for a line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bench.kms_calls import CALLER, CONTEXT, Result, measure, new_key_store, new_root, operations
from iam.policy.decisions import Decided
from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.audit.trail import AuditTrail, TrailSettings
from kms.epoch import MemoryEpoch
from kms.service.core import ServiceSettings, now_us
from kms.service.recording import Recorder
from kms.service.service import EmbeddedKeyService
from tests.harness import REGION

LINES = 20_000
VARIANTS: dict[str, dict[str, bool] | None] = {
    "without audit": None,
    "audit, background sync": {"is_synced_first": False},
    "audit, sync before answer": {"is_synced_first": True},
}


async def service_calls(
    directory: Path, name: str, settings: dict[str, bool] | None, seconds: float, calls: int
) -> list[Result]:
    root = new_root(directory)
    store = new_key_store(directory, root)
    async with AsyncExitStack() as opened:
        trail = None
        if settings is not None:
            made = AuditTrail(TrailSettings(directory=directory / "audit", **settings), root, lambda: 1)
            trail = await opened.enter_async_context(made)
        service = await opened.enter_async_context(
            EmbeddedKeyService(store, root, MemoryEpoch(), ServiceSettings(REGION), trail=trail)
        )
        results = [
            await measure(f"{verb}, {name}", action, seconds=seconds, calls=calls, processes={"self": os.getpid()})
            for verb, action in (await operations(service, CALLER)).items()
        ]
    root.close()
    store.close()
    return results


async def loop_cost(directory: Path, calls: int) -> float:
    """CPU microseconds of the loop's thread for one line: event, encoding, future, answer."""
    root = new_root(directory)
    key = f"arn:aws:kms:{REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    request = t.GenerateDataKey(key, 32, CONTEXT)
    decisions = (Decided("kms:GenerateDataKey", key, True, "key policy, statement Enable"),)
    answer = t.DataKey(SecretBytes(bytes(32)), t.Ciphertext(b"", key, 1, "00" * 32))
    async with AuditTrail(TrailSettings(directory=directory / "audit"), root, lambda: 1) as trail:
        recorder = Recorder(trail, region=REGION, clock_us=now_us)

        async def lane(count: int) -> None:
            for _ in range(count):
                await recorder.answered(CALLER, request, decisions, answer)

        await lane(100)
        start = time.thread_time()
        await asyncio.gather(*(lane(LINES // calls) for _ in range(calls)))
        spent = time.thread_time() - start
    root.close()
    return spent / (LINES // calls * calls) * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each figure is measured")
    parser.add_argument("--calls", type=int, default=64, help="calls under way at once")
    asked = parser.parse_args(arguments)
    for name, settings in VARIANTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            for result in asyncio.run(service_calls(Path(scratch), name, settings, asked.seconds, asked.calls)):
                print(result.line())
    with tempfile.TemporaryDirectory() as scratch:
        print(f"one line, loop: {asyncio.run(loop_cost(Path(scratch), asked.calls)):.1f} us")


if __name__ == "__main__":
    main()
