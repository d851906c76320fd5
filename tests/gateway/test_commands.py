from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from gateway import checks
from gateway.commands.main import main
from gateway.config import CONFIG_NAME, load
from gateway.kmsd import follow_moved_tokens
from gateway.private_files import format_dev_env, rewrite_endpoint
from kms.hsm.provision import find_softhsm
from tests.harness import Gateway

LOOPBACK = ("--listen", "127.0.0.1:0")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a file root; copy it before changing it."""
    data = tmp_path_factory.mktemp("made") / "data"
    assert run("init", data, "--root", "file", *LOOPBACK).exit_code == 0
    return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def problems(result: Result) -> list[str]:
    return re.findall(r"^PROBLEM  (.*)$", result.output, re.MULTILINE)


# init


def test_init_puts_identities_into_a_database_only_with_the_index(tmp_path: Path) -> None:
    refused = run("init", tmp_path / "data", "--root", "file", "--identities", "postgresql")
    assert (refused.exit_code, (tmp_path / "data").exists()) == (2, False)
    assert "names no database" in refused.output


def test_init_makes_a_private_directory(made: Path) -> None:
    for path in [made, *made.rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert not list(made.parent.glob(".data.init-*"))


def test_init_writes_credentials_for_a_shell(made: Path) -> None:
    script = (
        f". {made / 'dev.env'}; echo $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_DEFAULT_REGION"
    )
    words = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert words[0] == "http://127.0.0.1:0"
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", words[1])
    assert len(words[2]) == 40
    assert words[3] == "us-east-1"


def test_init_shows_no_secret(tmp_path: Path) -> None:
    result = run("init", tmp_path / "data", "--root", "file", *LOOPBACK)
    secret = re.findall(r"SECRET_ACCESS_KEY='?([^'\n]+)", (tmp_path / "data" / "dev.env").read_text())[0]
    pin = (tmp_path / "data" / "pin").read_text().strip()
    assert secret not in result.output
    assert pin not in result.output
    assert "WARNING: the root of all keys is a FILE" in result.output


def test_init_refuses_to_overwrite(data: Path) -> None:
    before = (data / "sealgate.toml").read_bytes()
    result = run("init", data, "--root", "file")
    assert result.exit_code == 1
    assert "nothing is ever overwritten" in result.output
    assert (data / "sealgate.toml").read_bytes() == before


def test_init_if_needed_keeps_what_is_there(data: Path) -> None:
    before = (data / "dev.env").read_bytes()
    assert run("init", data, "--root", "file", "--if-needed").exit_code == 0
    assert (data / "dev.env").read_bytes() == before


def test_init_accepts_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert run("init", tmp_path / "data", "--root", "file", *LOOPBACK).exit_code == 0
    assert (tmp_path / "data" / "sealgate.toml").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--root", "pkcs11"),
        ("--root", "pkcs11", "--pkcs11-uri", "nonsense"),
        ("--root", "pkcs11", "--pkcs11-uri", "pkcs11:token=x?module-path=/nowhere.so"),
        ("--root", "file", "--region", "no region"),
    ],
)
def test_init_that_fails_leaves_nothing(tmp_path: Path, options: tuple[str, ...]) -> None:
    pin = tmp_path / "pin"
    pin.write_text("1234")
    pin.chmod(0o600)
    result = run("init", tmp_path / "data", *options, *(("--pin-file", pin) if "pkcs11" in options else ()))
    assert result.exit_code == 1
    assert "nothing was made" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["pin"]


def test_init_checks_addresses_as_usage(tmp_path: Path) -> None:
    assert run("init", tmp_path / "data", "--listen", "9000").exit_code == 2


def test_admin_takes_the_port_after_the_endpoint(tmp_path: Path) -> None:
    run("init", tmp_path / "data", "--root", "file", "--listen", "127.0.0.1:9100")
    assert 'address = "127.0.0.1:9101"' in (tmp_path / "data" / "sealgate.toml").read_text()


@pytest.mark.hsm
@pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed")
def test_token_is_found_where_the_directory_ended_up(tmp_path: Path) -> None:
    """In processes of their own: a PKCS#11 module is loaded once in a process."""
    gateway = Gateway(tmp_path / "data", root="softhsm").init()
    assert (
        str(tmp_path / "data" / "softhsm" / "tokens") in (tmp_path / "data" / "softhsm" / "softhsm2.conf").read_text()
    )
    healthy = gateway.sealgate("doctor", str(gateway.data))
    assert "root key 'sealgate-root' is in use" in healthy.stdout
    (gateway.data / "pin").write_text("not the PIN\n")
    wrong = gateway.sealgate("doctor", str(gateway.data), check=False)
    assert wrong.returncode == 1
    assert "PROBLEM  root:" in wrong.stdout


