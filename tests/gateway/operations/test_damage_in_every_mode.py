"""Whatever changes, swaps or moves stored bytes, in every mode: it is never served as good, and operators are told.

Who writes to the database or to the blob store is the attacker here. In some tests the rows are sealed anew after the
change, as if the index key were known: then wraps, commitments and blobs must hold by themselves. That an integrity
event is both logged and counted is seen over sockets, by tests/acceptance/test_06_flipped_bits.py.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.bucket_key_store import IndexBucketKeys
from gateway.operations.jobs.rewrap_jobs import RewrapDocument, RewrapJobs
from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode
from gateway.sealing.bucket_keys import BucketKeyLimits, BucketKeys
from gateway.sealing.customer_keys import CUSTOMER_WRAPPED_SIZE
from gateway.sealing.errors import SealingError
from gateway.sealing.footer import TAIL_SIZE, parse_footer, parse_tail
from gateway.sealing.wraps import join_kms_wrap, split_kms_wrap
from gateway.service_keys import open_service_keys
from gateway.storage.errors import NoSuchJob
from gateway.storage.index.records import ObjectRow
from iam.principals import Caller, root_principal
from kms.api.secrets import SecretBytes
from tests.gateway.changed_rows import Row, Table, Value, flips
from tests.gateway.gateway_in_process import ACCOUNT_ID, REGION, Answer, InProcessGateway, in_process_gateway
from tests.gateway.operations.uploads import MultipartUpload, begin, stored_files
from tests.gateway.underneath import index_path
from tests.properties.encryption import BUCKET_KEY, DSSE, MODES, asked, brought, brought_for_source
from tests.told import NOT_TOLD

HEADER = 128
S = 65536
SEED = 6
SIZES = {"inline": 1000, "file": 70_000, "twin": 70_000, "large": 600_000}
PARTS = {"parts": (40_000, 30_000), "other parts": (40_000, 30_000)}
ALL = (*SIZES, *PARTS)
BLOCKED = b"<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"

DAMAGED = "damaged"
"""Refused as InternalError, or the connection broke."""

FOUND_BY = {"bucket_id", "key"}
ABOUT_NO_CONTENT = {"history", "vsort", "ahead_us", "blob_count", "has_parts"}
"""Columns that order versions or say where to read on. What they lead to is verified."""


def body_of(name: str, size: int) -> bytes:
    return hashlib.shake_128(name.encode()).digest(size)


@dataclass
class Stock:
    """A gateway, and objects of every shape in its bucket `ledger`, each in the same mode."""

    gateway: InProcessGateway
    mode: str
    index: sqlite3.Connection
    bodies: dict[str, bytes]
    upload: MultipartUpload

    async def look(self, method: str, path: str, **query: str) -> Answer | str:
        """What the client gets; DAMAGED only where an integrity event was told, which there must be one of then."""
        events = self.gateway.events
        events.clear()
        is_of_body = path.count("/") > 1 and "tagging" not in query
        headers = {**brought(self.mode), "x-amz-object-attributes": "ETag,ObjectParts"} if is_of_body else {}
        try:
            answer = await self.gateway.call(method, path, query=query, headers=headers)
        except S3Error as error:  # in mid-body
            assert (error.code, len(events)) == ("InternalError", 1)
            return DAMAGED
        if answer.status != 500:
            return answer
        assert events, f"{method} {path}"
        assert method == "HEAD" or answer.code == "InternalError"
        return DAMAGED

    async def get(self, key: str, **query: str) -> bytes | str:
        """The body, DAMAGED, or why it was refused."""
        answer = await self.look("GET", f"/ledger/{key}", **query)
        if isinstance(answer, str):
            return answer
        return answer.body if answer.status == 200 else str(answer.code)

    async def looks(self, key: str) -> dict[str, Answer | str]:
        return {
            "get": await self.look("GET", f"/ledger/{key}"),
            "head": await self.look("HEAD", f"/ledger/{key}"),
            "list": await self.look("GET", "/ledger", **{"list-type": "2", "prefix": key}),
            "tags": await self.look("GET", f"/ledger/{key}", tagging=""),
            "attributes": await self.look("GET", f"/ledger/{key}", attributes=""),
        }

    def table(self, name: str) -> Table:
        return Table(self.index, name)

    def row(self, key: str) -> tuple[Table, Row]:
        table = self.table("object_version")
        return table, next(row for row in table.rows if row["key"] == key.encode())

    async def object_row(self, key: str) -> ObjectRow:
        bucket = await self.gateway.index.get_bucket("ledger")
        return await self.gateway.index.get_object(bucket.bucket_id, key.encode())

    async def resealed(self, key: str, **changes: object) -> Row:
        """The columns of the row with these changes, as who has the index key writes them."""
        row, rows = await self.object_row(key), self.gateway.services.rows
        sealed = rows.seal_object(replace(row, **changes), rows.open_object(row))  # type: ignore[arg-type]
        wrap = sealed.wrap
        columns: Row = {"sealed": sealed.sealed, "mode": int(wrap.mode), "wrapped": wrap.wrapped}
        if len(sealed.blob_ids) == 1:
            columns["blob_id"] = sealed.blob_ids[0]
        return columns

    def blob_path(self, key: str, place: int = 0) -> Path:
        _, row = self.row(key)
        blob_ids = row["blob_id"]
        if blob_ids is None:
            blob_ids = next(each for each in self.table("object_parts").rows if each["row_uid"] == row["row_uid"])[
                "blob_ids"
            ]
        assert isinstance(blob_ids, bytes)
        blob_id = blob_ids[16 * place : 16 * place + 16]
        (path,) = (path for path in stored_files(self.gateway) if path.name == blob_id.hex())
        return path


@pytest.fixture(params=MODES)
async def stock(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stock]:
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)
    mode: str = request.param
    async with in_process_gateway(tmp_path) as gateway:
        for bucket in ("ledger", "other"):
            assert (await gateway.call("PUT", f"/{bucket}")).status == 200
            rule = b"<ServerSideEncryptionConfiguration><Rule>%b</Rule></ServerSideEncryptionConfiguration>" % BLOCKED
            assert (await gateway.call("PUT", f"/{bucket}", query={"encryption": ""}, body=rule)).status == 200
        bodies = {key: body_of(key, size) for key, size in SIZES.items()}
        for key, body in bodies.items():
            assert (await gateway.call("PUT", f"/ledger/{key}", headers=asked(mode), body=body)).status == 200
        for key, sizes in PARTS.items():
            bodies[key] = b""
            upload = await begin(gateway, f"/ledger/{key}", asked(mode))
            for number, size in enumerate(sizes, 1):
                part = body_of(f"{key} {number}", size)
                assert (await upload.put(number, part, brought(mode))).status == 200
                bodies[key] += part
            assert (await upload.complete(brought(mode))).status == 200
        upload = await begin(gateway, "/ledger/begun", asked(mode))
        for number in (1, 2):
            assert (await upload.put(number, body_of(f"begun {number}", 40_000), brought(mode))).status == 200
        with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
            index.row_factory = sqlite3.Row
            made = Stock(gateway, mode, index, bodies, upload)
            for key, body in bodies.items():
                assert await made.get(key) == body
            yield made
            # Each change was put back, and nothing was written because of it.
            for key, body in bodies.items():
                assert await made.get(key) == body
            assert (await upload.complete(brought(mode))).status == 200
            assert await made.get("begun") == body_of("begun 1", 40_000) + body_of("begun 2", 40_000)


@contextmanager
def changed_file(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Written over in place: the file that others have open, as well."""
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(change(good))
    try:
        yield
    finally:
        path.write_bytes(good)


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def stored_segment(mode: str) -> int:
    return S + (32 if mode == DSSE else 16)


