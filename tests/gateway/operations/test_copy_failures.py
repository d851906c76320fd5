"""Copies that meet damage, other requests or disabled keys, sharing ciphertext and sealed anew: whole, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.operations.object.copy import SHARING_ATTEMPTS
from gateway.storage.errors import Conflict, NoSuchKey
from gateway.storage.index.records import ObjectRow
from kms.api.types import DisableKey
from tests.gateway.gateway_in_process import Answer
from tests.gateway.operations.copy_model import BY_KMS, Encryption
from tests.gateway.operations.copy_world import CALLER, World, Written, bucket_path
from tests.gateway.operations.uploads import stored_files
from tests.properties.encryption import MODES

S = 65536
BODY, OTHER = bytes(range(251)) * 2400, b"another body " * 30_000
"""Of more than what is sealed at a time."""

PLAIN = Encryption("AES256")
SHARES = pytest.mark.parametrize("shares", [True, False], ids=["share", "reencrypt"])


def path_of(key: str, *, shares: bool) -> str:
    return f"{bucket_path('source', is_versioned=False, shares=shares)}/{key}"


async def copy(world: World, source: Written, target: Encryption = PLAIN, **conditions: str) -> Answer:
    path = f"{source.path.rpartition('/')[0]}/copy"
    headers = {
        "x-amz-copy-source": source.path,
        **target.asked(world.keys),
        **{name.replace("_", "-"): value for name, value in conditions.items()},
    }
    if source.brought:
        headers |= Encryption("customer A").brought_for_source
    return await world.gateway.call("PUT", path, headers=headers)


async def check_no_copy(world: World, source: Written) -> None:
    with pytest.raises(NoSuchKey):
        await world.row(f"{source.path.rpartition('/')[0]}/copy")


def before_the_row(world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[Any]]) -> None:
    """Let something happen once, after all of the copy was read and just before it becomes visible."""
    put_object, pending = world.gateway.index.put_object, [act]

    async def put(*arguments: Any) -> None:
        if pending:
            await pending.pop()()
        await put_object(*arguments)

    monkeypatch.setattr(world.gateway.index, "put_object", put)


@pytest.mark.parametrize("mode", MODES)
async def test_damage_is_not_copied_where_data_is_sealed_anew(world: World, mode: str) -> None:
    source = await world.put(path_of("source", shares=False), Encryption(mode), [BODY])
    (file,) = stored_files(world.gateway)
    stored = file.read_bytes()
    place = 7 * S  # in the second batch: the first was sealed and written when it is found out
    file.write_bytes(stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])
    answer = await copy(world, source)
    assert (answer.status, answer.code) == (500, "InternalError")
    assert world.gateway.events
    assert stored_files(world.gateway) == {file}
    await check_no_copy(world, source)


async def test_a_source_that_is_deleted_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ciphertext that nobody else refers to is not shared any more; what was read, is copied."""
    shared = await world.put(path_of("source", shares=True), PLAIN, [BODY])
    before_the_row(world, monkeypatch, lambda: world.delete(shared))
    answer = await copy(world, shared)
    assert (answer.status, answer.code) == (404, "NoSuchKey")
    await check_no_copy(world, shared)

    read = await world.put(path_of("source", shares=False), PLAIN, [BODY])
    before_the_row(world, monkeypatch, lambda: world.delete(read))
    assert (await copy(world, read)).status == 200
    copied = path_of("copy", shares=False)
    assert (await world.gateway.call("GET", copied)).body == BODY
    await world.delete(Written(copied, "", None, {}))
    await world.check_nothing_is_left()


@SHARES
async def test_a_source_that_is_replaced_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, shares: bool) -> None:
    """The copy is one of the two, with all that belongs to it."""
    source = await world.put(path_of("source", shares=shares), PLAIN, [BODY], {"x-amz-meta-is": "old"})
    before_the_row(
        world,
        monkeypatch,
        lambda: world.put(source.path, Encryption("aws:kms"), [OTHER], {"x-amz-meta-is": "new"}),
    )
    assert (await copy(world, source)).status == 200
    found = await world.gateway.call("GET", path_of("copy", shares=shares))
    is_new = found.headers["x-amz-meta-is"] == "new"
    assert is_new == shares, "what shares ciphertext is copied again; what was read, is not"
    assert found.body == (OTHER if is_new else BODY)


async def test_a_source_that_is_replaced_all_the_time_is_copied_as_it_was_at_one_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sharing what was let go is refused each time, until the data is sealed anew."""
    source = await world.put(path_of("busy", shares=True), PLAIN, [BODY])
    put_object, bodies, refused = world.gateway.index.put_object, [BODY], 0

    async def put(row: ObjectRow, *arguments: Any) -> None:
        nonlocal refused
        if row.key == b"copy":
            bodies.append(bytes([len(bodies)]) * len(BODY))
            await world.put(source.path, PLAIN, [bodies[-1]])
        try:
            await put_object(row, *arguments)
        except Conflict:
            refused += 1
            raise

    monkeypatch.setattr(world.gateway.index, "put_object", put)
    assert (await copy(world, source)).status == 200
    assert refused == SHARING_ATTEMPTS
    copied = await world.gateway.call("GET", f"{source.path.rpartition('/')[0]}/copy")
    assert copied.body == bodies[SHARING_ATTEMPTS]


@SHARES
async def test_of_two_writers_who_want_to_be_first_one_is(
    world: World, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    source = await world.put(path_of("source", shares=shares), PLAIN, [BODY])
    answers: list[Answer] = []

    async def copy_first() -> None:
        answers.append(await copy(world, source, Encryption("aws:kms"), if_none_match="*"))

    before_the_row(world, monkeypatch, copy_first)
    answer = await copy(world, source, if_none_match="*")
    assert [each.status for each in answers] == [200]
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    copied = path_of("copy", shares=shares)
    found = await world.gateway.call("GET", copied)
    assert (found.body, found.headers["x-amz-server-side-encryption"]) == (BODY, "aws:kms")
    for written in (source, Written(copied, "", None, {})):
        await world.delete(written)
    await world.check_nothing_is_left()


@SHARES
@pytest.mark.parametrize("mode", BY_KMS)
async def test_a_disabled_key_on_either_side(world: World, mode: str, shares: bool) -> None:
    by_key = await world.put(path_of("by-key", shares=shares), Encryption(mode, 2), [BODY])
    plain = await world.put(path_of("plain", shares=shares), PLAIN, [BODY])
    assert (await copy(world, by_key, Encryption(mode, 2))).status == 200, "bucket keys are opened now"
    await world.delete(Written(path_of("copy", shares=shares), "", None, {}))
    before = stored_files(world.gateway)
    await world.gateway.kms.call(CALLER, DisableKey(world.keys[2]))
    for source, target in ((by_key, PLAIN), (by_key, Encryption(mode, 1)), (plain, Encryption(mode, 2))):
        answer = await copy(world, source, target)
        assert (answer.status, answer.code) == (400, "KMS.DisabledException"), answer.body
        assert stored_files(world.gateway) == before
        await check_no_copy(world, source)


@SHARES
async def test_a_copy_that_is_cancelled_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    """Its client is gone before it becomes visible: what lies there then is for the sweep, if it is not removed."""
    source = await world.put(path_of("source", shares=shares), PLAIN, [BODY])
    reached, never = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await never.wait()

    before_the_row(world, monkeypatch, wait)
    copying = asyncio.create_task(copy(world, source))
    await reached.wait()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    await check_no_copy(world, source)
    assert (await world.gateway.call("GET", source.path)).body == BODY
    await world.delete(source)
    await world.check_nothing_is_left(may_have_orphans=True)
