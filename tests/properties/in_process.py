"""A gateway in this process that is asked from outside of its event loop, as Hypothesis's own machinery does it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from tests.gateway.gateway_in_process import Answer, InProcessGateway, in_process_gateway
from tests.gateway.underneath import check_nothing_is_left, let_copies_share
from tests.properties.encryption import asked, brought

T = TypeVar("T")
ASK_SECONDS = 60.0


class Store:
    """The gateway's S3, one call at a time."""

    def __init__(self, gateway: InProcessGateway, loop: asyncio.AbstractEventLoop) -> None:
        self._gateway = gateway
        self._loop = loop
        self._numbers = itertools.count()

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """`path` is unencoded. What the gateway raises is raised here: nothing is turned into a 500."""
        return self._run(self._gateway.call(method, path, query=query, **options))

    def let_copies_share(self, bucket: str, shares: bool) -> None:
        self._run(let_copies_share(self._gateway, bucket, shares))

    def check_nothing_is_left(self) -> None:
        """Once all objects are deleted."""
        self._run(check_nothing_is_left(self._gateway))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ASK_SECONDS)

    def new_bucket(self) -> str:
        """It takes customers' keys."""
        name = f"bucket-{next(self._numbers)}"
        assert self.ask("PUT", f"/{name}").status == 200
        blocked = "<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"
        rule = f"<ServerSideEncryptionConfiguration><Rule>{blocked}</Rule></ServerSideEncryptionConfiguration>"
        assert self.ask("PUT", f"/{name}", {"encryption": ""}, body=rule.encode()).status == 200
        return name

    def new_kms_key(self) -> str:
        """The ARN of a KMS key of the account's own."""
        headers = {"x-amz-target": "TrentService.CreateKey", "content-type": "application/x-amz-json-1.1"}
        answer = self.ask("POST", "/", headers=headers, body=b"{}", service="kms")
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["KeyMetadata"]["Arn"])


@contextmanager
def running_store(directory: Path, **options: Any) -> Iterator[Store]:
    """A fresh gateway with these options of `in_process_gateway`, on an event loop in a thread of its own."""
    started = threading.Event()
    made: list[Store | BaseException] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append((loop, ended))
        try:
            async with in_process_gateway(directory, **options) as gateway:
                made.append(Store(gateway, loop))
                started.set()
                await ended.wait()
        except BaseException as error:
            made.append(error)
            started.set()
            raise

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="gateway")
    thread.start()
    started.wait()
    try:
        store = made[0]
        if isinstance(store, BaseException):
            raise store
        yield store
    finally:
        loop, ended = stop[0]
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)
        thread.join()


def root(answer: Answer) -> Element:
    """The document. What S3 echoes unencoded may hold references that XML 1.0 does not have: they become U+FFFD."""
    return ElementTree.fromstring(re.sub(rb"&#x(1?[0-8bcef]|7f|fffe|ffff);", "\ufffd".encode(), answer.body))


def children(element: Element, *names: str) -> list[Element]:
    """Those of one of these names, in order."""
    return [each for each in element if each.tag.rpartition("}")[2] in names]


def child(element: Element, name: str) -> str | None:
    """The text of the first child of that name; None if there is none."""
    found = children(element, name)
    return found[0].text or "" if found else None


def upload_id_of(answer: Answer) -> str:
    """Of an upload that was begun, under whatever key."""
    assert answer.status == 200, answer.body
    return child(root(answer), "UploadId") or ""


def upload_in_parts(store: Store, path: str, encryption: str, bodies: Sequence[bytes]) -> None:
    """One multipart upload from its begin to its end; parts may be as small as `parts_of_any_size` lets them."""
    upload_id = upload_id_of(store.ask("POST", path, {"uploads": ""}, headers=asked(encryption)))
    named = ""
    for number, part in enumerate(bodies, start=1):
        named_part = {"uploadId": upload_id, "partNumber": str(number)}
        answer = store.ask("PUT", path, named_part, body=part, headers=brought(encryption))
        assert answer.status == 200, answer.body
        named += f"<Part><PartNumber>{number}</PartNumber><ETag>{answer.headers['ETag']}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    answer = store.ask("POST", path, {"uploadId": upload_id}, body=document)
    assert answer.status == 200, answer.body


@contextmanager
def parts_of_any_size() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.operations.multipart.parts.MIN_PART_BYTES", 0)
        yield


def decoded(text: str | None) -> str:
    """A name from a listing with `encoding-type=url`."""
    return unquote(text or "", errors="strict")