# --- blobs -------------------------------------------------------------------------------------------------------


async def test_a_flipped_bit_in_a_blob_is_never_served(stock: Stock) -> None:
    """Every byte of the header, the edges of segments and of their tags, and some in between."""
    randoms, segment = random.Random(SEED), stored_segment(stock.mode)
    end = HEADER + SIZES["file"] + 2 * (segment - S)
    edges = [HEADER + offset for offset in (0, S - 1, S, segment - 17, segment - 16, segment - 1, segment)]
    within = [randoms.randrange(HEADER, end) for _ in range(8)]
    path = stock.blob_path("file")
    for place in [*range(HEADER), *edges, *within, end - 1]:
        with changed_file(path, lambda data, place=place: flipped(data, place, randoms.randrange(8))):  # type: ignore[misc]
            assert await stock.get("file") == DAMAGED, place
    with changed_file(path, lambda data: flipped(data, end)):  # the footer, which says nothing to readers
        assert await stock.get("file") == stock.bodies["file"]


async def test_segments_that_changed_places_are_never_served(stock: Stock) -> None:
    segment = stored_segment(stock.mode)
    first, second, third = (slice(HEADER + n * segment, HEADER + (n + 1) * segment) for n in range(3))
    last = HEADER + 9 * segment

    def swapped(data: bytes) -> bytes:
        return data[:HEADER] + data[second] + data[first] + data[second.stop :]

    def dropped(data: bytes) -> bytes:
        return data[: first.stop] + data[third] + data[third] + data[third.stop :]

    def at_the_end(data: bytes) -> bytes:
        return flipped(data, last)  # after more than a batch was sent

    for change in (swapped, dropped, at_the_end):
        with changed_file(stock.blob_path("large"), change):
            assert await stock.get("large") == DAMAGED
    ranged = await stock.gateway.call("GET", "/ledger/large", headers={**brought(stock.mode), "Range": "bytes=0-9"})
    assert ranged.body == stock.bodies["large"][:10]


