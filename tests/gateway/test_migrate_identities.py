"""`sealgate migrate identities`, in process. The moving itself: `tests/iam/store/test_postgresql.py`."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from gateway.commands.alone import alone
from gateway.commands.main import main
from gateway.config import CONFIG_NAME, load
from kms.store.sqlite import SQLiteKeyStore
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

SCHEMA = f"moving_{uuid.uuid4().hex}"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def migrate(data: Path, to: str) -> Result:
    return run("migrate", "identities", "--to", to, data)


def configure(data: Path, identities: str) -> None:
    path = data / CONFIG_NAME
    lines = [f'identities = "{identities}"' if line.startswith("identities") else line for line in _lines(path)]
    path.write_text("\n".join(lines) + "\n")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_identities_are_moved_there_and_back(tmp_path: Path) -> None:
    data, url = tmp_path / "data", shared_postgresql().url
    made = run("init", data, "--root", "file", "--listen", "127.0.0.1:0", "--index", url, "--index-schema", SCHEMA)
    assert made.exit_code == 0
    before = run("access-key", "list", data).output
    path = data / "iam" / "identities.sqlite"
    assert migrate(data, "postgresql").exit_code == 1  # they are there
    with alone(load(data / CONFIG_NAME)):
        assert migrate(data, "sqlite").exit_code == 4
    assert not path.exists()
    moved = migrate(data, "sqlite")
    assert (moved.exit_code, moved.output.splitlines()) == (
        0,
        [
            "2 rows were moved, and are the same.",
            'Now set `identities = "sqlite"` in the section [storage] of the configuration.',
        ],
    )
    refused = migrate(data, "sqlite")
    assert (refused.exit_code, "is there already" in refused.output) == (1, True)
    configure(data, "sqlite")
    assert run("access-key", "list", data).output == before
    assert moves(data) == [{"to": "sqlite"}]
    run("user", "create", data, "ann")
    refused = migrate(data, "postgresql")
    assert (refused.exit_code, "identity_row holds rows already" in refused.output) == (1, True)
    asyncio.run(_empty(url))
    assert migrate(data, "postgresql").exit_code == 0
    configure(data, "postgresql")
    path.unlink()
    assert "ann" in run("user", "list", data).output
    assert moves(data)[-1] == {"to": "postgresql"}


def moves(data: Path) -> list[dict[str, str]]:
    """Those that the audit trail is yet to be told of, which any key service does beside what it is asked for."""
    with closing(SQLiteKeyStore(load(data / CONFIG_NAME).keys_path)) as keys:
        return [json.loads(act.details) for act in keys.acts(99) if act.name == "MoveIdentities"]


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"DELETE FROM {SCHEMA}.identity_row")
    await connection.close()


def test_without_a_database_there_is_nowhere_to_move_them(tmp_path: Path) -> None:
    run("init", tmp_path / "data", "--root", "file", "--listen", "127.0.0.1:0")
    refused = migrate(tmp_path / "data", "postgresql")
    assert (refused.exit_code, "names no database" in refused.output) == (1, True)
