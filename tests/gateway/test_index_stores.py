from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config
from gateway.config import ConfigError, Settings
from gateway.index_stores import open_index
from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.sqlite.index import SQLiteIndex

ABSENT = "postgresql://sealgate@127.0.0.1:1/index"


def settings_of(directory: Path, text: str) -> Settings:
    return config.parse(text, directory / "sealgate.toml", {})


async def test_the_index_is_in_the_data_directory_unless_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    index = await open_index(settings_of(tmp_path, ""))
    assert isinstance(index, SQLiteIndex)
    await index.close()


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await open_index(settings_of(tmp_path, f'[storage]\nindex = "{ABSENT}"'))


@pytest.mark.parametrize("case", ["missing", "open", "binary", "long"])
async def test_a_password_file_that_is_no_use_is_refused_without_its_content(tmp_path: Path, case: str) -> None:
    file = tmp_path / "password"
    if case != "missing":
        file.write_bytes({"open": b"hush", "binary": b"hush\xff", "long": b"hush" * 2000}[case])
        file.chmod(0o644 if case == "open" else 0o600)
    text = f'[storage]\nindex = "{ABSENT}"\n[database]\npassword_file = "password"'
    with pytest.raises(StorageUnavailable, match="password") as caught:
        await open_index(settings_of(tmp_path, text))
    assert "hush" not in str(caught.value)


def test_a_password_in_the_url_is_refused_and_not_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage\.index: .*database\.password_file") as caught:
        settings_of(tmp_path, '[storage]\nindex = "postgresql://sealgate:hush@localhost/index"')
    assert "hush" not in str(caught.value)
