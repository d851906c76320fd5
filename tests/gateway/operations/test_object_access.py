"""An object that a policy decides about by its tags is the one that is read or changed then."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from gateway.storage.errors import NoSuchKey
from gateway.storage.index.records import BucketRow, ObjectRow
from tests.clients.checks import content_md5
from tests.gateway.gateway_in_process import InProcessGateway

DENY_SECRET = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObjectTagging"],
            "Resource": "arn:aws:s3:::ledger/*",
            "Condition": {"StringEquals": {"s3:ExistingObjectTag/class": "secret"}},
        }
    ],
}
TAGGING = b"<Tagging><TagSet><Tag><Key>class</Key><Value>public</Value></Tag></TagSet></Tagging>"


async def put_policy(gateway: InProcessGateway) -> None:
    body = json.dumps(DENY_SECRET).encode()
    answer = await gateway.call("PUT", "/ledger", query={"policy": ""}, headers=digest(body), body=body)
    assert answer.status == 204, answer.body


def digest(body: bytes) -> dict[str, str]:
    return {"content-md5": content_md5(body)}


async def put(gateway: InProcessGateway, body: bytes, tags: str) -> None:
    assert (await gateway.call("PUT", "/ledger/k", headers={"x-amz-tagging": tags}, body=body)).status == 200


def watch(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch, between: Callable[[], Awaitable[None]]
) -> list[Any]:
    """What each look of the index at a version gave, None for nothing; after the first comes `between`."""
    looks: list[Any] = []
    get_object, get_both = gateway.index.get_object, gateway.index.get_bucket_and_object

    async def seen(row: ObjectRow | None) -> None:
        looks.append(row)
        if len(looks) == 1:
            await between()

    async def look(*arguments: Any) -> ObjectRow:
        try:
            row = await get_object(*arguments)
        except NoSuchKey:
            await seen(None)
            raise
        await seen(row)
        return row

    async def look_with_bucket(*arguments: Any, **options: Any) -> tuple[BucketRow, ObjectRow | None, bytes | None]:
        bucket, row, body = await get_both(*arguments, **options)
        await seen(row)
        return bucket, row, body

    monkeypatch.setattr(gateway.index, "get_object", look)
    monkeypatch.setattr(gateway.index, "get_bucket_and_object", look_with_bucket)
    return looks


async def overtaken(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A public object, and after the first look at it a secret one in its place. The list grows with each look."""
    await put(gateway, b"public", "class=public")
    await put_policy(gateway)
    return watch(gateway, monkeypatch, partial(put, gateway, b"secret", "class=secret"))


async def test_what_is_read_is_what_was_decided_about(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = await overtaken(gateway, monkeypatch)
    answer = await gateway.call("GET", "/ledger/k")
    assert (answer.status, answer.body, answer.headers["x-amz-tagging-count"]) == (200, b"public", "1")
    assert len(looks) == 1
    assert (await gateway.call("GET", "/ledger/k")).status == 403


async def test_what_is_copied_is_what_was_decided_about(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = await overtaken(gateway, monkeypatch)
    source = {"x-amz-copy-source": "ledger/k"}
    # What was decided about lost its row meanwhile, and no copy can share its blobs: the copy begins again.
    assert (await gateway.call("PUT", "/ledger/copy", headers=source)).status == 403
    assert [row.row_uid for row in looks] != [looks[0].row_uid] * len(looks)
    assert (await gateway.call("HEAD", "/ledger/copy")).status == 404


async def test_what_is_changed_is_what_was_decided_about(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = await overtaken(gateway, monkeypatch)
    answer = await gateway.call("PUT", "/ledger/k", query={"tagging": ""}, headers=digest(TAGGING), body=TAGGING)
    assert (answer.status, answer.code) == (409, "OperationAborted")
    assert len(looks) == 1
    assert (await gateway.call("GET", "/ledger/k")).status == 403, "its tags are as they were"


@pytest.mark.parametrize("change", [False, True], ids=["read", "changed"])
async def test_what_was_missing_stays_so_for_the_request(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch, change: bool
) -> None:
    await put_policy(gateway)
    looks = watch(gateway, monkeypatch, partial(put, gateway, b"secret", "class=secret"))
    if change:
        query, headers = {"tagging": ""}, digest(TAGGING)
        answer = await gateway.call("PUT", "/ledger/k", query=query, headers=headers, body=TAGGING)
    else:
        answer = await gateway.call("GET", "/ledger/k")
    assert (answer.status, answer.code) == (404, "NoSuchKey")
    assert looks == [None]
    assert (await gateway.call("HEAD", "/ledger/k")).status == 403, "it is there, and secret"


async def test_without_such_a_policy_the_index_is_asked_once(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = await overtaken(gateway, monkeypatch)
    assert (await gateway.call("DELETE", "/ledger", query={"policy": ""})).status == 204
    assert (await gateway.call("HEAD", "/ledger/k")).status == 200
    assert len(looks) == 1


async def test_owner_and_tags_are_those_of_one_look(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"
    query = {"ownershipControls": ""}
    assert (await gateway.call("PUT", "/ledger", query=query, headers=digest(rules), body=rules)).status == 200
    looks = await overtaken(gateway, monkeypatch)
    answer = await gateway.call("GET", "/ledger/k")
    assert (answer.status, answer.body, len(looks)) == (200, b"public", 1)
