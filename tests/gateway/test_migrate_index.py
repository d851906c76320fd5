"""`sealgate migrate index`, in process. The moving itself: `tests/gateway/storage/index/test_moving.py`."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from pathlib import Path

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


def configure(data: Path, before: str, after: str) -> None:
    path = data / CONFIG_NAME
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_an_index_is_moved_there_and_back(tmp_path: Path) -> None:
    data, url = tmp_path / "data", shared_postgresql().url
    made = run(
        "init", data, "--root", "file", "--listen", "127.0.0.1:0", "--index", url, "--index-schema", SCHEMA,
        "--identities", "sqlite",
    )  # fmt: skip
    assert made.exit_code == 0
    index = load(data / CONFIG_NAME).index_path
    assert run("migrate", "index", "--to", url, data).exit_code == 1  # it is there
    with alone(load(data / CONFIG_NAME)):
        assert run("migrate", "index", "--to", "sqlite", data).exit_code == 4
    assert not index.exists()
    moved = run("migrate", "index", "--to", "sqlite", data)
    assert (moved.exit_code, moved.output.splitlines()[-1]) == (
        0,
        'Now set `index = "sqlite"` in the section [storage] of the configuration.',
    )
    assert index.exists()
    assert "is there already" in run("migrate", "index", "--to", "sqlite", data).output
    configure(data, f'index = "{url}"', 'index = "sqlite"')
    refused = run("migrate", "index", "--to", url, data)
    assert (refused.exit_code, "holds rows already" in refused.output) == (1, True)
    assert "password" in run("migrate", "index", "--to", "postgresql://a:b@localhost/c", data).output
    configure(data, SCHEMA, f"{SCHEMA[:-1]}_")
    again = run("migrate", "index", "--to", url, data)
    assert (again.exit_code, again.output.splitlines()[0]) == (0, moved.output.splitlines()[0])
    with closing(SQLiteKeyStore(data / "kms" / "keys.sqlite")) as keys:
        told = [json.loads(act.details) for act in keys.acts(99) if act.name == "MoveIndex"]
    assert [each["to"] for each in told] == ["sqlite", "postgresql"]
