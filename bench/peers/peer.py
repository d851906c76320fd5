"""What a peer is: how it is started from packages, who of its processes count, and what its requests carry."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.endpoint import Endpoint
from tests.harness import clean_environment, wait_until

ACCESS_KEY_ID = "AKIAEXAMPLEEXAMPLE00"
SECRET = "a-secret-for-benchmarks-alone"
START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Peer:
    """`programs` must be on the PATH for it to be there. `start` serves from a directory of its own until it is closed.

    `sse`: headers of each PUT. `note`: what it does and does not, for the table's reader.
    """

    name: str
    note: str
    programs: Sequence[str]
    start: Callable[[Path], AbstractContextManager[Endpoint]]
    sse: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        return [each for each in self.programs if shutil.which(each) is None]


def credentials(access_key_id: str = ACCESS_KEY_ID) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": access_key_id, "AWS_SECRET_ACCESS_KEY": SECRET}


def free_port() -> int:
    """Free when asked; of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def run(command: Sequence[str], **environment: str) -> str:
    """To its end, within a minute. Raises CalledProcessError, with what it said in its notes."""
    done = subprocess.run(
        command, env=clean_environment(**environment), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        error.add_note(done.stderr[-2000:])
        raise error
    return done.stdout


@contextmanager
def daemon(command: Sequence[str], log_path: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """In the foreground of a process of its own until the end."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, env=clean_environment(**environment), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:  # what it holds is thrown away
            process.kill()
            process.wait(30)


def wait_for_http(url: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Until it answers, whatever it answers."""

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"ended at its start: {log_path.read_text(errors='replace')[-2000:]}")
        try:
            with urlopen(url, timeout=5):
                return True
        except URLError as error:
            return hasattr(error, "code")  # an HTTPError is an answer
        except OSError:
            return False

    wait_until(answers, f"{url} answers", START_SECONDS)
