"""The check at the end of a run: it sees every process that seals, and a repeat fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.sealing.ledger import SEALS_VARIABLE
from tests.gateway.gateway_in_process import in_process_gateway
from tests.harness import clean_environment, running_gateway

RUN_SECONDS = 120

SEALS = """
import os
import subprocess
import sys
import pytest
from gateway.sealing.ledger import sealing_aead
ONE = "from gateway.sealing.ledger import sealing_aead; sealing_aead(bytes([{}] * 32)).encrypt(bytes(12), b'', b'')"

@pytest.mark.parametrize("number", range(4))
def test_sealing(number):
    sealing_aead(os.urandom(32)).encrypt(bytes(12), b"", None)
"""
WITHIN_A_PROCESS = """
def test_again():
    for text in (b"one", b"two"):
        sealing_aead(bytes(32)).encrypt(bytes(12), text, None)
"""
IN_CHILDREN = """
@pytest.mark.parametrize("key", [1, 2, {last}])
def test_children(key):
    subprocess.run([sys.executable, "-c", ONE.format(key)], check=True)
"""
UNRECORDED = """
@pytest.mark.usefixtures("unrecorded")
def test_known_answer():
    for _ in range(2):
        sealing_aead(bytes(32)).encrypt(bytes(12), b"", None)
"""


def run(directory: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A test run of its own, with a ledger of its own."""
    path = directory / "test_seals.py"
    path.write_text(SEALS + text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.nonce_ledger", "--rootdir", str(directory)]
    environment = clean_environment()
    del environment[SEALS_VARIABLE]
    return subprocess.run(
        [*command, *options, str(path)],
        env=environment,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "text", "seals", "repeated"),
    [
        (["-n", "2"], IN_CHILDREN.format(last=3) + UNRECORDED, 7, 0),
        (["-n", "2"], IN_CHILDREN.format(last=1), 7, 1),
        ([], WITHIN_A_PROCESS, 6, 1),
    ],
    ids=["none", "in two processes", "in one"],
)
def test_a_repeat_fails_a_run_whose_tests_pass(
    tmp_path: Path, options: list[str], text: str, seals: int, repeated: int
) -> None:
    done = run(tmp_path, text, *options)
    assert f"{seals} seals by" in done.stdout and f", {repeated} under a key and nonce" in done.stdout, done.stdout
    assert " failed" not in done.stdout
    assert done.returncode == (1 if repeated else 0)


def test_a_ledger_that_is_named_is_kept(tmp_path: Path) -> None:
    seals = tmp_path / "seals"
    seals.mkdir()
    (seals / "1.seals").write_bytes(bytes(56))
    path = tmp_path / "test_nothing.py"
    path.write_text("def test_nothing(): pass")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.nonce_ledger", "--rootdir", str(tmp_path), str(path)],
        env=clean_environment(**{SEALS_VARIABLE: str(seals)}),
        cwd=tmp_path,
        capture_output=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert (seals / "1.seals").exists()


def counts() -> dict[str, int]:
    """How many seals each process has told the ledger of this run."""
    directory = Path(os.environ[SEALS_VARIABLE])
    return {path.name: path.stat().st_size // 28 for path in directory.glob("*.seals")}


def gained(before: dict[str, int]) -> dict[str, int]:
    after = counts()
    return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


async def test_a_gateway_in_process_is_in_the_ledger_of_the_run(tmp_path: Path) -> None:
    async with in_process_gateway(tmp_path) as gateway:
        await gateway.call("PUT", "/ledger")
        before = counts()
        assert (await gateway.call("PUT", "/ledger/k", body=bytes(200_000))).status == 200
        # A wrap, four segments, a footer, a row.
        assert gained(before) == {f"{os.getpid()}.seals": 7}


@pytest.mark.slow
def test_a_gateway_in_processes_is_in_the_ledger_of_the_run(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket="ledger")
        before = counts()
        s3.put_object(Bucket="ledger", Key="k", Body=bytes(200_000), ServerSideEncryption="AES256")
        (worker,) = gateway.children("gateway.worker")
        assert gained(before)[f"{worker}.seals"] == 7
