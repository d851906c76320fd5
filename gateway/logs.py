"""The diagnostic log of a process: one line an event on standard error, with the process's name."""

from __future__ import annotations

import logging
import time


def configure(level: str, process: str) -> None:
    """Set up the root logger; `level` as in the settings, `process` for example "worker-0"."""
    formatter = logging.Formatter(f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s")
    formatter.converter = time.gmtime
    formatter.default_msec_format = None
    formatter.datefmt = "%Y-%m-%dT%H:%M:%S"
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
