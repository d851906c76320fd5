"""`python -m tests.crash kill|power|history|several --rounds N`: docs/durability.md. Exits with 1 on a problem."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash import history, kill, power
from tests.crash.history import history_rounds
from tests.crash.kill import kill_rounds
from tests.crash.power import power_rounds
from tests.crash.progress import Progress, Tally, until
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
    parser.add_argument("--until", metavar="HH:MM", type=until, default=float("inf"), help="UTC; then it ends in order")
    parser.add_argument("--tally", type=Path, help="counts of all runs: --rounds is for their sum")
    arguments = parser.parse_args()
    tally = Tally(arguments.tally, arguments.what)
    done = tally.counts["rounds"]
    progress = Progress(arguments.rounds, done, arguments.until)
    progress.end_on_signal()
    print(f"seed {arguments.seed}, {done} rounds done before", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.directory or Path(temporary)
        report = _ROUNDS[arguments.what](directory, progress=progress, seed=arguments.seed + done)
    print("\n".join(report.lines()))
    tally.add(report.counts())
    if arguments.tally:
        print("in all runs:")
        print("\n".join(f"  {count:7} {what}" for what, count in sorted(tally.counts.items())))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
