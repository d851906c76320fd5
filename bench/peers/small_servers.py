"""Peers of one process: rclone over crypt, moto, LocalStack."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.endpoint import Endpoint
from bench.peers.peer import ACCESS_KEY_ID, SECRET, Peer, credentials, daemon, free_port, run, wait_for_http


@contextmanager
def start_rclone(directory: Path) -> Iterator[Endpoint]:
    configuration, log_path = directory / "rclone.conf", directory / "log"
    (directory / "data").mkdir()
    obscured = run(["rclone", "obscure", SECRET]).strip()
    configuration.write_text(f"[sealed]\ntype = crypt\nremote = {directory / 'data'}\npassword = {obscured}\n")
    port = free_port()
    serve = ["serve", "s3", "sealed:", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY_ID},{SECRET}"]
    with daemon(["rclone", "--config", str(configuration), *serve], log_path) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(url, process, log_path)
        yield Endpoint("rclone", url, credentials(), lambda: {"rclone": [process.pid]})


@contextmanager
def start_moto(directory: Path) -> Iterator[Endpoint]:
    port, log_path = free_port(), directory / "log"
    with daemon([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log_path) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(url, process, log_path)
        yield Endpoint("moto", url, credentials(), lambda: {"moto": [process.pid]})


@contextmanager
def start_localstack(directory: Path) -> Iterator[Endpoint]:
    """The runtime of `localstack-core[base-runtime]`, which needs no container; S3 alone, as its own image has it."""
    supervisor, port, log_path = shutil.which("localstack-supervisor"), free_port(), directory / "log"
    assert supervisor is not None
    environment = {
        "SERVICES": "s3",
        "STRICT_SERVICE_LOADING": "1",
        "EAGER_SERVICE_LOADING": "1",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "FILESYSTEM_ROOT": str(directory),
    }
    interpreter = str(Path(supervisor).with_name("python"))
    with daemon([interpreter, "-m", "localstack.runtime.main"], log_path, **environment) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(url, process, log_path)
        yield Endpoint("LocalStack", url, credentials(), lambda: {"localstack": [process.pid]})


RCLONE = Peer(
    "rclone",
    "`serve s3` over `crypt`: a file for each object, which neither is synced nor audited",
    ("rclone",),
    start_rclone,
)
IN_MEMORY = "encrypts nothing, keeps objects in memory"
MOTO = Peer("moto", IN_MEMORY, (), start_moto)
LOCALSTACK = Peer("LocalStack", IN_MEMORY, ("localstack-supervisor",), start_localstack)
