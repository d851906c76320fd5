"""`sealgate audit verify` of several nodes' trails."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.commands.audit import audit
from kms.audit.trail import AuditTrail, TrailSettings
from tests.kms.roots import MemoryRoot


def verify(*arguments: Path | str) -> Result:
    return CliRunner().invoke(audit, ["verify", *map(str, arguments)])


@pytest.fixture(scope="module")
def trails(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of two nodes with one root."""
    directory, root = tmp_path_factory.mktemp("trails"), MemoryRoot()

    async def write(trail: Path) -> None:
        async with AuditTrail(TrailSettings(directory=trail), root, lambda: 1):
            while not (trail / "audit.pem").exists():
                await asyncio.sleep(0.01)

    made = [directory / "a", directory / "b"]
    for trail in made:
        trail.mkdir()
        asyncio.run(asyncio.wait_for(write(trail), 30))
    return made


def test_each_is_verified(trails: list[Path], tmp_path: Path) -> None:
    found = verify(*trails)
    assert found.exit_code == 0, found.output
    assert "2 trails: all are whole." in found.output
    broken = tmp_path / "broken"
    shutil.copytree(trails[1], broken)
    [file] = broken.glob("audit-*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"reason":"stop"', b'"reason":"step"'))
    found = verify(trails[0], broken)
    assert found.exit_code == 1
    assert "2 trails: NOT all are whole." in found.output


def test_one_that_is_there_twice_is_a_problem(trails: list[Path], tmp_path: Path) -> None:
    shutil.copytree(trails[0], tmp_path / "again")
    found = verify(trails[0], tmp_path / "again")
    assert found.exit_code == 1
    assert "are of one node" in found.output


def test_lines_noted_down_are_looked_for_in_their_trails(trails: list[Path]) -> None:
    heads = re.findall(r"Last line: (\S+)", verify(*trails).output)
    anchors = [part for head in heads for part in ("--contains", head)]
    assert verify(*trails, *anchors).exit_code == 0
    assert verify(*reversed(trails), *anchors).exit_code == 1
    assert verify(*trails, *anchors[:2]).exit_code == 2
