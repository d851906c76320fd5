"""`sealgate kms backup` and `restore`: exit statuses, what they say, and that a refusal changes nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config import CONFIG_NAME, load
from gateway.supervisor import DirectoryLock
from kms.hsm.provision import find_softhsm
from tests.harness import Gateway


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False)


def told(*arguments: str | Path) -> dict[str, Any]:
    result = run("kms", *arguments, "--json")
    assert result.exit_code == 0, result.output
    outcome: dict[str, Any] = json.loads(result.stdout)
    return outcome


def refused(*arguments: str | Path, status: int = 1) -> str:
    """The one line that a refusal says."""
    result = run("kms", *arguments)
    assert result.exit_code == status, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return line


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a data directory and its archive."""
    directory = tmp_path_factory.mktemp("made")
    assert run("init", directory / "data", "--root", "file", "--listen", "127.0.0.1:0").exit_code == 0
    assert told("backup", directory / "data", directory / "archive")["versions"] == 1
    return directory


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "data", tmp_path / "data"))


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made / "archive", tmp_path / "archive"))


def keys_of(data: Path) -> bytes:
    return (data / "kms" / "keys.sqlite").read_bytes()


def test_backup_says_what_it_holds_and_what_not(data: Path, tmp_path: Path) -> None:
    result = run("kms", "backup", data, tmp_path / "new")
    assert result.exit_code == 0
    assert "1 wrapped versions of KMS keys (keys: 1)" in result.stdout
    assert "which is not in it" in result.stdout
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_backup_overwrites_only_when_told(data: Path, archive: Path) -> None:
    before = archive.read_bytes()
    assert "exists, and is not overwritten" in refused("backup", data, archive)
    assert archive.read_bytes() == before
    assert told("backup", data, archive, "--overwrite")["bytes"] == archive.stat().st_size


def test_backup_where_nothing_can_be_written(data: Path, tmp_path: Path) -> None:
    assert "no backup was made" in refused("backup", data, tmp_path / "nowhere" / "archive")
    assert "no backup was made" in refused("backup", data, Path("/proc/archive"))


def test_backup_without_its_root(data: Path, tmp_path: Path) -> None:
    (data / "pin").write_text("another passphrase\n")
    assert "the root in use does not answer" in refused("backup", data, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_restore_asks_before_it_replaces(data: Path, archive: Path) -> None:
    assert "--replace puts it aside" in refused("restore", data, archive)
    before = keys_of(data)
    result = run("kms", "restore", data, archive, "--replace", stdin="n\n")
    assert (result.exit_code, keys_of(data)) == (1, before)
    assert "WARNING: restoring puts every key back" in result.stderr
    result = run("kms", "restore", data, archive, "--replace", stdin="y\n")
    assert result.exit_code == 0
    assert "The one before is kept at" in result.stdout
    assert len(list((data / "kms").glob("keys.sqlite.replaced-*"))) == 1
    assert run("doctor", data).exit_code == 0


def test_restore_into_a_directory_that_lost_its_keys(data: Path, archive: Path) -> None:
    for path in (data / "kms").glob("keys.sqlite*"):
        path.unlink()
    outcome = told("restore", data, archive)
    assert (outcome["restored"], outcome["kept"], outcome["versions"]) == (True, None, 1)
    assert run("doctor", data).exit_code == 0
    assert run("access-key", "create", data).exit_code == 0  # opens the service's key


def test_dry_run_proves_and_changes_nothing_while_served(data: Path, archive: Path) -> None:
    before = keys_of(data)
    lock = _lock(data)
    outcome = told("restore", data, archive, "--dry-run")
    assert (outcome["restored"], outcome["returning"], outcome["lost"]) == (False, [], [])
    lock.release()
    assert keys_of(data) == before
    assert [path.name for path in (data / "kms").iterdir() if path.name.startswith(".")] == []


def test_restore_under_a_serving_gateway(data: Path, archive: Path) -> None:
    lock = _lock(data)
    assert "another sealgate" in refused("restore", data, archive, "--replace", "--yes", status=4)
    lock.release()
    assert run("kms", "restore", data, archive, "--replace", "--yes").exit_code == 0


def _lock(data: Path) -> DirectoryLock:
    import asyncio

    lock = DirectoryLock(load(data / CONFIG_NAME, {}))
    asyncio.run(lock.acquire(0))
    return lock


def test_what_would_come_back_and_be_lost_is_named(data: Path, archive: Path) -> None:
    with closing(sqlite3.connect(data / "kms" / "keys.sqlite")) as connection:
        connection.execute("UPDATE kms_key_version SET version = 2")
        connection.execute("UPDATE kms_key SET current_version = 2")
        connection.commit()
    result = run("kms", "restore", data, archive, "--dry-run")
    assert "1 key versions come back, which the present key store does not have: " in result.stderr
    assert "1 key versions are lost, and with them what they encrypted: " in result.stderr
    outcome = told("restore", data, archive, "--dry-run")
    assert [each.split()[-1] for each in outcome["returning"] + outcome["lost"]] == ["1", "2"]


def last_bit_flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data, archive: (data / "kms" / "root").unlink(), "there is no file"),
        (lambda data, archive: (data / "pin").write_text("another passphrase\n"), "wrong passphrase"),
        (lambda data, archive: archive.write_bytes(archive.read_bytes()[:-100]), "cut off"),
        (lambda data, archive: archive.write_bytes(b"x" + archive.read_bytes()[1:]), "no backup of a key store"),
        (lambda data, archive: archive.write_bytes(last_bit_flipped(archive.read_bytes())), "authentication code"),
        (lambda data, archive: archive.write_bytes(archive.read_bytes().replace(b"SQLite", b"sqlite")), "digest"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(
    data: Path, archive: Path, damage: Any, says: str, is_there: bool
) -> None:
    damage(data, archive)
    if not is_there:
        (data / "kms" / "keys.sqlite").unlink()
    before = {path: path.read_bytes() for path in (data / "kms").iterdir() if not path.name.endswith(("-wal", "-shm"))}
    assert says in refused("restore", data, archive, "--replace", "--yes")
    assert "nothing was changed" in refused("restore", data, archive, "--replace", "--yes")
    after = {path: path.read_bytes() for path in (data / "kms").iterdir() if not path.name.endswith(("-wal", "-shm"))}
    assert after == before


def test_another_directorys_archive(data: Path, tmp_path: Path) -> None:
    run("init", tmp_path / "other", "--root", "file", "--listen", "127.0.0.1:0")
    told("backup", tmp_path / "other", tmp_path / "theirs")
    assert "is not in the configured file" in refused("restore", data, tmp_path / "theirs", "--replace", "--yes")


@pytest.mark.hsm
@pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed")
def test_another_token_of_the_same_label(tmp_path: Path) -> None:
    """In processes of their own: a PKCS#11 module is loaded once in a process."""
    ours, theirs = (Gateway(tmp_path / name, root="softhsm").init() for name in ("ours", "theirs"))
    theirs.sealgate("kms", "backup", str(theirs.data), str(tmp_path / "archive"))
    before = keys_of(ours.data)
    refusal = ours.sealgate("kms", "restore", str(ours.data), str(tmp_path / "archive"), "--replace", check=False)
    assert refusal.returncode == 1
    assert "is not in the configured token (kms.uri)" in refusal.stderr.splitlines()[-1]
    assert keys_of(ours.data) == before