async def test_cut_missing_and_swapped_blobs_are_never_served(stock: Stock) -> None:
    path, twin = stock.blob_path("file"), stock.blob_path("twin").read_bytes()
    for change in (
        lambda data: b"",
        lambda data: data[: HEADER - 1],
        lambda data: data[: HEADER + S],
        lambda data: twin,
        lambda data: data[:HEADER] + twin[HEADER:],
        lambda data: twin[:HEADER] + data[HEADER:],
    ):
        with changed_file(path, change):
            assert await stock.get("file") == DAMAGED
    away = path.rename(path.with_name("away"))
    try:
        assert await stock.get("file") == DAMAGED
    finally:
        away.rename(path)


@pytest.mark.parametrize(
    ("key", "segments"), [("file", 0), ("file", 1), ("large", 1), ("large", 3), ("large", 4), ("large", 6)]
)
async def test_a_blob_that_was_cut_between_segments_is_never_served(stock: Stock, key: str, segments: int) -> None:
    """What is left is authentic, but not the whole: in the first batch of an answer, and in a later one."""
    end = HEADER + segments * stored_segment(stock.mode)
    with changed_file(stock.blob_path(key), lambda data: data[:end]):
        assert await stock.get(key) == DAMAGED
        around = {"Range": f"bytes={max(segments * S - 5, 0)}-{segments * S + 5}"}
        answer = await stock.gateway.call("GET", f"/ledger/{key}", headers={**brought(stock.mode), **around})
        assert (answer.status, answer.code) == (500, "InternalError")
        if segments:
            before = {"Range": f"bytes=0-{segments * S - 1}"}
            answer = await stock.gateway.call("GET", f"/ledger/{key}", headers={**brought(stock.mode), **before})
            assert answer.body == stock.bodies[key][: segments * S]


async def test_a_flipped_bit_in_a_footer_is_refused_without_a_key(stock: Stock) -> None:
    """By whoever reads it: no answer does."""
    data = stock.blob_path("file").read_bytes()
    size = parse_tail(data[-TAIL_SIZE:]).footer_length

    def parse(footer: bytes) -> None:
        parse_footer(data[:HEADER], footer, stored_length=len(data))

    parse(data[-size:])
    for place in range(size):
        with pytest.raises(SealingError):
            parse(flipped(data[-size:], place, place % 8))


async def test_damage_in_a_part_is_damage_of_that_part(stock: Stock) -> None:
    first = body_of("parts 1", PARTS["parts"][0])
    for change in (
        lambda data: flipped(data, HEADER),
        lambda data: stock.blob_path("parts", 0).read_bytes(),
        lambda data: stock.blob_path("other parts", 1).read_bytes(),
    ):
        with changed_file(stock.blob_path("parts", 1), change):
            assert await stock.get("parts") == DAMAGED
            part = await stock.look("GET", "/ledger/parts", partNumber="1")
            assert isinstance(part, Answer)
            assert (part.status, part.body) == (206, first)
            assert await stock.look("GET", "/ledger/parts", partNumber="2") == DAMAGED


