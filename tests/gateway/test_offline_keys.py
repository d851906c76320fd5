"""The KMS in a command's own process, while no gateway serves."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

import kms.daemon.root
from gateway.config import CONFIG_NAME, load
from gateway.identities import opened_index
from kms.daemon.settings import RootSettings
from kms.hsm.interface import Root
from kms.hsm.recovery import WAIT_SECONDS
from tests.harness import Gateway


def test_a_root_that_takes_long_to_open_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit trail wants it at the same time, to sign."""
    gateway = Gateway(tmp_path / "data", root="file").init()
    open_file = kms.daemon.root._open_file

    def open_slowly(settings: RootSettings, check_value: bytes, makes_missing: bool) -> Root:
        time.sleep(WAIT_SECONDS + 0.5)  # longer than those wait whose call is repeated
        return open_file(settings, check_value, makes_missing)

    monkeypatch.setattr(kms.daemon.root, "_open_file", open_slowly)

    async def opened() -> bool:
        async with opened_index(load(gateway.data / CONFIG_NAME), "test") as (_, keys):
            return bool(keys.rows.seal(bytes(16), 1, (), b"x"))

    assert asyncio.run(opened())
