"""A key process whose clock is ahead, so that what happens after days is seen in seconds.

Python imports `sitecustomize` at its start; the one written here shifts the time of kmsd and of no other process.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.harness import REPOSITORY, Gateway

_SITECUSTOMIZE = """
import sys
import time
from pathlib import Path

if "kms.daemon" in sys.orig_argv:
    ahead_ns = int(Path(__file__).with_name("ahead_ns").read_text())
    time_ns = time.time_ns
    time.time_ns = lambda: time_ns() + ahead_ns
"""


class KeyProcessClock:
    """Of one gateway; `directory` is the test's own. What is set counts from the next start of the key process on."""

    def __init__(self, gateway: Gateway, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        (directory / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        self.set_ahead(0)
        gateway.environment["PYTHONPATH"] = os.pathsep.join([str(directory), str(REPOSITORY)])

    def set_ahead(self, days: float) -> None:
        (self._directory / "ahead_ns").write_text(str(int(days * 86_400 * 10**9)))
