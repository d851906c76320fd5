"""What a rate limit costs a request that is let through: of a client that comes again, and of one never seen before.

    python -m bench.rate_limits [--requests 500000]

CPU nanoseconds of one look-up, and of all that a request meets. Budget: 2 µs for a request of a known client.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from gateway.config import LimitSettings
from gateway.server.brakes import Brakes, Family
from gateway.server.rate_table import Rate, RateTable
from iam.principals import root_principal

UNREACHED = Rate(1e9, 1_000_000)
ALL_ON = LimitSettings(s3_principal_rate=1_000_000, s3_address_rate=1_000_000)
PRINCIPAL = root_principal("123456789012")


def measure(what: str, names: Sequence[str], requests: int) -> None:
    limit = RateTable.private().limit(UNREACHED, places=16_384)
    rounds = range(requests // len(names))
    began = time.process_time_ns()
    for _ in rounds:
        for name in names:
            assert not limit.take(name, time.monotonic_ns())
    print(f"{what:32} {(time.process_time_ns() - began) / requests:6.0f} ns")


def measure_request(what: str, settings: LimitSettings, requests: int) -> None:
    brakes = Brakes(RateTable.private(), settings)
    began = time.process_time_ns()
    for _ in range(requests):
        brakes.admit_address(Family.S3, "203.0.113.7")
        brakes.admit_principal(Family.S3, PRINCIPAL)
    print(f"{what:32} {(time.process_time_ns() - began) / requests:6.0f} ns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=500_000)
    requests = parser.parse_args().requests
    measure("one client", ["203.0.113.7"], requests)
    measure("a thousand clients", [f"203.0.113.{number}" for number in range(1000)], requests)
    measure_request("a request, without rates", LimitSettings(), requests)
    measure_request("a request, with both rates", ALL_ON, requests)
    measure("ever new clients", [f"203.0.113.{number}" for number in range(requests)], requests)


if __name__ == "__main__":
    main()