# --- rows of objects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["inline", "file", "parts"])
async def test_a_flipped_bit_in_a_row_is_never_served(stock: Stock, key: str) -> None:
    randoms = random.Random(SEED)
    good = await stock.looks(key)
    table, row = stock.row(key)
    for column in table.columns:
        for value in flips(row[column], randoms):
            with table.changed(row, column, value):
                for name, answer in (await stock.looks(key)).items():
                    if name == "list" and column in NOT_TOLD:
                        assert answer == good[name], column
                    elif column not in FOUND_BY | ABOUT_NO_CONTENT:
                        assert answer == DAMAGED, (column, name)
                    elif not isinstance(answer, str) and answer.status == 200 and name in {"get", "head", "tags"}:
                        assert answer == good[name], (column, name)


async def test_a_row_that_was_moved_is_never_served(stock: Stock) -> None:
    """To another name, to another bucket, and into the place of another object, whole or column by column."""
    table, row = stock.row("file")
    good = await stock.looks("file")
    with table.changed(row, "key", b"elsewhere"):
        for name, answer in (await stock.looks("elsewhere")).items():
            assert answer == DAMAGED, name
    other = await stock.gateway.index.get_bucket("other")
    with table.changed(row, "bucket_id", other.bucket_id):
        assert await stock.look("GET", "/other/file") == DAMAGED
        assert await stock.look("HEAD", "/other/file") == DAMAGED
        assert await stock.look("GET", "/other") == DAMAGED
    _, twin = stock.row("twin")
    theirs = ("row_uid", "version_id", "modified_us", "wrapped", "blob_id", "sealed")
    own: list[Row] = [{name: twin[name]} for name in theirs if twin[name] != row[name]]
    own.append({name: twin[name] for name in table.columns if name not in {"key", "vsort"}})
    for changes in own:
        with table.replaced(row, changes):
            for name, answer in (await stock.looks("file")).items():
                is_unread = name == "list" and changes.keys() <= NOT_TOLD
                assert answer == (good[name] if is_unread else DAMAGED), (name, list(changes))


async def test_part_tables_that_were_changed_or_swapped_are_never_served(stock: Stock) -> None:
    """Nor copied or renamed: the new row would make damage look authentic."""
    randoms, table = random.Random(SEED), stock.table("object_parts")
    uids = {key: stock.row(key)[1]["row_uid"] for key in PARTS}
    row, other = (next(each for each in table.rows if each["row_uid"] == uids[key]) for key in PARTS)
    blob_ids = row["blob_ids"]
    assert isinstance(blob_ids, bytes)
    changes: list[Row] = [{column: value} for column in table.columns for value in flips(row[column], randoms)]
    changes += [{"blob_ids": other["blob_ids"]}, {"sealed_parts": other["sealed_parts"]}, {"sealed_parts": None}]
    changes += [{"blob_ids": other["blob_ids"], "sealed_parts": other["sealed_parts"]}]
    changes += [{"blob_ids": value} for value in (blob_ids[16:] + blob_ids[:16], blob_ids[:16], blob_ids * 2, b"")]
    for each in changes:
        with table.replaced(row, each):
            assert await stock.get("parts") == DAMAGED, each
            copying = {**asked(stock.mode), **brought_for_source(stock.mode), "x-amz-copy-source": "/ledger/parts"}
            renaming = {"x-amz-rename-source": "/ledger/parts"}
            for headers, query in ((copying, {}), (renaming, {"renameObject": ""})):
                stock.gateway.events.clear()
                answer = await stock.gateway.call("PUT", "/ledger/copy", query=query, headers=headers)
                assert (answer.status, answer.code) == (500, "InternalError"), each
                assert stock.gateway.events
                assert await stock.get("copy") == "NoSuchKey"
    assert await stock.get("other parts") == stock.bodies["other parts"]


