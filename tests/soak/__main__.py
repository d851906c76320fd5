"""`python -m tests.soak --minutes 120`: a gateway under mixed load while it is disturbed; docs/durability.md.

Exits with 1 if something grew, an answer was not as it must be, or content was not what was written.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.run import Soak, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=25, help="requests a second of all clients together")
    parser.add_argument("--pause", type=float, default=25, help="seconds between two changes")
    parser.add_argument("--away", type=float, default=10, help="seconds that the HSM is away, or a key disabled")
    parser.add_argument("--root", choices=["auto", "softhsm", "file"], default="auto")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--directory", type=Path, help="where gateway and report are, and stay; default: a new one")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(2))  # the gateway is stopped on the way out
    directory = arguments.directory or Path(tempfile.mkdtemp(prefix="soak-"))
    asked = Soak(
        seconds=60 * arguments.minutes,
        rate=arguments.rate,
        pause_seconds=arguments.pause,
        away_seconds=arguments.away,
        root=arguments.root,
        seed=arguments.seed,
    )
    print(f"seed {asked.seed}, report in {directory}", flush=True)
    report = soak(directory, asked)
    print("\n".join(report.lines()))
    return 1 if report.all_problems() else 0


if __name__ == "__main__":
    sys.exit(main())
