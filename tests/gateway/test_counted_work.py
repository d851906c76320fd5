"""How much is done for one request, counted: Python-level calls on the event loop's thread, from dispatch to answer.

Time cannot be tested on a machine that others use; calls can, to the last one. Each path that is hot has its figure
here, and a change that makes it do more says so by changing the figure. What it costs in CPU time is told by
`make bench`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.gateway.gateway_in_process import InProcessGateway, collect, in_process_gateway

TOLERANCE = 0.03
SLACK = 0.10
"""So much below its figure a path has become lighter, and the figure is to follow: else it would hide what comes."""

ROUNDS = 5
KEYS = 300
BODY = bytes(range(256)) * 16
KMS = {"x-amz-server-side-encryption": "aws:kms"}
BUCKET_KEY = {**KMS, "x-amz-server-side-encryption-bucket-key-enabled": "true"}

_INLINED = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})  # calls up to Python 3.11, none since


@dataclass(frozen=True, slots=True)
class HotPath:
    name: str
    calls: int
    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)


LIST = {"query": {"list-type": "2", "max-keys": "1000"}}
FOLDERS = {"query": {"list-type": "2", "delimiter": "0"}}

PATHS = (
    HotPath("HEAD", 158, "HEAD", "/bucket/bucket-key"),
    HotPath("GET, SSE-S3", 213, "GET", "/bucket/s3"),
    HotPath("GET, SSE-KMS", 337, "GET", "/bucket/kms"),
    HotPath("GET, bucket key", 244, "GET", "/bucket/bucket-key"),
    HotPath("PUT, SSE-S3", 393, "PUT", "/bucket/new", {"body": BODY}),
    HotPath("PUT, SSE-KMS", 523, "PUT", "/bucket/new", {"body": BODY, "headers": KMS}),
    HotPath("PUT, bucket key", 434, "PUT", "/bucket/new", {"body": BODY, "headers": BUCKET_KEY}),
    HotPath("DELETE", 211, "DELETE", "/bucket/new"),
    HotPath("LIST of 300 keys", 544, "GET", "/listed", LIST),
    HotPath("LIST of folders", 259, "GET", "/listed", FOLDERS),
)


class Calls:
    """Calls of Python functions in this thread while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Calls:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name not in _INLINED:
            self.count += 1


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[InProcessGateway]:
    async with in_process_gateway(tmp_path) as started:
        await started.call("PUT", "/bucket")
        await started.call("PUT", "/listed")
        for key, headers in (("s3", {}), ("kms", KMS), ("bucket-key", BUCKET_KEY)):
            await started.call("PUT", f"/bucket/{key}", headers=headers, body=BODY)
        for number in range(KEYS):
            await started.call("PUT", f"/listed/{number:04}")
        yield started


async def calls_of(gateway: InProcessGateway, path: HotPath) -> int:
    """The least of some rounds, after one that fills the caches: into others may fall what the gateway does beside."""
    counts = []
    for number in range(ROUNDS + 1):
        request = gateway.request(path.method, path.path, **path.options)
        with Calls() as calls:
            answer = await collect(await gateway.dispatcher.handle(request))
        assert answer.status in {200, 204}
        if number:
            counts.append(calls.count)
    return min(counts)


@pytest.mark.usefixtures("unrecorded")
async def test_no_hot_path_does_more_than_it_did(gateway: InProcessGateway) -> None:
    found = {path.name: (await calls_of(gateway, path), path.calls) for path in PATHS}
    heavier = {name: told for name, told in found.items() if told[0] > told[1] * (1 + TOLERANCE)}
    assert not heavier, f"more calls than there were (now, before): {heavier}"
    lighter = {name: told for name, told in found.items() if told[0] < told[1] * (1 - SLACK)}
    assert not lighter, f"fewer calls than there were, which the figures are to say (now, before): {lighter}"
