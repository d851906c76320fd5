"""10 000 connections that idle and 500 slow uploads do no harm to a client beside them, nor it to them.

What they cost others in time is told by `python -m bench.crowd`.
"""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.crowd import SETTINGS, UPLOAD_BYTES, gather_crowd, leave
from tests.acceptance.observe import resident_kib
from tests.acceptance.raw import PRESIGNING, presign, presign_by
from tests.harness import Gateway

IDLE = 10_000
SLOW = 500
ROUNDS = 100
LIMIT_KIB = 12
"""Of memory for each connection that idles."""

pytestmark = pytest.mark.slow


async def beside(gateway: Gateway) -> None:
    ordinary = gateway.client("s3")
    ordinary.create_bucket(Bucket="crowd")
    ordinary.put_object(Bucket="crowd", Key="seen", Body=b"seen")
    (worker,) = gateway.children("gateway.worker")
    before_kib = resident_kib(worker)
    url = presign(gateway, "head_object", Bucket="crowd", Key="seen")
    idle = await gather_crowd(url, IDLE)
    assert (resident_kib(worker) - before_kib) / IDLE < LIMIT_KIB

    slow = await gather_crowd(url, SLOW)
    s3 = gateway.client("s3", **PRESIGNING)
    urls = [presign_by(s3, "put_object", Bucket="crowd", Key=f"slow/{number:03}") for number in range(SLOW)]
    hurry = asyncio.Event()
    sending = [visitor.upload(url, hurry) for visitor, url in zip(slow, urls, strict=True)]
    uploads = asyncio.gather(*sending)

    def work() -> None:
        for number in range(ROUNDS):
            body = hashlib.sha256(number.to_bytes(4)).digest() * 2048
            ordinary.put_object(Bucket="crowd", Key=f"fast/{number}", Body=body)
            assert ordinary.get_object(Bucket="crowd", Key=f"fast/{number}")["Body"].read() == body

    await asyncio.to_thread(work)
    assert not uploads.done()  # else there was no crowd any more
    hurry.set()
    assert await uploads == [200] * SLOW
    assert {await visitor.ask(url) for visitor in idle} == {200}
    listed = ordinary.get_paginator("list_objects_v2").paginate(Bucket="crowd", Prefix="slow/")
    assert [each["Size"] for page in listed for each in page["Contents"]] == [UPLOAD_BYTES] * SLOW
    await leave([*idle, *slow])


def test_a_crowd_does_no_harm(make_gateway: StartGateway) -> None:
    gateway = make_gateway(root="file", workers=1, environment=SETTINGS).start()
    asyncio.run(beside(gateway))
