"""Prints every KMS key of a data directory, one version a line, in hexadecimal: for tests that look for them on disk.

    python -m tests.acceptance.unwrap_kms_keys DATA

A process of its own, because it loads the PKCS#11 module. No gateway may be running.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from uuid import UUID

from gateway.config import CONFIG_NAME, load
from gateway.kmsd import root_settings
from kms.daemon.root import recovering_root
from kms.keys.wrapping import open_record
from kms.store.interface import ROOT_CHECK_VALUE
from tests.harness import REPOSITORY, Gateway, clean_environment


def kms_keys(gateway: Gateway) -> list[str]:
    """What this prints of a stopped gateway."""
    return subprocess.run(
        [sys.executable, "-m", "tests.acceptance.unwrap_kms_keys", str(gateway.data)],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()


def main() -> None:
    settings = load(Path(sys.argv[1]) / CONFIG_NAME)
    with closing(sqlite3.connect(settings.keys_path)) as store:
        (check_value,) = store.execute("SELECT value FROM kms_meta WHERE name = ?", (ROOT_CHECK_VALUE,)).fetchone()
        rows = store.execute("SELECT key_id, version, record FROM kms_key_version").fetchall()
    root = recovering_root(root_settings(settings), check_value)
    for key_id, version, record in rows:
        print(open_record(root, record, UUID(key_id), version).reveal().hex())
    root.close()


if __name__ == "__main__":
    main()
