"""A real gateway for tests: the commands of `sealgate`, real processes, real sockets on 127.0.0.1.

Ports are free ones; everything lives in a directory of the test's; only processes started here are ever stopped.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from gateway.sealing.ledger import SEALS_VARIABLE
from tests.preloaded import Preloaded

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
START_SECONDS = 180.0

COMMANDS = Preloaded()

SERVE_ENVIRONMENT = {"SEALGATE_LIMITS_FAILURES": "0", "SEALGATE_SCRUB_SCHEDULE": "never"}
"""Tests send more wrong signatures a minute than anybody should; what is done about that is `test_brakes`. They damage
what is stored as well, and count who notices."""


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment of a child: this one's without any AWS setting of the machine, and with this source tree. What it
    seals goes into the ledger of the run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SEALGATE_"))}
    environment.update({name: os.environ[name] for name in (SEALS_VARIABLE,) if name in os.environ})
    environment["PYTHONPATH"] = str(REPOSITORY)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return {**environment, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, **extra}


def backing_environment(endpoint_url: str, bucket: str, **credentials: str) -> dict[str, str]:
    """What has a gateway keep its ciphertext in a bucket of another S3, under `cipher/`."""
    return {
        "SEALGATE_STORAGE_BLOBS": f"s3://{bucket}/cipher",
        "SEALGATE_BACKING_ENDPOINT": endpoint_url,
        **credentials,
    }


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Ask `condition` until it is true, and return what it gave. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)  # the state asked for is another process's
    return value


class Gateway:
    """One data directory and, between `start` and `stop`, the gateway that serves it."""

    def __init__(
        self,
        data: Path,
        *,
        root: str = "auto",
        workers: int = 1,
        region: str = REGION,
        environment: dict[str, str] | None = None,
        index: str | None = None,
        is_first_of_several: bool = False,
        program: Sequence[str] = ("-m", "gateway"),
    ):
        """`index`: the URL of a PostgreSQL, in which the gateway gets a schema of its own; none: SQLite.
        `is_first_of_several`: keys are there as well. `program`: what Python runs to serve."""
        self.data = data
        self.root = root
        self.workers = workers
        self.region = region
        self.environment = environment or {}
        self.index = index
        self.is_first_of_several = is_first_of_several
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.endpoint_url = ""
        self.admin_url = ""
        self.log_path = data.with_name(data.name + ".log")

    def sealgate(self, *arguments: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a `sealgate` command to its end; `text` is what it reads."""
        environment = clean_environment(**self.environment)
        if "LD_PRELOAD" in environment:
            return subprocess.run(
                [sys.executable, "-m", "gateway", *arguments],
                env=environment,
                input=text,
                capture_output=True,
                text=True,
                timeout=120,
                check=check,
            )
        done = COMMANDS.run(arguments, environment, text)
        if check and done.returncode:
            raise AssertionError(f"sealgate {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done

    def init(self) -> Gateway:
        options = ["--root", self.root, "--workers", str(self.workers), "--region", self.region]
        if self.index is not None:
            options += ["--index", self.index, "--index-schema", f"gateway_{uuid.uuid4().hex}"]
            if self.is_first_of_several:
                options += ["--kms-store", self.index]
        self.sealgate("init", *options, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", str(self.data))
        return self

    def another(self, data: Path) -> Gateway:
        """One more gateway of the same root and database, from the files that docs/deployment.md names."""
        made = Gateway(data, root=self.root, workers=self.workers, environment=self.environment)
        (data / "kms").mkdir(parents=True, mode=0o700)
        data.chmod(0o700)
        for name in ("sealgate.toml", "pin", "kms/root"):
            shutil.copy2(self.data / name, data / name)
        shutil.copy2(self.data / "dev.env", data / "dev.env")  # for `credentials`
        return made

    def start(self) -> Gateway:
        """Start and wait until it is ready."""
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "serve", str(self.data)],
                env=clean_environment(**{**SERVE_ENVIRONMENT, **self.environment}),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def announced() -> re.Match[str] | None:
            assert self.process is not None
            text = self.log_path.read_bytes()[log_start:].decode(errors="replace")
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended at its start:\n{text}")
            return re.search(r"^ready: (\S+) \(health and metrics: (\S+)\)", text, re.MULTILINE)

        found = wait_until(announced, "the gateway is ready", START_SECONDS)
        self.endpoint_url, self.admin_url = found[1], found[2]
        return self

    def stop(self) -> None:
        """SIGTERM, and wait for the orderly end; idempotent."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill_all()
                raise
        self.process = None

    def kill_all(self) -> None:
        """kill -9 of the supervisor and every process it started, which have sessions of their own."""
        assert self.process is not None
        victims = [*self.children("gateway.worker"), *self.children("kms.daemon")]
        self.process.kill()
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        self.process = None

    def children(self, module: str) -> list[int]:
        """Process ids of the children that run `module` (`gateway.worker`, `kms.daemon`)."""
        assert self.process is not None
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # one that ended meanwhile
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and f"-m\0{module}\0".encode() in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
        return found

    @property
    def credentials(self) -> dict[str, str]:
        """The first account's access key, from dev.env."""
        return dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", (self.data / "dev.env").read_text(), re.MULTILINE))

    def aws_environment(self) -> dict[str, str]:
        """What a shell that read dev.env would give aws-cli."""
        return clean_environment(**{**self.credentials, "AWS_ENDPOINT_URL": self.endpoint_url})

    def aws(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the stock aws-cli."""
        return subprocess.run(
            ["aws", *arguments],
            env=self.aws_environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=check,
            **options,
        )

    def client(self, service: str, *, endpoint_url: str | None = None, **config: Any) -> Any:
        """A boto3 client of the first account; no retries unless asked for, so that tests see each answer."""
        options = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}
        return boto3.client(
            service,
            endpoint_url=endpoint_url or self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            config=Config(**options),
        )


@contextmanager
def running_gateway(directory: Path, **options: Any) -> Iterator[Gateway]:
    """A fresh gateway in `directory`, stopped at the end."""
    gateway = Gateway(directory / "data", **options).init().start()
    try:
        yield gateway
    finally:
        gateway.stop()
