"""One soak from its beginning to its end."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.machine import describe
from tests.crash.underneath import problems
from tests.harness import Gateway
from tests.soak.report import Report
from tests.soak.samples import Sampler
from tests.soak.visitors import Told, visitors
from tests.soak.weather import Changes, Keys, Weather

CHECKS = 20
"""In a run, of all that a client knows with what is there; in a long one every LONGEST_CHECK_SECONDS."""

LONGEST_CHECK_SECONDS = 300.0
REPORT_SECONDS = 600.0
"""Between two reports of a run that goes on."""

ENVIRONMENT = {
    "SEALGATE_STORAGE_SWEEP_SECONDS": "20",
    "SEALGATE_STORAGE_CONDEMNED_GRACE_SECONDS": "60",
    "SEALGATE_KMS_CALL_SECONDS": "20",
    "SEALGATE_KMS_LEASE_SECONDS": "5",
    "SEALGATE_KMS_BUCKET_KEY_SECONDS": "20",
    "SEALGATE_KMS_BUCKET_KEY_LIFE_SECONDS": "600",
}
"""What ends after minutes or hours does so often enough to be seen: leases, bucket keys, garbage. Calls of the KMS may
take long: a machine that is busy with other things is no fault of the gateway's."""


@dataclass(frozen=True, slots=True)
class Soak:
    """`rate`: requests a second of all clients together. Between two changes lie `pause_seconds`; the HSM is away, or a
    key disabled, for `away_seconds`. Root: as `sealgate init` takes it; without SoftHSM2 no HSM goes away."""

    seconds: float
    rate: float = 25.0
    pause_seconds: float = 25.0
    away_seconds: float = 10.0
    sample_seconds: float = 5.0
    clients: int = 6
    root: str = "auto"
    seed: int = 0


def soak(directory: Path, asked: Soak) -> Report:
    """A new gateway in `directory`, which is used for so long. It stays there, as does the report."""
    gateway = Gateway(directory / "gateway" / "data", root=asked.root, workers=2, environment=ENVIRONMENT)
    (directory / "gateway").mkdir(parents=True)
    gateway.init()
    gateway.root = "softhsm" if (gateway.data / "softhsm").is_dir() else "file"
    settings = {"root": gateway.root, "requests/s": asked.rate, "clients": asked.clients, "seed": asked.seed}
    report = Report(describe(), settings, Told())
    gateway.start()
    try:
        _Run(gateway, report, directory, asked).run()
        _look(gateway, report)
    finally:
        gateway.stop()
    report.problems += problems(gateway.data)
    report.write(directory)
    return report


class _Run:
    def __init__(self, gateway: Gateway, report: Report, directory: Path, asked: Soak) -> None:
        self._gateway = gateway
        self._report = report
        self._directory = directory
        self._asked = asked
        self._weather = Weather()
        self._stopping = threading.Event()
        self._clients = list(visitors(gateway, self._weather, report.told, count=asked.clients, seed=asked.seed))
        keys = Keys(gateway.client("kms"), self._use_key, [each.mixed.kms_key for each in self._clients])
        self._changes = Changes(gateway, self._weather, keys, away_seconds=asked.away_seconds, seed=asked.seed)

    def _use_key(self, number: int, kms_key: str) -> None:
        self._clients[number].use_key(kms_key)

    def run(self) -> None:
        """Ends early when a client or a change cannot go on."""
        report, asked = self._report, self._asked
        end = time.monotonic() + asked.seconds
        check_seconds = min(LONGEST_CHECK_SECONDS, asked.seconds / CHECKS)
        with ThreadPoolExecutor(len(self._clients) + 2) as threads:
            running = [
                threads.submit(each.run, asked.rate / len(self._clients), check_seconds, self._stopping)
                for each in self._clients
            ]
            running += [threads.submit(self._change), threads.submit(self._watch)]
            try:
                while time.monotonic() < end and not any(each.done() for each in running):
                    time.sleep(0.1)  # it is used
            finally:
                self._stopping.set()
            errors = [each.exception() for each in running]
        report.problems += [f"{type(error).__name__}: {error}" for error in errors if error is not None]
        report.problems += self._changes.problems
        report.weather = dict(self._weather.counts)
        for client in self._clients:
            client.check()

    def _change(self) -> None:
        self._changes.kill_kmsd()
        while not self._stopping.wait(self._asked.pause_seconds):
            self._changes.next()

    def _watch(self) -> None:
        report = self._report
        sampler, reported = Sampler(self._gateway, self._changes.kept_worker), time.monotonic()
        with (self._directory / "samples.jsonl").open("a") as file:
            while not self._stopping.is_set():
                taken = sampler.take()
                report.samples.append(taken)
                file.write(json.dumps(taken.document()) + "\n")
                file.flush()
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    report.weather = dict(self._weather.counts)
                    report.write(self._directory)
                    print(f"{taken.seconds / 60:.0f} minutes, {len(report.all_problems())} problems", flush=True)
                self._stopping.wait(self._asked.sample_seconds)


def _look(gateway: Gateway, report: Report) -> None:
    """At what clients do not see."""
    if report.samples and report.samples[-1].counts["integrity events"]:
        report.problems.append("integrity events: stored data failed authentication")
    if count := gateway.log_path.read_bytes().count(b"Traceback (most recent call last)"):
        report.problems.append(f"{count} tracebacks in {gateway.log_path}")
    for command in (("index", "verify"), ("scrub", "--deep"), ("audit", "verify")):
        ran = gateway.sealgate(*command, str(gateway.data), check=False)
        if ran.returncode != 0:
            report.problems.append(f"sealgate {' '.join(command)}: {ran.stdout[-500:]} {ran.stderr[-500:]}")
