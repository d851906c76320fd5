from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from kms.hsm.driver import Driver, Wrapping, read_driver
from kms.hsm.nss import find_nss
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


MAKE_TOKEN = """
import sys
from pathlib import Path
from kms.api.secrets import SecretBytes
from kms.hsm.driver import Driver, StrictRoot, Wrapping, format_driver
from kms.hsm.nss import create_nss_token, find_nss, nss_parameters
place = Path(sys.argv[1])
driver = Driver(
    wrapping=Wrapping(sys.argv[2]),
    library_parameters=nss_parameters(place / "token", "vendor"),
    strict_root=StrictRoot.UNENFORCED,
)
create_nss_token(place / "token", "vendor", SecretBytes(b"1234-user"), find_nss(), driver)
(place / "driver.toml").write_text(format_driver(driver))
"""


@pytest.mark.hsm
@pytest.mark.skipif(find_nss() is None, reason="NSS softokn (libnss3) is not installed")
@pytest.mark.parametrize("wrapping", ["kw", "rsa-oaep"])
def test_a_data_directory_in_another_token_by_its_driver_profile(tmp_path: Path, wrapping: str) -> None:
    subprocess.run([sys.executable, "-c", MAKE_TOKEN, tmp_path, wrapping], cwd=REPOSITORY, check=True, timeout=60)
    (tmp_path / "pin").write_text("1234-user\n")
    (tmp_path / "pin").chmod(0o600)
    data, uri = tmp_path / "data", f"pkcs11:token=vendor?module-path={find_nss()}"
    made = sealgate(
        *("init", data, "--root", "pkcs11", "--pkcs11-uri", uri, "--pin-file", tmp_path / "pin"),
        *("--driver", tmp_path / "driver.toml", "--listen", "127.0.0.1:0"),
    )
    assert made.returncode == 0, made.stderr
    assert read_driver(data / "driver.toml") == read_driver(tmp_path / "driver.toml")
    found = sealgate("doctor", data)
    assert "is the one this data directory was made with" in found.stdout
    (data / "driver.toml").write_text((data / "driver.toml").read_text().replace(wrapping, "cbc+hmac"))
    assert "driver profile" in sealgate("doctor", data).stdout


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
