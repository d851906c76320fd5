"""The seal key under a root, and stores of releases that had none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kms.api.types import HealthState
from kms.epoch import MemoryEpoch
from kms.hsm.check_value import MAC_SIZE, make_check_value, tells_of_seals, verify_check_value
from kms.hsm.interface import RootMisconfigured, RootUnavailable, UnwrapFailed
from kms.service.core import ServiceSettings
from kms.service.initialise import initialise_key_store
from kms.service.row_seals import open_seals
from kms.service.service import EmbeddedKeyService
from kms.store.interface import ROOT_CHECK_VALUE, DamagedRow
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.seals import SEAL_KEY_ID
from tests.conformance.key_service import REGION
from tests.kms.roots import MemoryRoot

NOW = 1_800_000_000_000_000


@pytest.fixture
def path(tmp_path: Path, root: MemoryRoot) -> Path:
    """A key store as `sealgate init` makes it."""
    path = tmp_path / "made.sqlite"
    initialise_key_store(path, root, region=REGION, check_value=make_check_value(root))
    return path


@pytest.fixture
def made(path: Path) -> Iterator[SQLiteKeyStore]:
    with closing(SQLiteKeyStore(path)) as store:
        yield store


def check_value_without_seals(root: MemoryRoot) -> bytes:
    wrapped = root.generate_wrapped_key()
    return wrapped + root.mac(b"sealgate/v1/root-check" + root.identity.root_id + wrapped)


def as_an_earlier_release_left_it(path: Path, root: MemoryRoot) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM kms_key_version WHERE key_id = ?", (SEAL_KEY_ID,))
        for table in ("kms_key", "kms_key_version", "kms_alias", "kms_grant"):
            connection.execute(f"UPDATE {table} SET seal = NULL")
        connection.execute(
            "UPDATE kms_meta SET value = ? WHERE name = ?", (check_value_without_seals(root), ROOT_CHECK_VALUE)
        )


def test_a_new_store_has_seals_from_its_first_row_on(made: SQLiteKeyStore, root: MemoryRoot) -> None:
    open_seals(made, root, now_us=NOW)
    assert made.prove_rows() == []
    assert made.version(SEAL_KEY_ID, 1) is None  # nothing that asks for keys is told of it
    check_value = made.meta(ROOT_CHECK_VALUE)
    assert check_value is not None
    assert tells_of_seals(root, check_value)


def test_rows_of_an_earlier_release_are_sealed_once(made: SQLiteKeyStore, root: MemoryRoot, path: Path) -> None:
    as_an_earlier_release_left_it(path, root)
    open_seals(made, root, now_us=NOW)
    assert made.prove_rows() == []
    check_value = made.meta(ROOT_CHECK_VALUE)
    assert check_value is not None
    verify_check_value(root, check_value)
    assert tells_of_seals(root, check_value)
    # Who makes it look as before once more lacks the check value of before.
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM kms_key_version WHERE key_id = ?", (SEAL_KEY_ID,))
        connection.execute("UPDATE kms_key SET seal = NULL, policy = 'all for everybody'")
    with closing(SQLiteKeyStore(path)) as store, pytest.raises(DamagedRow, match="gone"):
        open_seals(store, root, now_us=NOW)


def test_two_processes_bring_seals_at_once(path: Path, root: MemoryRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    as_an_earlier_release_left_it(path, root)
    with closing(SQLiteKeyStore(path)) as one, closing(SQLiteKeyStore(path)) as other:
        bring = one.seal_older_rows

        def late(*arguments: object, **named: object) -> None:
            open_seals(other, root, now_us=NOW)
            bring(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(one, "seal_older_rows", late)
        open_seals(one, root, now_us=NOW)
        assert one.prove_rows() == other.prove_rows() == []


def test_the_seal_key_of_another_root_does_not_open(made: SQLiteKeyStore, path: Path, root: MemoryRoot) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        (record,) = connection.execute("SELECT record FROM kms_key_version WHERE key_id = ?", (SEAL_KEY_ID,)).fetchone()
        changed = bytearray(record)
        changed[-MAC_SIZE - 1] ^= 1
        connection.execute("UPDATE kms_key_version SET record = ? WHERE key_id = ?", (bytes(changed), SEAL_KEY_ID))
    with pytest.raises(UnwrapFailed):
        open_seals(made, root, now_us=NOW)
    with pytest.raises(RootMisconfigured):
        open_seals(made, MemoryRoot(), now_us=NOW)


async def test_a_service_is_sealed_until_its_rows_can_be_proven(made: SQLiteKeyStore, root: MemoryRoot) -> None:
    root.failure = RootUnavailable("away")
    settings = ServiceSettings(REGION, probe_seconds=0.05)
    async with EmbeddedKeyService(made, root, MemoryEpoch(), settings) as service:
        assert (await service.health()).state is HealthState.SEALED
        root.failure = None
        await service._core.unsealed.wait()
        assert (await service.health()).state is HealthState.READY


async def test_a_service_whose_seal_key_is_gone_serves_nothing(
    made: SQLiteKeyStore, root: MemoryRoot, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM kms_key_version WHERE key_id = ?", (SEAL_KEY_ID,))
    async with EmbeddedKeyService(made, root, MemoryEpoch(), ServiceSettings(REGION)) as service:
        health = await service.health()
        assert health.state is HealthState.SEALED
        assert "seal key is gone" in health.detail
