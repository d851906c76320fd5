"""What a worker takes of memory: at rest, and for each stream that it moves.

    python -m bench.memory [--streams 64] [--size 64]

Starts a gateway with one worker in a scratch directory, and stops it. Objects of SSE-KMS under a bucket key are sent
and received by so many clients at once, as fast as they can, and by clients that do not read on. Told is the most that
was seen (resident set, `/proc/PID/statm`, forty times a second) and what it is more than before, for each stream; what
is freed stays the process's, so the cases that take less come first. What the kernel keeps in sockets is not the
worker's. Budget: 120 MiB at rest, 1 MiB for a stream.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.__main__ import ENCRYPTIONS, own_gateway
from bench.load import Prepared, drive
from bench.workloads import LARGE_PIECE, MIB, Bench, Sizes

SAMPLE_SECONDS = 1 / 40
PAGE_BYTES = 4096


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / MIB


def peak_while(action: Callable[[], object], pid: int) -> float:
    """The most that was seen, in MiB, while the action ran in a thread of its own."""
    thread = threading.Thread(target=action)
    thread.start()
    most = 0.0
    while thread.is_alive():
        most = max(most, resident_mib(pid))
        time.sleep(SAMPLE_SECONDS)
    return most


def stalled(address: tuple[str, int], requests: Sequence[Prepared], pid: int) -> float:
    """The most that was seen while nobody read on, once each answer has begun."""
    with ExitStack() as opened:
        lanes = [opened.enter_context(socket.create_connection(address, 60)) for _ in requests]
        for lane, request in zip(lanes, requests, strict=True):
            lane.sendall(request.head)
        for lane in lanes:
            assert lane.recv(1)
        return peak_while(lambda: time.sleep(2), pid)


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
        (pid,) = endpoint.processes()["workers"]
        print(f"at rest, after its start: {resident_mib(pid):.0f} MiB")
        bench = Bench(endpoint.raw, Sizes(), ENCRYPTIONS["bucket-key"])
        bench.make_bucket(bench.bucket)
        puts = [bench.put(f"large/{number}", LARGE_PIECE, repeat=asked.size) for number in range(streams)]
        gets = [bench.get(f"large/{number}") for number in range(streams)]
        drive(bench.raw.address, [*puts, gets[0]], 1)
        for name, peak in (
            ("downloads nobody reads on", lambda: stalled(bench.raw.address, gets, pid)),
            ("downloads", lambda: peak_while(lambda: drive(bench.raw.address, gets, streams), pid)),
            ("uploads", lambda: peak_while(lambda: drive(bench.raw.address, puts, streams), pid)),
        ):
            before = resident_mib(pid)
            most = peak()
            print(f"{streams} {name}: {before:.0f} -> {most:.0f} MiB, {(most - before) / streams:.2f} each")


if __name__ == "__main__":
    main()
