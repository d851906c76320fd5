"""What each request asks of the KMS, in every mode: counted, and held against the table in docs/formats/object.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import pytest

from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.operations.rows import SERVED
from gateway.operations.table import Target
from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.service import KeyService
from kms.api.types import CreateAlias, DeleteAlias, Health, RecordCall, Request
from tests.clients.checks import content_md5
from tests.gateway.gateway_in_process import Answer
from tests.gateway.operations.copy_model import BY_KMS, SHARED, Encryption
from tests.gateway.operations.copy_world import CALLER, World, bucket_path, made_world
from tests.gateway.operations.uploads import begin
from tests.properties.encryption import BUCKET_KEY, MODES

R = TypeVar("R")

DOCUMENT: Final = Path(__file__).parents[3] / "docs/formats/object.md"
HEADING: Final = "## Calls of the KMS"
NOTHING: Final = "–"
READS = 10_000
READ_OBJECTS = 100
MOST_CALLS = 10


@dataclass
class CountedKMS:
    """In front of the KMS: what it was asked, in order, and how many uses of bucket keys the audit trail was told."""

    service: KeyService
    calls: list[str] = field(default_factory=list)
    told: int = 0

    async def call(self, caller: Caller, request: Request[R], decisions: list[Decided] | None = None) -> R:
        if isinstance(request, RecordCall):
            self.told += len(request.uses)
        else:
            self.calls.append(request.operation_name())
        return await self.service.call(caller, request, decisions)

    async def health(self) -> Health:
        return await self.service.health()


@dataclass
class Counted:
    """A world with two KMS keys, and what the KMS was asked in it. `number` makes names of aliases."""

    world: World
    kms: CountedKMS
    number: int = 0

    async def close_bucket_keys(self) -> None:
        """Something changes in the KMS."""
        self.number += 1
        name = f"alias/change-{self.number}"
        await self.kms.service.call(CALLER, CreateAlias(name, self.world.keys[1]))
        await self.kms.service.call(CALLER, DeleteAlias(name))

    @contextmanager
    def asks(self, *cells: str) -> Iterator[None]:
        """That the block asks what the cells say, in this order."""
        self.kms.calls.clear()
        yield
        assert self.kms.calls == [call for call in cells if call != NOTHING]

    async def call(
        self,
        method: str,
        path: str,
        status: int = 200,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        checked = {"Content-MD5": content_md5(body), **(headers or {})}
        answer = await self.world.gateway.call(method, path, query=query, headers=checked, body=body)
        assert answer.status == status, (method, path, answer.body)
        return answer


@pytest.fixture
async def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)
    kms: list[CountedKMS] = []

    def around(service: KeyService) -> KeyService:
        kms.append(CountedKMS(service))
        return kms[0]

    async with made_world(tmp_path, around) as world:
        yield Counted(world, kms[0])


def table() -> dict[str, list[str]]:
    """Cells by request."""
    _, _, text = DOCUMENT.read_text().partition(HEADING)
    rows = [line.strip("| \n").split(" | ") for line in text.partition("\n## ")[0].splitlines() if line[:1] == "|"]
    return {name: cells for name, *cells in rows[2:]}


@dataclass(frozen=True, slots=True)
class Cell:
    """What an operation asks: by a bucket key that is closed for the first time, for the second, and that is open; by
    others the same thrice."""

    mode: str
    calls: tuple[str, str, str]


def cell(mode: str, operation: str, role: str = "", *, is_made: bool = False) -> Cell:
    """`role` is what follows the colon; `is_made`: there is a bucket key already, to be written with."""
    for name, (local, by_kms, closed, opened) in table().items():
        operations, _, of = name.partition(": ")
        if operation in operations.split(", ") and of == role:
            if mode != BUCKET_KEY:
                calls = by_kms if mode in BY_KMS else local
                return Cell(mode, (calls, calls, calls))
            first, _, later = closed.partition(" or ")
            return Cell(mode, (later if is_made else first, later or first, opened))
    raise AssertionError(f"{operation} {role} is not in {DOCUMENT.name}")


async def thrice(counted: Counted, request: Callable[[int], Awaitable[object]], *cells: Cell) -> None:
    """The request, twice with bucket keys that a change in the KMS has closed, and once with those that are open.

    Each use of a bucket key is told, open or not.
    """
    for time in range(3):
        if time < 2:
            await counted.close_bucket_keys()
        told = counted.kms.told
        with counted.asks(*(each.calls[time] for each in cells)):
            await request(time)
        assert counted.kms.told - told == sum(each.mode == BUCKET_KEY for each in cells)


PLAIN = bucket_path("source", is_versioned=False, shares=True)
OTHER = bucket_path("another bucket", is_versioned=False, shares=True)
ANEW = bucket_path("another bucket", is_versioned=False, shares=False)


def test_the_table_has_every_operation_that_needs_a_key() -> None:
    """The others are tried below, so that none is left out."""
    named = {each for name in table() for each in name.partition(": ")[0].split(", ")}
    objects = {row.name for row in SERVED if row.target is Target.OBJECT and row.handler is not None}
    assert named - {"all others", "PostObject"} == objects - KEYLESS - REFUSED
    assert table()[next(name for name in table() if name.startswith("all others"))] == [NOTHING] * 4


KEYLESS = {
    "HeadObject",
    "GetObjectAttributes",
    "DeleteObject",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "GetObjectAcl",
    "PutObjectAcl",
    "AbortMultipartUpload",
    "ListParts",
}
REFUSED = {"RestoreObject", "SelectObjectContent", "GetObjectRetention", "GetObjectLegalHold"}
"""Nothing here can be restored, selected from or locked."""


@pytest.mark.parametrize("mode", MODES)
async def test_writes(counted: Counted, mode: str) -> None:
    by = Encryption(mode)
    asked = by.asked(counted.world.keys)

    async def put(time: int) -> None:
        await counted.call("PUT", f"{PLAIN}/put", headers=asked, body=b"body")

    async def create(time: int) -> None:
        await counted.call("POST", f"{PLAIN}/created", query={"uploads": ""}, headers=asked)

    await thrice(counted, put, cell(mode, "PutObject"))
    await thrice(counted, create, cell(mode, "CreateMultipartUpload", is_made=True))


@pytest.mark.parametrize("mode", MODES)
async def test_forms(counted: Counted, mode: str) -> None:
    fields = {"key": "k", **Encryption(mode).asked(counted.world.keys)}

    async def post(time: int) -> None:
        answer = await counted.world.gateway.post_form(PLAIN, fields, b"body")
        assert answer.status == 204, answer.body

    await thrice(counted, post, cell(mode, "PostObject"))


@pytest.mark.parametrize("mode", MODES)
async def test_reads(counted: Counted, mode: str) -> None:
    by = Encryption(mode)
    await counted.world.put(f"{PLAIN}/k", by, [b"one", b"two"])

    async def get(time: int) -> None:
        await counted.call("GET", f"{PLAIN}/k", headers=by.brought)

    async def get_range(time: int) -> None:
        await counted.call("GET", f"{PLAIN}/k", 206, headers={**by.brought, "Range": "bytes=2-4"})

    async def get_part(time: int) -> None:
        await counted.call("GET", f"{PLAIN}/k", 206, headers=by.brought, query={"partNumber": "2"})

    for request in (get, get_range, get_part):
        await thrice(counted, request, cell(mode, "GetObject"))


@pytest.mark.parametrize("mode", MODES)
async def test_parts(counted: Counted, mode: str) -> None:
    by = Encryption(mode)
    uploads = [
        await begin(counted.world.gateway, f"{PLAIN}/parts-{time}", by.asked(counted.world.keys)) for time in range(3)
    ]

    async def put_part(time: int) -> None:
        assert (await uploads[time].put(1, b"part", by.brought)).status == 200

    async def complete(time: int) -> None:
        assert (await uploads[time].complete(by.brought)).status == 200

    await thrice(counted, put_part, cell(mode, "UploadPart"))
    await thrice(counted, complete, cell(mode, "CompleteMultipartUpload"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source_mode", MODES)
async def test_copies(counted: Counted, source_mode: str, mode: str) -> None:
    source, target = Encryption(source_mode), Encryption(mode, 2)
    keys = counted.world.keys
    await counted.world.put(f"{PLAIN}/source", source, [b"body"])
    headers = {"x-amz-copy-source": f"{PLAIN}/source", **source.brought_for_source}
    of_source = cell(source_mode, "CopyObject", "for the source")
    upload = await begin(counted.world.gateway, f"{OTHER}/parts", target.asked(keys))

    async def to(path: str) -> None:
        await counted.call("PUT", path, headers={**headers, **target.asked(keys)})

    async def copy_part(time: int) -> None:
        assert (await upload.copy_by(1, {**headers, **target.brought})).status == 200

    shares = {source_mode, mode} <= set(SHARED)
    role = "for a copy that shares ciphertext" if shares else "for a copy that is sealed anew"
    made = cell(mode, "CopyObject", role, is_made=True)  # by the upload
    await thrice(counted, lambda time: to(f"{OTHER}/copy-{time}"), of_source, made)
    made = cell(mode, "CopyObject", "for a copy that is sealed anew")
    await thrice(counted, lambda time: to(f"{ANEW}/copy-{time}"), of_source, made)
    of_part = cell(mode, "UploadPartCopy", "for the upload")
    await thrice(counted, copy_part, cell(source_mode, "UploadPartCopy", "for the source"), of_part)


@pytest.mark.parametrize("mode", MODES)
async def test_renames(counted: Counted, mode: str) -> None:
    await counted.world.put(f"{PLAIN}/0", Encryption(mode), [b"body"])

    async def rename(time: int) -> None:
        headers = {"x-amz-rename-source": f"{PLAIN}/{time}"}
        await counted.call("PUT", f"{PLAIN}/{time + 1}", query={"renameObject": ""}, headers=headers)

    opened = cell(mode, "RenameObject", "to open the object")
    await thrice(counted, rename, opened, cell(mode, "RenameObject", "to close it again", is_made=True))


@pytest.mark.parametrize("mode", ["aws:kms", BUCKET_KEY])
@pytest.mark.parametrize("source_mode", SHARED)
async def test_updates_of_encryption(counted: Counted, source_mode: str, mode: str) -> None:
    for time in range(3):
        await counted.world.put(f"{PLAIN}/{time}", Encryption(source_mode), [b"body"])
    has_bucket_key = f"<BucketKeyEnabled>{'true' if mode == BUCKET_KEY else 'false'}</BucketKeyEnabled>"
    document = (
        '<ObjectEncryption xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><SSE-KMS>'
        f"<KMSKeyArn>{counted.world.keys[2]}</KMSKeyArn>{has_bucket_key}</SSE-KMS></ObjectEncryption>"
    ).encode()

    async def update(time: int) -> None:
        await counted.call("PUT", f"{PLAIN}/{time}", query={"encryption": ""}, body=document)

    opened = cell(source_mode, "UpdateObjectEncryption", "to open the object")
    await thrice(counted, update, opened, cell(mode, "UpdateObjectEncryption", "to close it again"))


@pytest.mark.parametrize("mode", MODES)
async def test_all_others_and_what_is_refused_ask_nothing(counted: Counted, mode: str) -> None:
    by = Encryption(mode)
    asked, brought = by.asked(counted.world.keys), by.brought
    written = await counted.world.put(f"{PLAIN}/k", by, [b"one", b"two"])
    upload = await begin(counted.world.gateway, f"{PLAIN}/u", asked)
    await upload.put(1, b"part", brought)
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    await counted.close_bucket_keys()
    told = counted.kms.told
    with counted.asks(NOTHING):
        await counted.call("HEAD", f"{PLAIN}/k", headers=brought)
        attributes = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,ObjectSize", **brought}
        await counted.call("GET", f"{PLAIN}/k", query={"attributes": ""}, headers=attributes)
        for query in ({"list-type": "2"}, {"versions": ""}, {"uploads": ""}, {"encryption": ""}, {}):
            await counted.call("GET", PLAIN, query=query)
        await counted.call("GET", f"{PLAIN}/u", query={"uploadId": upload.upload_id}, headers=brought)
        await counted.call("PUT", f"{PLAIN}/k", query={"tagging": ""}, body=tags)
        await counted.call("GET", f"{PLAIN}/k", query={"tagging": ""})
        await counted.call("DELETE", f"{PLAIN}/k", 204, query={"tagging": ""})
        await counted.call("GET", f"{PLAIN}/k", query={"acl": ""})
        await counted.call("PUT", f"{PLAIN}/k", query={"acl": ""}, headers={"x-amz-acl": "private"})
        await counted.call(
            "PUT", OTHER, query={"encryption": ""}, body=Encryption("aws:kms").configuration(counted.world.keys)
        )
        assert (await upload.abort()).status == 204

        await counted.call("GET", f"{PLAIN}/k", 304, headers={"If-None-Match": written.etag, **brought})
        await counted.call("GET", f"{PLAIN}/k", 412, headers={"If-Match": '"other"', **brought})
        await counted.call("GET", f"{PLAIN}/k", 416, headers={"Range": "bytes=100-", **brought})
        await counted.call("GET", f"{PLAIN}/none", 404, headers=brought)
        await counted.call("PUT", f"{PLAIN}/k", 412, headers={"If-None-Match": "*", **asked}, body=b"new")
        copied = {"x-amz-copy-source": f"{PLAIN}/k", "x-amz-copy-source-if-match": '"other"', **by.brought_for_source}
        await counted.call("PUT", f"{PLAIN}/copy", 412, headers={**copied, **asked})
        await counted.call("DELETE", f"{PLAIN}/k", 204)
    assert counted.kms.told == told


async def test_ten_thousand_reads_by_bucket_keys_take_few_calls(counted: Counted) -> None:
    by = Encryption(BUCKET_KEY)
    counted.kms.calls.clear()
    for number in range(READ_OBJECTS):
        await counted.call("PUT", f"{PLAIN}/{number}", headers=by.asked(counted.world.keys), body=b"body")
    for number in range(READS):
        await counted.call("GET", f"{PLAIN}/{number % READ_OBJECTS}")
    assert len(counted.kms.calls) <= MOST_CALLS, counted.kms.calls
    assert counted.kms.told == READ_OBJECTS + READS, "the audit trail knows each of them"
