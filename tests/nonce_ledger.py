"""The nonce ledger of a whole test run, as a pytest plugin: in all of it no key may have sealed twice under one nonce.

Every process that seals, be it pytest's, one of its workers or any of a gateway that a test started, writes into files
of one directory (`gateway/sealing/ledger.py`), which is looked through when all have ended; a repeat fails the run. It
is a temporary directory, unless SEALGATE_DEBUG_SEALS names one, which is kept.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sealing.ledger import SEALS_VARIABLE, from_environment, recorded_seals, repeated_seals, set_ledger

SHOWN = 20

_summary = pytest.StashKey[list[str]]()


@pytest.fixture
def unrecorded() -> Iterator[None]:
    """For tests that repeat seals: known answers, whose keys and salts are given, and forgeries."""
    before = set_ledger(None)
    yield
    set_ledger(before)


def is_worker(config: pytest.Config) -> bool:
    """Whether this is a process of pytest-xdist, which reports to another one."""
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get(SEALS_VARIABLE):
        directory = tempfile.mkdtemp(prefix="sealgate-seals-")
        os.environ[SEALS_VARIABLE] = directory
        config.add_cleanup(lambda: _remove(Path(directory)))
    before = set_ledger(from_environment(os.environ))
    config.add_cleanup(lambda: set_ledger(before) and None)


def _remove(directory: Path) -> None:
    del os.environ[SEALS_VARIABLE]
    shutil.rmtree(directory)


@pytest.hookimpl(trylast=True)  # after pytest-xdist has seen its workers off
def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_worker(session.config):
        return
    directory = Path(os.environ[SEALS_VARIABLE])
    repeated = repeated_seals(directory)
    count = sum(1 for _ in recorded_seals(directory))
    processes = sum(1 for path in directory.glob("*.seals") if path.stat().st_size)
    lines = [f"{count} seals by {processes} processes, {len(repeated)} under a key and nonce that were used before"]
    session.config.stash[_summary] = lines + repeated[:SHOWN]
    if repeated:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for number, line in enumerate(config.stash.get(_summary, [])):
        if number == 0:
            terminalreporter.section("nonce ledger")
        terminalreporter.write_line(line)
