"""What a figure was measured on, and how busy that was."""

from __future__ import annotations

import os
import platform
import re
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path


def describe() -> dict[str, str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "cpu": cpu[1] if cpu else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory[1]) >> 20} GiB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "openssl": ssl.OPENSSL_VERSION,
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }
