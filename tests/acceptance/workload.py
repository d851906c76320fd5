"""Clients that write without pause, and remember of every key what it must hold, or may hold, afterwards."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.harness import Gateway, wait_until

PART_BYTES = 5 << 20
INLINE_BYTES = 3_000
FILE_BYTES = 300_000
KEYS_OF_A_CLIENT = 6

Content = str | None
"""SHA-256 of an object's body; None: there is no object."""


@dataclass
class State:
    """What a key holds as far as its only writer knows.

    A write without an answer may have happened or not: `possible` then has both, until the next answer.
    """

    possible: set[Content] = field(default_factory=lambda: {None})


class Client:
    """One client with keys of its own, so that it knows the order of its writes. Nothing is retried."""

    def __init__(self, gateway: Gateway, bucket: str, name: str, seed: int, kms_key: str) -> None:
        self._gateway = gateway
        self._bucket = bucket
        self._random = random.Random(f"{seed} {name}")
        self._sse_kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
        self._seen_endpoint = ""
        self._s3: Any = None
        self.states = {f"{name}/{number}": State() for number in range(KEYS_OF_A_CLIENT)}
        self.acknowledged = 0
        self.unanswered = 0

    def write(self) -> None:
        """One write, of a random kind, to a random key."""
        key = self._random.choice(list(self.states))
        kind = self._random.choices((self._put_inline, self._put_file, self._upload, self._delete), (5, 4, 2, 3))[0]
        content, request = kind(key)
        state = self.states[key]
        before = set(state.possible)
        state.possible.add(content)
        try:
            request()
        except ClientError as error:
            # An answer: it was refused, so nothing has changed.
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
            state.possible = before
        except BotoCoreError:
            self.unanswered += 1
        else:
            state.possible = {content}
            self.acknowledged += 1

    def s3(self) -> Any:
        """A gateway that was started again listens elsewhere."""
        if self._seen_endpoint != self._gateway.endpoint_url:
            self._seen_endpoint = self._gateway.endpoint_url
            self._s3 = self._gateway.client("s3")
        return self._s3

    def _body(self, size: int) -> tuple[bytes, Content]:
        body = self._random.randbytes(size)
        return body, hashlib.sha256(body).hexdigest()

    def _put(self, key: str, size: int) -> tuple[Content, Callable[[], object]]:
        body, content = self._body(size)
        return content, lambda: self.s3().put_object(Bucket=self._bucket, Key=key, Body=body, **self._sse_kms)

    def _put_inline(self, key: str) -> tuple[Content, Callable[[], object]]:
        return self._put(key, INLINE_BYTES)

    def _put_file(self, key: str) -> tuple[Content, Callable[[], object]]:
        return self._put(key, FILE_BYTES)

    def _delete(self, key: str) -> tuple[Content, Callable[[], object]]:
        return None, lambda: self.s3().delete_object(Bucket=self._bucket, Key=key)

    def _upload(self, key: str) -> tuple[Content, Callable[[], object]]:
        body, content = self._body(PART_BYTES + 1000)

        def request() -> None:
            s3, upload = self.s3(), {"Bucket": self._bucket, "Key": key}
            upload["UploadId"] = s3.create_multipart_upload(**upload, **self._sse_kms)["UploadId"]
            done = []
            for number, part in enumerate((body[:PART_BYTES], body[PART_BYTES:]), 1):
                answer = s3.upload_part(**upload, PartNumber=number, Body=part)
                done.append({"PartNumber": number, "ETag": answer["ETag"]})
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})

        return content, request


class Workload:
    """Several clients that write while `running`; between runs what they know can be held against the gateway."""

    def __init__(self, gateway: Gateway, bucket: str, kms_key: str, *, clients: int, seed: int) -> None:
        self._gateway = gateway
        self._bucket = bucket
        self.clients = [Client(gateway, bucket, f"client-{number}", seed, kms_key) for number in range(clients)]

    @property
    def acknowledged(self) -> int:
        return sum(client.acknowledged for client in self.clients)

    @property
    def unanswered(self) -> int:
        return sum(client.unanswered for client in self.clients)

    @contextmanager
    def running(self) -> Iterator[None]:
        """All clients write until the block ends. What a client found wrong is raised then."""
        stopping = threading.Event()

        def work(client: Client) -> None:
            while not stopping.is_set():
                client.write()

        with ThreadPoolExecutor(len(self.clients)) as threads:
            working: list[Future[None]] = [threads.submit(work, client) for client in self.clients]
            try:
                yield
            finally:
                stopping.set()
            for each in working:
                each.result(120)

    def wait_for_acknowledged(self, more: int) -> None:
        target = self.acknowledged + more
        wait_until(lambda: self.acknowledged >= target, f"{more} more writes were acknowledged")

    def check(self) -> None:
        """Every object is whole, and one that its writer expects; the listing has them and no other."""
        s3 = self._gateway.client("s3")
        listed = {each["Key"]: each["Size"] for each in s3.list_objects_v2(Bucket=self._bucket).get("Contents", [])}
        for client in self.clients:
            for key, state in client.states.items():
                content: Content = None
                if key in listed:
                    body = s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                    assert len(body) == listed.pop(key)
                    content = hashlib.sha256(body).hexdigest()
                assert content in state.possible, key
                state.possible = {content}  # now it is known
        assert not listed
