"""A PostgreSQL of the tests' own, from the system's package: on a Unix socket in a directory that goes with it."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

BIN_ENVIRONMENT = "SEALGATE_POSTGRESQL_BIN"
MISSING = (
    "PostgreSQL is not installed (Debian, Ubuntu: postgresql; Fedora: postgresql-server); "
    f"its programs may also be named by {BIN_ENVIRONMENT}"
)

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/bin")
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # What is tested is not whether PostgreSQL survives a power loss.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


def find_postgresql() -> Path | None:
    """The directory of initdb and postgres, the newest one."""
    override = os.environ.get(BIN_ENVIRONMENT)
    found = [Path(override)] if override else sorted(d for place in _PLACES for d in Path("/").glob(place[1:]))
    return next((d for d in reversed(found) if (d / "initdb").is_file() and (d / "postgres").is_file()), None)


@dataclass
class PostgreSQLServer:
    """A cluster and its server process. `user` is who may run it (PostgreSQL refuses root), None for ourselves."""

    programs: Path
    directory: Path
    user: str | None
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://sealgate@/postgres?host={quote(str(self.directory), safe='')}"

    def start(self) -> None:
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self._data, "-k", self.directory, *settings],
                user=self.user,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends transactions and writes everything; SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def initialise(self) -> None:
        subprocess.run(
            [self.programs / "initdb", "-D", self._data, "-U", "sealgate", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=self.user,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def allow(self, *lines: str) -> None:
        """Have pg_hba.conf say this before whatever else: who gets in how. Takes effect at the next start."""
        path = self._data / "pg_hba.conf"
        path.write_text("\n".join((*lines, path.read_text())))

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _answers(self) -> bool:
        port = self.settings.get("port", "5432")
        command = [self.programs / "pg_isready", "-q", "-h", self.directory, "-p", port, "-U", "sealgate"]
        return subprocess.run(command, check=False).returncode == 0


def start_postgresql(**settings: str) -> PostgreSQLServer:
    """A new cluster, started, with these settings besides. Raises FileNotFoundError where there is no PostgreSQL."""
    programs = find_postgresql()
    if programs is None:
        raise FileNotFoundError(MISSING)
    directory = Path(tempfile.mkdtemp(prefix="sg-pg-"))
    user = _unprivileged() if os.getuid() == 0 else None
    if user is not None:
        shutil.chown(directory, user)
    server = PostgreSQLServer(programs, directory, user, {**_SETTINGS, **settings})
    atexit.register(_remove, server)
    server.initialise()
    server.start()
    return server


@cache
def shared_postgresql() -> PostgreSQLServer:
    """One for all tests of this process; each uses a schema of its own, or empties it."""
    return start_postgresql()


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _remove(server: PostgreSQLServer) -> None:
    server.stop(signal.SIGQUIT)
    shutil.rmtree(server.directory, ignore_errors=True)
