"""Copies under way when a KMS key that they need is disabled, where `kms.on_key_disabled` is `abort`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.operations import key_watch
from gateway.operations.download import BATCH_BYTES, RangeStream
from gateway.protocol.messages import Buffer
from kms.api.types import CreateKey, DisableKey, RotateKeyOnDemand
from tests.gateway.gateway_in_process import Answer, InProcessGateway, in_process_gateway
from tests.gateway.operations.copy_model import Encryption
from tests.gateway.operations.copy_world import CALLER
from tests.gateway.operations.uploads import begin, stored_files
from tests.properties.encryption import BUCKET_KEY

BODY = bytes(3 * BATCH_BYTES)
SOURCE, TARGET = 1, 2
"""Which KMS key is whose."""


@dataclass
class Copies:
    """A gateway whose copies stop after a batch of their source, until `go_on`."""

    gateway: InProcessGateway
    keys: dict[int, str]
    is_halfway: asyncio.Event
    go_on: asyncio.Event
    files_before: set[Path] = field(default_factory=set)

    async def begin(self, source: str, target: str | None) -> asyncio.Task[Answer]:
        """A copy of a new object, halfway; without a mode of its own it is UploadPartCopy."""
        written = Encryption(source, SOURCE).asked(self.keys)
        assert (await self.gateway.call("PUT", "/bucket/source", headers=written, body=BODY)).status == 200
        self.files_before = stored_files(self.gateway)
        headers, query = {"x-amz-copy-source": "/bucket/source"}, {}
        if target is None:
            upload = await begin(self.gateway, "/bucket/copy", Encryption("aws:kms", TARGET).asked(self.keys))
            query = {"partNumber": "1", "uploadId": upload.upload_id}
        else:
            headers |= Encryption(target, TARGET).asked(self.keys)
        task = asyncio.create_task(self.gateway.call("PUT", "/bucket/copy", query=query, headers=headers))
        await asyncio.wait_for(self.is_halfway.wait(), 60)
        return task


@pytest.fixture
async def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Copies]:
    monkeypatch.setattr(key_watch, "LOOK_SECONDS", 0.01)
    is_halfway, go_on = asyncio.Event(), asyncio.Event()
    read = RangeStream.__anext__

    async def read_once(self: RangeStream) -> Buffer:
        if self._first is None and not is_halfway.is_set():
            is_halfway.set()
            await go_on.wait()
        return await read(self)

    monkeypatch.setattr(RangeStream, "__anext__", read_once)
    async with in_process_gateway(tmp_path, cuts=True) as gateway:
        assert (await gateway.call("PUT", "/bucket")).status == 200
        keys = {number: (await gateway.kms.call(CALLER, CreateKey())).key_arn for number in (SOURCE, TARGET)}
        yield Copies(gateway, keys, is_halfway, go_on)


CASES = [
    pytest.param("aws:kms", "aws:kms:dsse", SOURCE, id="sealed anew, key of the source"),
    pytest.param("aws:kms", "aws:kms:dsse", TARGET, id="sealed anew, key of the copy"),
    pytest.param(BUCKET_KEY, "aws:kms:dsse", SOURCE, id="sealed anew, bucket key of the source"),
    pytest.param("AES256", "aws:kms:dsse", TARGET, id="sealed anew, key of the copy alone"),
    pytest.param("aws:kms", "AES256", SOURCE, id="read for its MD5"),
    pytest.param("aws:kms", None, SOURCE, id="part, key of the source"),
    pytest.param("aws:kms", None, TARGET, id="part, key of the upload"),
]


@pytest.mark.parametrize(("source", "target", "disabled"), CASES)
async def test_copies_are_cut(copies: Copies, source: str, target: str | None, disabled: int) -> None:
    task = await copies.begin(source, target)
    await copies.gateway.kms.call(CALLER, DisableKey(copies.keys[disabled]))
    with pytest.raises(asyncio.CancelledError, match=f"broken off because {copies.keys[disabled]} is Disabled"):
        await asyncio.wait_for(task, 60)
    assert (await copies.gateway.call("HEAD", "/bucket/copy")).status == 404
    assert stored_files(copies.gateway) == copies.files_before, "what it had written is gone"


@pytest.mark.parametrize(("source", "target", "disabled"), CASES)
async def test_copies_go_on_when_something_else_changes(
    copies: Copies, source: str, target: str | None, disabled: int
) -> None:
    task = await copies.begin(source, target)
    other = (await copies.gateway.kms.call(CALLER, CreateKey())).key_arn
    await copies.gateway.kms.call(CALLER, DisableKey(other))
    await copies.gateway.kms.call(CALLER, RotateKeyOnDemand(copies.keys[disabled]))
    await asyncio.sleep(0.1)  # longer than a cut would take
    copies.go_on.set()
    assert (await asyncio.wait_for(task, 60)).status == 200
