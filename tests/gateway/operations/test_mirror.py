"""A gateway whose blobs are in two stores: damage of one is neither seen by clients nor left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.operations.scrub.shallow import ShallowScrub
from gateway.protocol.errors import S3Error
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.mirror import MirrorBlobStore
from tests.gateway.gateway_in_process import InProcessGateway, in_process_gateway
from tests.gateway.operations.test_scrub import bad, body_of, deep, done, flip, shallow

SIZE = 700_000
BODY = body_of("mirrored", SIZE)


@pytest.fixture
async def mirrored(tmp_path: Path) -> AsyncIterator[InProcessGateway]:
    def mirror(first: object) -> MirrorBlobStore:
        assert isinstance(first, FileBlobStore)
        second.mkdir()
        return MirrorBlobStore(first, FileBlobStore(second, "test", fsync=False))

    second = tmp_path / "second"
    async with in_process_gateway(tmp_path, around_blobs=mirror) as gateway:
        assert (await gateway.call("PUT", "/ledger")).status == 200
        headers = {"x-amz-server-side-encryption": "aws:kms"}
        assert (await gateway.call("PUT", "/ledger/key", headers=headers, body=BODY)).status == 200
        await asyncio.sleep(0.002)
        yield gateway


def copies(gateway: InProcessGateway) -> tuple[Path, Path]:
    roots = gateway.blobs_directory, gateway.blobs_directory.with_name("second")
    first, second = ([path for path in (root / "blobs").rglob("*") if path.is_file()] for root in roots)
    assert len(first) <= 1 == len(second)
    name = second[0].relative_to(roots[1])
    return roots[0] / name, roots[1] / name


async def got(gateway: InProcessGateway, asked: str = "") -> bytes | str:
    """The body, or the error's code."""
    try:
        answer = await gateway.call("GET", "/ledger/key", headers={"Range": asked} if asked else {})
    except S3Error as error:
        return error.code
    return answer.body if answer.status in {200, 206} else str(answer.code)


# The header, the first batch of segments, a later one, the last; and whole segments away.
@pytest.mark.parametrize("place", [40, 100, 500, 400_000, 690_000, -1, -2])
async def test_damage_of_one_copy_is_not_seen(mirrored: InProcessGateway, place: int) -> None:
    first, second = copies(mirrored)
    good = first.read_bytes()
    if place >= 0:
        flip(first, place)
    else:
        first.write_bytes(good[: {-1: 50, -2: 128 + 6 * 65_552}[place]])
    assert await got(mirrored) == BODY
    assert len(mirrored.events) == 1
    assert "read from another copy" in mirrored.events[0][1]
    around = max(0, min(SIZE, (place if place >= 0 else 6 * 65_536) - 200)) // 65_536 * 65_536
    assert await got(mirrored, f"bytes={around}-{around + 99}") == BODY[around : around + 100]
    mirrored.events.clear()
    note = await done(shallow(mirrored))
    assert (note.repaired, note.bad, note.well) == (1, 0, 0)
    assert first.read_bytes() == second.read_bytes() == good
    assert [kind for kind, _ in mirrored.events] == ["blob"]
    assert (await done(shallow(mirrored))).well == 1
    assert await bad(mirrored) == {}


async def test_damage_at_two_places_of_two_copies_is_served_from_neither(mirrored: InProcessGateway) -> None:
    """A reader goes to the other copy, not back: it would go to and fro for ever between two that are both bad."""
    first, second = copies(mirrored)
    flip(first, 500)
    flip(second, 690_000)
    assert await got(mirrored) == "InternalError"
    note = await done(shallow(mirrored))
    assert (note.repaired, note.bad) == (0, 1)
    assert await bad(mirrored) == {first.name: "damaged"}
    assert (await done(deep(mirrored))).bad == 1


@pytest.mark.parametrize("which", [0, 1])
async def test_a_store_that_lost_all_is_filled_again(mirrored: InProcessGateway, which: int) -> None:
    lost = copies(mirrored)[which]
    good = lost.read_bytes()
    lost.unlink()
    if which == 0:
        assert await got(mirrored) == BODY
    assert (await done(shallow(mirrored))).repaired == 1
    assert lost.read_bytes() == good
    assert mirrored.events == []


async def test_a_repair_that_does_not_hold_is_told(mirrored: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = copies(mirrored)
    flip(first, 500)
    good = ShallowScrub._verdict

    async def never_well(scrub: ShallowScrub, store: object, row: object) -> str:
        verdict = await good(scrub, store, row)  # type: ignore[arg-type]
        return "damaged" if store is mirrored.services.blobs.copies[0] else verdict  # type: ignore[attr-defined]

    monkeypatch.setattr(ShallowScrub, "_verdict", never_well)
    assert (await done(shallow(mirrored))).bad == 1
    assert await bad(mirrored) == {first.name: "copy 1: damaged"}