# --- what holds though rows are authentic -------------------------------------------------------------------------


async def test_any_changed_bit_of_a_wrap_is_refused_by_itself(stock: Stock) -> None:
    """In a row that was sealed anew: each byte of it, of both halves where there are two, cut, and drawn out."""
    table, row = stock.row("inline")
    wrap, randoms = (await stock.object_row("inline")).wrap, random.Random(SEED)
    changed = [flipped(wrap.wrapped, place, randoms.randrange(8)) for place in range(len(wrap.wrapped))]
    changed += [wrap.wrapped[:-1], wrap.wrapped[1:], wrap.wrapped + b"\0", b""]
    if wrap.mode in {Mode.DSSE_KMS, Mode.SSE_KMS_BUCKET_KEY}:
        _, theirs = split_kms_wrap((await stock.object_row("twin")).wrap.wrapped)
        blob, own = split_kms_wrap(wrap.wrapped)
        changed += [join_kms_wrap(blob, theirs), join_kms_wrap(own, own)]
    for place, wrapped in enumerate(changed):
        columns = await stock.resealed("inline", wrap=replace(wrap, wrapped=wrapped))
        with table.replaced(row, columns):
            answer = await stock.get("inline")
            # The commitment to a customer's key: with another one it is another key that the client lacks.
            is_commitment = wrap.mode is Mode.SSE_C and 1 <= place < 65
            assert answer == ("AccessDenied" if is_commitment else DAMAGED), place
    if wrap.mode is Mode.SSE_C:
        assert len(wrap.wrapped) == CUSTOMER_WRAPPED_SIZE


async def test_the_wrap_of_another_object_is_refused_by_itself(stock: Stock) -> None:
    """Of the same bucket, mode and key."""
    table, row = stock.row("file")
    with table.replaced(row, await stock.resealed("file", wrap=(await stock.object_row("twin")).wrap)):
        assert await stock.get("file") == DAMAGED


async def test_a_wrap_is_taken_for_no_other_mode(stock: Stock) -> None:
    table, row = stock.row("file")
    wrap = (await stock.object_row("file")).wrap
    for mode in set(Mode) - {wrap.mode}:
        with table.replaced(row, await stock.resealed("file", wrap=replace(wrap, mode=mode))):
            answer = await stock.get("file")
            is_told_to_bring_a_key = (mode is Mode.SSE_C) != (wrap.mode is Mode.SSE_C)
            assert answer == ("InvalidRequest" if is_told_to_bring_a_key else DAMAGED), mode


async def test_the_blob_of_another_object_is_refused_by_itself(stock: Stock) -> None:
    table, row = stock.row("file")
    twin = await stock.object_row("twin")
    with table.replaced(row, await stock.resealed("file", blob_ids=twin.blob_ids)):
        assert await stock.get("file") == DAMAGED
    with table.replaced(row, await stock.resealed("file", blob_ids=twin.blob_ids, wrap=twin.wrap)):
        assert await stock.get("file") == DAMAGED


# --- uploads -----------------------------------------------------------------------------------------------------


async def uses_of_upload(stock: Stock) -> dict[str, Answer]:
    """All but those that would end it if they were granted, in turn."""
    upload, query = stock.upload, {"uploadId": stock.upload.upload_id}
    parts = dict(upload.parts)
    stock.gateway.events.clear()
    answers = {
        "list": await stock.gateway.call("GET", upload.path, query=query, headers=brought(stock.mode)),
        "complete": await upload.complete(brought(stock.mode)),
    }
    if answers["list"].status != 200:
        answers["put"] = await upload.put(3, b"three", brought(stock.mode))
    upload.parts = parts
    return answers


async def test_a_changed_row_of_an_upload_is_never_used(stock: Stock) -> None:
    randoms, table = random.Random(SEED), stock.table("multipart_upload")
    (row,) = table.rows
    written = stock.table("multipart_part").rows
    for column in table.columns:
        if column == "key_changed":  # it can make a completion with a condition fail, nothing else
            continue
        for value in flips(row[column], randoms):
            with table.changed(row, column, value):
                answers = await uses_of_upload(stock)
                if column in {"upload_id", *FOUND_BY}:
                    assert {answer.code for answer in answers.values()} == {"NoSuchUpload"}, column
                else:
                    assert {answer.code for answer in answers.values()} == {"InternalError"}, column
                    assert len(stock.gateway.events) == len(answers) == 3, column
    assert stock.table("multipart_part").rows == written


