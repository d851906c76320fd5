"""What a worker takes of memory: at rest, and for each stream that it moves.

    python -m bench.memory [--streams 64] [--size 64]

Starts a gateway with one worker in a scratch directory, and stops it. Objects of SSE-KMS under a bucket key are sent
and received by so many clients at once, as fast as they can, and by clients that do not read on. Told is the most that
was resident, as the kernel keeps it, and what it is more than at rest, for each stream. That is the most since the
start, and what is freed stays the process's: so the cases that take less come first. What the kernel keeps in sockets
is not the worker's. Budget: 120 MiB at rest, 1 MiB for a stream.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.__main__ import ENCRYPTIONS, own_gateway
from bench.load import Prepared, drive
from bench.workloads import LARGE_PIECE, MIB, Bench, Sizes


def stalled(address: tuple[str, int], requests: Sequence[Prepared]) -> None:
    """Let each answer begin, and read no further for two seconds."""
    with ExitStack() as opened:
        lanes = [opened.enter_context(socket.create_connection(address, 60)) for _ in requests]
        for lane, request in zip(lanes, requests, strict=True):
            lane.sendall(request.head)
        for lane in lanes:
            assert lane.recv(1)
        time.sleep(2)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--size", type=int, default=64, metavar="MIB", help="of each object (64)")
    asked = parser.parse_args(arguments)
    streams: int = asked.streams
    with (
        tempfile.TemporaryDirectory(prefix="sealgate-bench-") as scratch,
        own_gateway(Path(scratch), "file", 1, "sqlite", "file") as endpoint,
    ):
        rest = endpoint.usage()["workers"].resident_bytes / MIB
        print(f"at rest, after its start: {rest:.0f} MiB")
        bench = Bench(endpoint.raw, Sizes(), ENCRYPTIONS["bucket-key"])
        bench.make_bucket(bench.bucket)
        puts = [bench.put(f"large/{number}", LARGE_PIECE, repeat=asked.size) for number in range(streams)]
        gets = [bench.get(f"large/{number}") for number in range(streams)]
        drive(bench.raw.address, [*puts, gets[0]], 1)
        cases: dict[str, Callable[[], object]] = {
            "downloads nobody reads on": lambda: stalled(bench.raw.address, gets),
            "downloads": lambda: drive(bench.raw.address, gets, streams),
            "uploads": lambda: drive(bench.raw.address, puts, streams),
        }
        for name, move in cases.items():
            move()
            most = endpoint.usage()["workers"].peak_bytes / MIB
            print(f"{streams} {name}: {rest:.0f} -> {most:.0f} MiB, {(most - rest) / streams:.2f} each")


if __name__ == "__main__":
    main()
