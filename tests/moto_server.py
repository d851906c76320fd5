"""moto's server, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import clean_environment, wait_until


@contextmanager
def moto_server(log_path: Path) -> Iterator[str]:
    """Its address, on a free port of 127.0.0.1."""
    with log_path.open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        environment = {**clean_environment(), "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        said = wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", log_path.read_text()), "moto is ready", 60)
        yield said[0]
    finally:
        process.terminate()
        process.wait(30)