async def test_changed_and_swapped_rows_of_parts_are_never_used(stock: Stock) -> None:
    randoms, table = random.Random(SEED), stock.table("multipart_part")
    row, other = table.rows
    changes: list[Row] = [{column: value} for column in table.columns for value in flips(row[column], randoms)]
    swaps: list[dict[str, Value]] = [{name: other[name]} for name in ("blob_id", "sealed", "modified_us")]
    swaps.append({name: other[name] for name in table.columns if name != "part_number"})
    for each in [*changes, *swaps]:
        is_moved = len(each) == 1 and set(each) <= {"upload_id", "part_number"}
        if all(row[name] == value for name, value in each.items()):
            continue
        with table.replaced(row, each):
            answers = await uses_of_upload(stock)
            assert answers["complete"].code in ({"InternalError", "InvalidPart"} if is_moved else {"InternalError"}), (
                each
            )
            assert answers["list"].status == 500 or is_moved, each
            assert len(stock.gateway.events) == sum(answer.status == 500 for answer in answers.values()) > 0 or is_moved
        # What was put meanwhile is another part.
        stock.index.execute("DELETE FROM multipart_part WHERE part_number = 3")
        stock.index.commit()


@pytest.mark.parametrize("is_same_body", [True, False])
async def test_two_uploads_of_one_part_are_unrelated(stock: Stock, is_same_body: bool) -> None:
    """No byte says that, or where, they are of the same plaintext: keys, salts and commitments are their own."""
    upload = await begin(stock.gateway, "/ledger/twice", asked(stock.mode))
    bodies = [bytes(S), bytes(S) if is_same_body else b"\1" * S]
    stored = []
    for body in bodies:
        before = stored_files(stock.gateway)
        assert (await upload.put(1, body, brought(stock.mode))).status == 200
        (written,) = stored_files(stock.gateway) - before
        stored.append(written.read_bytes())
    headers = [data[16:HEADER] for data in stored]
    fields = [[header[:16], header[16:48], header[48:80]] for header in headers]
    assert all(one != other for one, other in zip(*fields, strict=True))
    if stock.mode == DSSE:
        assert headers[0][80:] != headers[1][80:]
    for relation in {0, bodies[0][0] ^ bodies[1][0]}:
        related = sum(
            one ^ other == relation for one, other in zip(*(data[HEADER : HEADER + S] for data in stored), strict=True)
        )
        assert related < S // 100  # of unrelated bytes one in 256
    assert (await upload.abort()).status == 204


# --- rows of the gateway's own -----------------------------------------------------------------------------------


async def test_buckets_that_changed_names_are_refused(gateway: InProcessGateway) -> None:
    assert (await gateway.call("PUT", "/other")).status == 200
    with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
        index.row_factory = sqlite3.Row
        table = Table(index, "bucket")
        names = {row["name"]: row for row in table.rows}
        for column in ("bucket_id", "sealed"):
            # Each in the place of the other, with all that must be unique.
            row, other = names["ledger"], names["other"]
            with table.changed(other, "bucket_id", b"x" * 16), table.changed(row, column, other[column]):
                for method, path in (("HEAD", "/ledger"), ("GET", "/ledger"), ("PUT", "/ledger/k")):
                    gateway.events.clear()
                    assert (await gateway.call(method, path)).status == 500
                    assert gateway.events, (method, path)
    assert (await gateway.call("PUT", "/ledger/k")).status == 200


