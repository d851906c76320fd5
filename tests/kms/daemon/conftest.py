"""Real kmsd processes over real tokens."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms.audit.trail import TrailSettings
from kms.daemon.settings import DaemonSettings, RootSettings
from kms.store.opening import KeyDatabase
from tests.conformance.key_service import REGION

START_SECONDS = 120
REPOSITORY = Path(__file__).parents[3]


class Kmsd:
    """A kmsd process; `settings` may be replaced between a stop and a start."""

    def __init__(self, settings: DaemonSettings) -> None:
        self.settings = settings
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = b""

    @property
    def socket_path(self) -> Path:
        assert self.settings.socket_path is not None
        return self.settings.socket_path

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Kmsd:
        """Start, and wait for "ready"."""
        self.process = start_process(self.settings.to_json(), self.environment)
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if readable else b""
        if line != b"ready\n":
            self.stop(signal.SIGKILL)
            pytest.fail(f"kmsd is not ready: {self.log.decode()}")
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait, and return its status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        _, log = self.process.communicate(timeout=START_SECONDS)
        self.log += log
        status, self.process = self.process.returncode, None
        return status


def start_process(order: bytes, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """kmsd with `order` on its standard input, which stays open, and `environment` beside its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kms.daemon"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=os.environ | (environment or {}),
    )
    assert process.stdin is not None
    process.stdin.write(order)
    process.stdin.flush()
    return process


def make_settings(directory: Path, *, kind: str = "pkcs11", url: str | None = None, **changes: Any) -> DaemonSettings:
    """Provision `directory`, and the database at `url`, in a process of its own."""
    output = subprocess.run(
        [sys.executable, "-m", "tests.kms.daemon.provision", str(directory), kind, *([] if url is None else [url])],
        check=True,
        capture_output=True,
        cwd=REPOSITORY,
        timeout=START_SECONDS,
    ).stdout
    root: dict[str, Any] = {
        name: value if name in {"kind", "uri"} else Path(value) for name, value in json.loads(output).items()
    }
    settings = DaemonSettings(
        keys_path=directory / "keys.sqlite",
        key_database=None if url is None else KeyDatabase(url=url),
        epoch_path=directory / "epoch",
        region=REGION,
        root=RootSettings(**root),
        audit=TrailSettings(directory=directory / "audit"),
        # Relative to nothing and short: an address has 107 bytes (unix(7)).
        socket_path=directory / "s",
    )
    return replace(settings, **changes)


@pytest.fixture
def make_kmsd(tmp_path: Path) -> Iterator[Callable[..., Kmsd]]:
    """Makes kmsd processes over a token of their own; all are ended afterwards."""
    made: list[Kmsd] = []

    def make(**changes: Any) -> Kmsd:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Kmsd(make_settings(directory, **changes)))
        return made[-1]

    yield make
    for kmsd in made:
        if kmsd.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kmsd.pid, signal.SIGKILL)
            kmsd.wait()


@pytest.fixture(scope="module")
def shared_kmsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kmsd]:
    kmsd = Kmsd(make_settings(tmp_path_factory.mktemp("kmsd"))).start()
    yield kmsd
    assert kmsd.stop() == 0, kmsd.log.decode()
