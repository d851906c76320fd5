"""What a rate limit costs a request that is let through: of a client that comes again, and of one never seen before.

    python -m bench.rate_limits [--requests 500000]

CPU nanoseconds of one look-up. Budget: 2 µs for all limits of a request, of which there are two or three.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from gateway.server.rate_table import Rate, RateTable

UNREACHED = Rate(1e9, 1_000_000)


def measure(what: str, names: Sequence[str], requests: int) -> None:
    limit = RateTable.private().limit(UNREACHED, places=16_384)
    rounds = range(requests // len(names))
    began = time.process_time_ns()
    for _ in rounds:
        for name in names:
            assert not limit.take(name, time.monotonic_ns())
    print(f"{what:32} {(time.process_time_ns() - began) / requests:6.0f} ns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=500_000)
    requests = parser.parse_args().requests
    measure("one client", ["203.0.113.7"], requests)
    measure("a thousand clients", [f"203.0.113.{number}" for number in range(1000)], requests)
    measure("ever new clients", [f"203.0.113.{number}" for number in range(requests)], requests)


if __name__ == "__main__":
    main()