async def test_a_changed_bucket_key_is_not_written_with(tmp_path: Path) -> None:
    """Who knows the key in it would know what is written from then on. Another one is made."""
    randoms = random.Random(SEED)
    async with in_process_gateway(tmp_path) as gateway:
        assert (await gateway.call("PUT", "/ledger")).status == 200
        assert (await gateway.call("PUT", "/ledger/k", headers=asked(BUCKET_KEY), body=b"k")).status == 200
        store = IndexBucketKeys(
            gateway.index, gateway.services.rows, lambda kind, detail: gateway.events.append((kind, detail))
        )
        with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
            index.row_factory = sqlite3.Row
            table = Table(index, "bucket_key")
            (row,) = table.rows
            assert isinstance(row["bucket_id"], bytes) and isinstance(row["requester"], bytes)
            place = (row["bucket_id"], row["requester"])
            assert await store.find(*place) is not None
            for column in table.columns:
                for value in flips(row[column], randoms):
                    is_elsewhere = column in {"bucket_id", "requester"}
                    moved = tuple(value if name == column else row[name] for name in ("bucket_id", "requester"))
                    with table.changed(row, column, value):
                        gateway.events.clear()
                        assert await store.find(*moved) is None, column  # type: ignore[arg-type]
                        assert [kind for kind, _ in gateway.events] == ["row"]
                        assert not is_elsewhere or await store.find(*place) is None
            wrapped = row["wrapped"]
            assert isinstance(wrapped, bytes)
            forged = flipped(wrapped, 40)
            with table.changed(row, "wrapped", forged):
                gateway.events.clear()
                another = BucketKeys(gateway.kms, store, lambda: 0, BucketKeyLimits())  # another worker's
                made = await another.wrap(
                    Caller(root_principal(ACCOUNT_ID), "test", via_service=f"s3.{REGION}.amazonaws.com"),
                    SecretBytes(bytes(32)),
                    kms_key_id=None,
                    context={},
                    bucket_id=place[0],
                    row_uid=bytes(16),
                    object_arn="arn:aws:s3:::ledger/l",
                )
                another.close()
                assert [kind for kind, _ in gateway.events] == ["row"]
                written = {each["wrapped"] for each in Table(index, "bucket_key").rows}
                assert written == {split_kms_wrap(made.wrapped)[0]}
                assert not written & {wrapped, forged}
        assert (await gateway.call("GET", "/ledger/k")).body == b"k"


async def test_a_changed_key_of_the_gateways_own_is_not_opened(gateway: InProcessGateway) -> None:
    """Nor is one made in its place."""
    randoms = random.Random(SEED)
    with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
        index.row_factory = sqlite3.Row
        table = Table(index, "key_epoch")
        rows = {row["purpose"]: row for row in table.rows}
        changes = [
            (row, {column: value})
            for row in rows.values()
            for column in ("purpose", "epoch", "wrapped")
            for value in flips(row[column], randoms)
            if column != "epoch" or (isinstance(value, int) and 0 < value < 2**31)
        ]
        changes += [(rows["index"], {"wrapped": rows["sse-s3"]["wrapped"]})]
        for row, each in changes:
            with table.replaced(row, each):
                with pytest.raises(SealingError):
                    await open_service_keys(gateway.kms, gateway.index, request_id="test")
                assert len(Table(index, "key_epoch").rows) == len(rows)
        await open_service_keys(gateway.kms, gateway.index, request_id="test")


async def test_a_changed_row_of_a_job_is_not_gone_on_with(gateway: InProcessGateway) -> None:
    randoms, told = random.Random(SEED), gateway.services.integrity_event
    jobs = RewrapJobs(gateway.index, gateway.services.rows, told)
    key = "arn:aws:kms:us-east-1:123456789012:key/k"
    ids = [(await jobs.begin(RewrapDocument(key, key))).job_id for _ in range(2)]
    with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
        index.row_factory = sqlite3.Row
        table = Table(index, "batch_job")
        row, other = sorted(table.rows, key=lambda each: each["job_id"] != ids[0])
        changes: list[Row] = [{column: value} for column in table.columns for value in flips(row[column], randoms)]
        for each in [*changes, {"sealed": other["sealed"]}]:
            with table.replaced(row, each):
                gateway.events.clear()
                with pytest.raises((SealingError, NoSuchJob)):
                    await jobs.get(ids[0])
                assert [job.job_id for job in await jobs.list()] == ids[1:], each
                # One of another kind is nobody's to go on with: the verification of the index tells of it.
                assert [kind for kind, _ in gateway.events] == ([] if "kind" in each else ["row"]), each
    assert {job.job_id for job in await jobs.list()} == set(ids)
