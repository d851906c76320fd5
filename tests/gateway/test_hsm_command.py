from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from kms.hsm.driver import Driver, Wrapping, read_driver
from kms.hsm.provision import find_softhsm

REPOSITORY = Path(__file__).parents[2]


def sealgate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """As a process of its own: modules and their environment are a process's for good."""
    command = [sys.executable, "-m", "gateway", *(str(argument) for argument in arguments)]
    return subprocess.run(command, check=False, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


@pytest.mark.hsm
@pytest.mark.slow
@pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed")
def test_a_probe_tells_the_matrix_and_writes_the_profile(tmp_path: Path) -> None:
    data, driver = tmp_path / "data", tmp_path / "driver.toml"
    assert sealgate("init", data, "--root", "softhsm", "--listen", "127.0.0.1:0").returncode == 0
    done = sealgate("hsm", "probe", "--data", data, "--write", driver)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Best wrapping profile: kw." in done.stdout
    assert "Missing: 0x210B CKM_AES_KEY_WRAP_KWP, RSA 2048 OAEP SHA-256." in done.stdout
    assert (data / "pin").read_text().strip() not in done.stdout
    assert read_driver(driver) == Driver(wrapping=Wrapping.KEY_WRAP)
    again = sealgate("hsm", "probe", "--data", data, "--write", driver)
    assert (again.returncode, "File exists" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ((), 2, "either --data or --uri"),
        (("--uri", "nonsense"), 1, "pkcs11:"),
        (("--uri", "pkcs11:token=x?module-path=/nowhere.so"), 1, "where the PIN is"),
        (("--uri", "pkcs11:token=x?module-path=/nowhere.so&pin-source=file:/nowhere"), 1, "cannot read the PIN file"),
    ],
)
def test_what_cannot_be_probed_is_said(arguments: tuple[str, ...], status: int, says: str) -> None:
    done = CliRunner().invoke(main, ["hsm", "probe", *arguments])
    assert (done.exit_code, says in done.output) == (status, True)


def test_a_file_root_has_no_token(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert sealgate("init", data, "--root", "file", "--listen", "127.0.0.1:0").returncode == 0
    done = CliRunner().invoke(main, ["hsm", "probe", "--data", str(data)])
    assert (done.exit_code, "not a token" in done.output) == (1, True)
