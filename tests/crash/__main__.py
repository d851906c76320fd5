"""`python -m tests.crash kill|power|history|several --rounds N`: docs/durability.md. Exits with 1 on a problem."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash import history, kill, power
from tests.crash.history import history_rounds
from tests.crash.kill import kill_rounds
from tests.crash.power import power_rounds
from tests.crash.several import several_rounds

_ROUNDS: dict[str, Callable[..., history.Report | kill.Report | power.Report]] = {
    "history": history_rounds,
    "kill": kill_rounds,
    "power": power_rounds,
    "several": several_rounds,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("what", choices=sorted(_ROUNDS))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--directory", type=Path, help="where the gateway lives, and stays; default: a temporary one")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(2))  # gateways are stopped on the way out
    print(f"seed {arguments.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.directory or Path(temporary)
        report = _ROUNDS[arguments.what](directory, rounds=arguments.rounds, seed=arguments.seed)
    print("\n".join(report.lines()))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