@pytest.mark.hsm
@pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed")
def test_moved_directory_is_noticed_and_followed(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", root="softhsm").init()
    moved = gateway.data.rename(tmp_path / "elsewhere")
    noticed = gateway.sealgate("doctor", str(moved), check=False)
    assert "PROBLEM  root: the data directory was moved" in noticed.stdout
    settings = load(moved / CONFIG_NAME, {})
    assert follow_moved_tokens(settings)
    assert not follow_moved_tokens(settings)
    assert "root key 'sealgate-root' is in use" in gateway.sealgate("doctor", str(moved)).stdout


# doctor


def test_doctor_finds_a_new_directory_well(data: Path) -> None:
    result = run("doctor", data)
    assert (result.exit_code, problems(result)) == (0, []), result.output
    for check in (
        "configuration",
        "permissions",
        "free space",
        "fsync",
        "clock",
        "socket path",
        "addresses",
        "PIN",
        "root",
    ):
        assert f"ok       {check}:" in result.output
    assert result.output.count("ok       database:") == 3


@pytest.mark.parametrize(
    ("refusal", "setting", "told"),
    [
        (None, "true", "they are written by threads of the kernel (io_uring)"),
        (PermissionError(1, "Operation not permitted"), "true", "there is no io_uring here (Operation not permitted)"),
        (None, "false", "they are written by threads of the gateway, which cost more: storage.io_uring is false"),
    ],
)
def test_doctor_tells_how_blobs_are_written(
    data: Path, monkeypatch: pytest.MonkeyPatch, refusal: OSError | None, setting: str, told: str
) -> None:
    async def why_not() -> OSError | None:
        return refusal

    monkeypatch.setattr(checks, "why_not", why_not)
    monkeypatch.setenv("SEALGATE_STORAGE_IO_URING", setting)
    result = run("doctor", data)
    assert result.exit_code == 0
    assert told in result.output


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda data: data.chmod(0o755), "permissions: {data} is open to others"),
        (lambda data: (data / "dev.env").chmod(0o644), "permissions: {data}/dev.env is open to others"),
        (lambda data: (data / "pin").chmod(0o644), "PIN: the PIN file {data}/pin is open to others"),
        (lambda data: (data / "pin").unlink(), "PIN: cannot read the PIN file"),
        (lambda data: (data / "pin").write_text("another passphrase\n"), "root: "),
        (lambda data: (data / "kms" / "root").unlink(), "root: "),
        (
            lambda data: (data / "kms" / "keys.sqlite").unlink(),
            "database: the key store {data}/kms/keys.sqlite is missing",
        ),
        (
            lambda data: (data / "index" / "index.sqlite").write_bytes(bytes(8192)),
            "database: the index {data}/index/index.sqlite is damaged",
        ),
        (lambda data: os.utime(data / "index" / "index.sqlite", (4e9, 4e9)), "clock: it is behind"),
    ],
)
def test_doctor_names_what_is_wrong(data: Path, damage: object, complaint: str) -> None:
    assert callable(damage)
    damage(data)
    result = run("doctor", data)
    assert result.exit_code == 1
    assert any(problem.startswith(complaint.format(data=data)) for problem in problems(result)), result.output


def test_doctor_refuses_a_newer_database(data: Path) -> None:
    connection = sqlite3.connect(data / "iam" / "identities.sqlite")
    connection.execute("PRAGMA user_version = 999")
    connection.commit()
    connection.close()
    result = run("doctor", data)
    assert "was written by a newer Sealgate (schema 999;" in result.output


def test_doctor_sees_a_foreign_root(data: Path, tmp_path: Path) -> None:
    run("init", tmp_path / "other", "--root", "file", *LOOPBACK)
    for name in ("pin", "kms/root"):
        shutil.copy(tmp_path / "other" / name, data / name)
    result = run("doctor", data)
    assert result.exit_code == 1
    assert any(problem.startswith("root: ") for problem in problems(result))


def test_doctor_sees_an_address_in_use(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = data / "sealgate.toml"
        config.write_text(config.read_text().replace("127.0.0.1:0", address, 1))
        result = run("doctor", data)
    assert any(address in problem and "addresses" in problem for problem in problems(result))


def test_doctor_sees_a_full_disk(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MINIMUM_FREE_BYTES", 1 << 62)
    assert any("make room" in problem for problem in problems(run("doctor", data)))


def test_doctor_changes_nothing(data: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}

    before = contents()
    run("doctor", data)
    after = contents()
    # SQLite may make its shared-memory files beside a database that it reads.
    assert {path: text for path, text in after.items() if not path.name.endswith(("-shm", "-wal"))} == before


# The rest


def test_serve_tells_of_a_database_that_is_none_in_one_line(data: Path) -> None:
    (data / "index" / "index.sqlite").write_bytes(b"no database" * 1000)
    result = run("serve", data)
    assert result.exit_code == 1
    assert re.fullmatch(rf"Error: the index {data}/index/index\.sqlite is damaged, .*\n", result.output)


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_wrong_configuration_has_its_own_status(data: Path, command: str) -> None:
    (data / "sealgate.toml").write_text("[listen]\nworkres = 1\n")
    result = run(command, data)
    assert result.exit_code == 3
    assert f"{data}/sealgate.toml, line 2: listen.workres: is unknown; did you mean workers?" in result.output


def test_directory_without_configuration_is_told_to_init(tmp_path: Path) -> None:
    result = run("serve", tmp_path)
    assert result.exit_code == 3
    assert "sealgate init" in result.output


def test_help_is_there_for_every_command() -> None:
    top = run("--help").output
    assert "Exit status:" in top
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert name in top
        assert (command.help or command.short_help or "").strip()


def test_version() -> None:
    assert run("version").output.startswith("sealgate ")


def test_blob_open_refuses_what_is_no_blob(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"not a blob")
    (tmp_path / "key").write_text("00" * 32)
    result = run("blob", "open", tmp_path / "blob", "--key-file", tmp_path / "key", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_endpoint_is_rewritten_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "dev.env"
    path.write_text(format_dev_env("http://old:1", "AKIA", "a/b'c", "eu"))
    text = rewrite_endpoint(tmp_path, "http://new:2")
    assert path.read_text() == text
    assert text.splitlines()[0] == "export AWS_ENDPOINT_URL=http://new:2"
    assert text.count("AWS_ENDPOINT_URL") == 1
    assert path.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(
        ["sh", "-c", f'. {path}; printf %s "$AWS_SECRET_ACCESS_KEY"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "a/b'c"
