"""How often one request asks the database, counted: each is a round trip, and a statement that the server works at.

Beside `test_counted_work`, which counts what the gateway does itself. A change that asks more often says so by changing
the figure here, which is also in docs/performance.md. Statements were prepared by requests before those that count.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from database.connection import Connection
from tests.gateway.gateway_in_process import InProcessGateway, collect, in_process_gateway
from tests.gateway.storage.index.test_postgresql import open_empty_index
from tests.postgresql import MISSING, find_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
BODY = bytes(range(256)) * 16
LARGE = BODY * 16
"""More than lies in the index."""

KMS = {"x-amz-server-side-encryption": "aws:kms"}
BUCKET_KEY = {**KMS, "x-amz-server-side-encryption-bucket-key-enabled": "true"}
KEYS = 40


_TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
_DELETE = b"<Delete><Quiet>true</Quiet>%s</Delete>"


def _document(parameter: str, body: bytes) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()  # the header's own
    return {"query": {parameter: ""}, "body": body, "headers": {"content-md5": digest}}


def _deletion_of(count: int) -> bytes:
    return _DELETE % b"".join(b"<Object><Key>listed/%02d</Key></Object>" % number for number in range(count))


@dataclass(frozen=True, slots=True)
class Request:
    """`{}` in the path stands for the number of the round."""

    name: str
    status: int
    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)


REQUESTS = (
    Request("HEAD", 200, "HEAD", "/bucket/large"),
    Request("GET", 200, "GET", "/bucket/large"),
    Request("GET of what is not there", 404, "GET", "/bucket/absent"),
    Request("GET of a body in the index", 200, "GET", "/bucket/small"),
    Request("LIST of 40 keys", 200, "GET", "/bucket", {"query": {"list-type": "2", "prefix": "listed/"}}),
    Request("LIST of folders", 200, "GET", "/bucket", {"query": {"list-type": "2", "delimiter": "/"}}),
    Request("PUT", 200, "PUT", "/bucket/new-{}", {"body": LARGE}),
    Request("PUT over another", 200, "PUT", "/bucket/new-0", {"body": LARGE}),
    Request("PUT under a bucket key", 200, "PUT", "/bucket/key-{}", {"body": LARGE, "headers": BUCKET_KEY}),
    Request("PUT of a body into the index", 200, "PUT", "/bucket/small-{}", {"body": BODY}),
    Request("PUT that a condition refuses", 412, "PUT", "/bucket/large", {"headers": {"if-none-match": "*"}}),
    Request("PutObjectTagging", 200, "PUT", "/bucket/large", _document("tagging", _TAGGING)),
    Request("DELETE", 204, "DELETE", "/bucket/new-{}"),
    Request("DELETE of what is not there", 204, "DELETE", "/bucket/absent"),
    Request("DeleteObjects of 10 that are not there", 200, "POST", "/bucket", _document("delete", _deletion_of(10))),
)  # fmt: skip


class RoundTrips:
    """What connections were asked while it counts, transactions' begins and ends included."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        for name in ("execute", "executemany", "fetch", "fetchrow"):
            monkeypatch.setattr(Connection, name, self._counted(getattr(Connection, name)))

    def _counted(self, ask: Any) -> Any:
        async def counted(connection: Connection, sql: str, *arguments: Any, **options: Any) -> Any:
            self.asked.append(sql)
            return await ask(connection, sql, *arguments, **options)

        return counted


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[InProcessGateway]:
    async with in_process_gateway(tmp_path, open_index=open_empty_index) as started:
        await started.call("PUT", "/bucket")
        await started.call("PUT", "/bucket/small", body=BODY)
        await started.call("PUT", "/bucket/large", body=LARGE)
        for number in range(KEYS):
            await started.call("PUT", f"/bucket/listed/{number:02}")
        yield started


def _told() -> dict[str, int]:
    """The table of the document."""
    rows = re.findall(r"^\| ([^|]+?) \| (\d+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {name: int(count) for name, count in rows}


@pytest.mark.usefixtures("unrecorded")
async def test_no_request_asks_the_database_more_often_than_is_told(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_trips = RoundTrips(monkeypatch)
    found: dict[str, int] = {}
    for each in REQUESTS:
        for number in range(2):  # the first fills caches, and DeleteObjects deletes
            request = gateway.request(each.method, each.path.format(number), **each.options)
            round_trips.asked.clear()
            answer = await collect(await gateway.dispatcher.handle(request))
            assert answer.status == each.status, each.name
            found[each.name] = len(round_trips.asked)
    assert found == _told()
