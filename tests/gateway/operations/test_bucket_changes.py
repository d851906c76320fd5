"""Changes of one bucket's configuration that meet: none is lost, and none rests on what is no longer so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.operations.bucket.configuration import ACCESS_MEMBERS, ATTEMPTS
from gateway.operations.documents import BucketDocument
from gateway.storage.errors import Conflict
from gateway.storage.index.records import BucketRow
from tests.gateway.gateway_in_process import Answer, InProcessGateway

VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
PAYMENT = b"<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>"
ACCELERATION = b"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"
CORS = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    b"</CORSConfiguration>"
)
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
BLOCK = b"<PublicAccessBlockConfiguration><BlockPublicPolicy>true</BlockPublicPolicy></PublicAccessBlockConfiguration>"
PUBLIC = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::ledger/*"}
        ],
    }
).encode()

Update = Callable[[BucketRow], Awaitable[None]]


async def put(gateway: InProcessGateway, parameter: str, body: bytes) -> Answer:
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return await gateway.call("PUT", "/ledger", query={parameter: ""}, headers={"Content-MD5": md5}, body=body)


async def document_of(gateway: InProcessGateway) -> BucketDocument:
    return gateway.services.rows.open_bucket(await gateway.index.get_bucket("ledger"))


def before_the_write(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[Any]], times: int = 1
) -> None:
    """Have `act` done each time a change is about to be written, `times` times."""
    update: Update = gateway.index.update_bucket
    left = times

    async def after_act(row: BucketRow) -> None:
        nonlocal left
        if left:
            left -= 1
            with monkeypatch.context() as patch:
                patch.setattr(gateway.index, "update_bucket", update)
                await act()
        await update(row)

    monkeypatch.setattr(gateway.index, "update_bucket", after_act)


async def test_changes_at_once_are_all_kept(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "versioning": VERSIONING,
        "requestPayment": PAYMENT,
        "accelerate": ACCELERATION,
        "cors": CORS,
        "tagging": TAGS,
        "publicAccessBlock": BLOCK,
    }
    update, everyone, waiting = gateway.index.update_bucket, asyncio.Barrier(len(asked)), len(asked)

    async def together(row: BucketRow) -> None:
        nonlocal waiting
        if waiting:
            waiting -= 1
            await everyone.wait()
        await update(row)

    monkeypatch.setattr(gateway.index, "update_bucket", together)
    answers = await asyncio.gather(*(put(gateway, *each) for each in asked.items()))
    assert {answer.status for answer in answers} <= {200, 204}
    document = await document_of(gateway)
    assert (document.versioning, document.payer, document.acceleration) == ("Enabled", "Requester", "Enabled")
    assert document.cors is not None and dict(document.tags) == {"a": "b"}
    assert document.public_access_block is not None and not document.public_access_block.block_public_acls


async def test_another_member_may_change_in_between(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    before_the_write(gateway, monkeypatch, lambda: put(gateway, "cors", CORS))
    assert (await put(gateway, "publicAccessBlock", BLOCK)).status == 200
    document = await document_of(gateway)
    assert document.cors is not None and document.public_access_block is not None
    assert not document.public_access_block.block_public_acls


async def test_a_policy_does_not_pass_a_block_that_came_in_between(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.call("DELETE", "/ledger", query={"publicAccessBlock": ""})
    before_the_write(gateway, monkeypatch, lambda: put(gateway, "publicAccessBlock", BLOCK))
    answer = await put(gateway, "policy", PUBLIC)
    assert (answer.status, answer.code) == (409, "OperationAborted")
    assert (await document_of(gateway)).policy is None
    answer = await put(gateway, "policy", PUBLIC)
    assert (answer.status, answer.code) == (403, "AccessDenied")


async def test_a_bucket_made_anew_is_another(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def make_anew() -> None:
        assert (await gateway.call("DELETE", "/ledger")).status == 204
        assert (await gateway.call("PUT", "/ledger")).status == 200

    before_the_write(gateway, monkeypatch, make_anew)
    answer = await put(gateway, "cors", CORS)
    assert (answer.status, answer.code) == (409, "OperationAborted")
    assert (await document_of(gateway)).cors is None


async def test_a_bucket_that_went_is_no_more(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    before_the_write(gateway, monkeypatch, lambda: gateway.call("DELETE", "/ledger"))
    answer = await put(gateway, "cors", CORS)
    assert (answer.status, answer.code) == (404, "NoSuchBucket")


async def test_nobody_tries_for_ever(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def always(row: BucketRow) -> None:
        nonlocal tries
        tries += 1
        raise Conflict

    monkeypatch.setattr(gateway.index, "update_bucket", always)
    answer = await put(gateway, "cors", CORS)
    assert (answer.status, answer.code, tries) == (409, "OperationAborted", ATTEMPTS)


def test_every_member_of_access_is_one() -> None:
    assert set(BucketDocument.__struct_fields__) >= ACCESS_MEMBERS
