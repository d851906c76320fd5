"""A flipped bit anywhere in a stored blob or in an index row is never served as good data, and is told to operators.

The gateway runs while its data directory is changed under it, one value at a time, and put back after each look. An
answer is allowed to be the right one where the change says nothing about the object (reference counts, order of
versions); it is never allowed to be another one.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionError, IncompleteReadError, ResponseStreamingError

from tests.acceptance.conftest import StartGateway
from tests.acceptance.observe import EventLog, integrity_events
from tests.gateway.changed_rows import Table, flips
from tests.harness import Gateway, running_gateway
from tests.told import NOT_TOLD

BUCKET = "flips"
HEADER_BYTES = 128
SEGMENT_BYTES = 1 << 16
TAG_BYTES = 16
SEED = 6

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Refused:
    """An answer that is an error, or a connection that broke before the end of the body."""

    status: int
    code: str = ""


BROKEN = Refused(0, "the connection broke")
DAMAGED = Refused(500, "InternalError")


@dataclass
class Stock:
    """A running gateway and what was put into it, by key."""

    gateway: Gateway
    s3: Any
    log: EventLog
    bodies: dict[str, bytes] = field(default_factory=dict)
    upload_id: str = ""
    part_etag: str = ""

    @property
    def index(self) -> Path:
        return self.gateway.data / "index" / "index.sqlite"


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    with running_gateway(tmp_path_factory.mktemp("flips")) as gateway:
        made = Stock(gateway, gateway.client("s3"), EventLog(gateway))
        _fill(made, str(gateway.client("kms").create_key()["KeyMetadata"]["KeyId"]))
        yield made
        # Each is logged, and counted.
        assert integrity_events(gateway) == made.log.events > 0


def _fill(stock: Stock, key_id: str) -> None:
    randoms = random.Random(SEED)
    sizes = {"inline": 1000, "file": 600_000, "empty": 0, "layers": 300_000}
    stock.bodies = {name: randoms.randbytes(size) for name, size in sizes.items()}
    s3, sse_kms = stock.s3, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id}
    s3.create_bucket(Bucket=BUCKET)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_id}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    plain = {"ServerSideEncryption": "AES256", "Metadata": {"colour": "blue"}, "CacheControl": "no-cache"}
    plain["Tagging"] = "colour=blue"
    s3.put_object(Bucket=BUCKET, Key="inline", Body=stock.bodies["inline"], **plain)
    s3.put_object(Bucket=BUCKET, Key="file", Body=stock.bodies["file"], **sse_kms)
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"", BucketKeyEnabled=True, **sse_kms)
    dsse = {**sse_kms, "ServerSideEncryption": "aws:kms:dsse"}
    s3.put_object(Bucket=BUCKET, Key="layers", Body=stock.bodies["layers"], **dsse)
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/file", ServerSideEncryption="AES256")
    stock.bodies["copy"] = stock.bodies["file"]
    parts = [randoms.randbytes(5 << 20), randoms.randbytes(70_000)]
    stock.bodies["parts"] = b"".join(parts)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", **sse_kms)["UploadId"]
    done = [_upload_part(s3, "parts", upload, number, part) for number, part in enumerate(parts, 1)]
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
    tagging = {"TagSet": [{"Key": "colour", "Value": "green"}]}
    s3.put_object_tagging(Bucket=BUCKET, Key="parts", Tagging=tagging)  # a row of another revision than its part table
    stock.upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key="begun", **sse_kms)["UploadId"]
    stock.part_etag = _upload_part(s3, "begun", stock.upload_id, 1, b"begun")["ETag"]


def _upload_part(s3: Any, key: str, upload_id: str, number: int, body: bytes) -> dict[str, Any]:
    answer = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def ask(request: Callable[..., Any], **parameters: Any) -> Any:
    """What the client is told, without what differs from answer to answer; or Refused."""
    try:
        answer = request(Bucket=BUCKET, **parameters) if parameters.pop("bucket", True) else request(**parameters)
        if "Body" in answer:
            with closing(answer["Body"]) as body:
                answer["Body"] = body.read()
    except ClientError as error:
        # A HEAD has no body, hence no code.
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return DAMAGED if status == 500 else Refused(status, error.response["Error"]["Code"])
    except (ConnectionError, IncompleteReadError, ResponseStreamingError):
        return BROKEN
    del answer["ResponseMetadata"]
    return answer


def bodies_looks(s3: Any, key: str) -> dict[str, Callable[[], Any]]:
    return {
        "get": lambda: ask(s3.get_object, Key=key),
        "head": lambda: ask(s3.head_object, Key=key),
        "list": lambda: ask(s3.list_objects_v2, Prefix=key),
        "tags": lambda: ask(s3.get_object_tagging, Key=key),
    }


# --- blobs -------------------------------------------------------------------------------------------------------


def blob_path(stock: Stock, key: str) -> Path:
    with closing(sqlite3.connect(stock.index)) as index:
        (blob_id,) = index.execute("SELECT blob_id FROM object_version WHERE key = ?", (key.encode(),)).fetchone()
    (path,) = (stock.gateway.data / "store" / "blobs").glob(f"*/*/{blob_id.hex()}")
    return path


def segments_end(size: int, layers: int = 1) -> int:
    return HEADER_BYTES + size + -(-size // SEGMENT_BYTES) * TAG_BYTES * layers


def positions(size: int, randoms: random.Random, layers: int = 1) -> list[int]:
    """Every byte of the header, both sides of each segment's edges and of its tags', and some in between."""
    end = segments_end(size, layers)
    edges = range(HEADER_BYTES, end, SEGMENT_BYTES + TAG_BYTES * layers)
    tags = [-TAG_BYTES * layer for layer in range(layers + 1)]
    near = [edge + tag + offset for edge in edges for tag in tags for offset in (-1, 0)] + [end - 1]
    some = [randoms.randrange(HEADER_BYTES, end) for _ in range(40)]
    return sorted({*range(HEADER_BYTES), *(place for place in near if place < end), *some})


@contextmanager
def changed_file(path: Path, change: Callable[[bytearray], object]) -> Iterator[None]:
    original = path.read_bytes()
    changed = bytearray(original)
    change(changed)
    assert bytes(changed) != original
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(original)


def flip(place: int, bit: int) -> Callable[[bytearray], object]:
    def change(data: bytearray) -> None:
        data[place] ^= 1 << bit

    return change


@pytest.mark.parametrize(("key", "layers"), [("file", 1), ("layers", 2)])
def test_a_flipped_bit_in_a_blob_file_is_never_served(stock: Stock, key: str, layers: int) -> None:
    path, randoms = blob_path(stock, key), random.Random(SEED)
    places = positions(len(stock.bodies[key]), randoms, layers)
    before = stock.log.events
    for count, place in enumerate(places, 1):
        with changed_file(path, flip(place, randoms.randrange(8))):
            assert ask(stock.s3.get_object, Key=key) in (DAMAGED, BROKEN), f"byte {place}"
        assert stock.log.events == before + count, f"byte {place}"
    assert ask(stock.s3.get_object, Key=key)["Body"] == stock.bodies[key]


def test_a_damaged_segment_spoils_no_range_beside_it(stock: Stock) -> None:
    path, body = blob_path(stock, "file"), stock.bodies["file"]
    third = HEADER_BYTES + 2 * (SEGMENT_BYTES + TAG_BYTES)
    first, last = 2 * SEGMENT_BYTES, 3 * SEGMENT_BYTES - 1  # plaintext of the third segment, inclusive
    with changed_file(path, flip(third + 7, 3)):
        for start, end in [(0, first - 1), (last + 1, len(body) - 1), (0, 0)]:
            answer = ask(stock.s3.get_object, Key="file", Range=f"bytes={start}-{end}")
            assert answer["Body"] == body[start : end + 1]
        for start, end in [(first - 1, first), (last, last + 1), (first, first), (0, len(body) - 1)]:
            assert ask(stock.s3.get_object, Key="file", Range=f"bytes={start}-{end}") in (DAMAGED, BROKEN)


def test_a_flipped_bit_in_a_footer_changes_no_answer(stock: Stock) -> None:
    """Footers are for rebuilding the index; reading an object does not need them (`sealgate blob open` checks them)."""
    path, body = blob_path(stock, "file"), stock.bodies["file"]
    end = segments_end(len(body))
    for place in (end, (end + path.stat().st_size) // 2, path.stat().st_size - 1):
        with changed_file(path, flip(place, 0)):
            assert ask(stock.s3.get_object, Key="file")["Body"] == body


CUTS: dict[str, Callable[[bytearray], object]] = {
    "empty": bytearray.clear,
    "header only": lambda data: data.__delitem__(slice(HEADER_BYTES, None)),
    "cut in a segment": lambda data: data.__delitem__(slice(300_000, None)),
    "cut between segments of the first batch": lambda data: data.__delitem__(
        slice(HEADER_BYTES + 3 * (SEGMENT_BYTES + TAG_BYTES), None)
    ),
    "cut between segments of a later batch": lambda data: data.__delitem__(
        slice(HEADER_BYTES + 6 * (SEGMENT_BYTES + TAG_BYTES), None)
    ),
    "first segment twice": lambda data: data.__setitem__(
        slice(HEADER_BYTES + SEGMENT_BYTES + TAG_BYTES, HEADER_BYTES + 2 * (SEGMENT_BYTES + TAG_BYTES)),
        data[HEADER_BYTES : HEADER_BYTES + SEGMENT_BYTES + TAG_BYTES],
    ),
    "a segment dropped": lambda data: data.__delitem__(
        slice(HEADER_BYTES, HEADER_BYTES + SEGMENT_BYTES + TAG_BYTES),
    ),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_blob_cut_or_spliced_is_never_served(stock: Stock, cut: str) -> None:
    before = stock.log.events
    with changed_file(blob_path(stock, "file"), CUTS[cut]):
        assert ask(stock.s3.get_object, Key="file") in (DAMAGED, BROKEN)
    assert stock.log.events == before + 1


def test_a_blob_in_place_of_another_is_never_served(stock: Stock) -> None:
    stock.s3.put_object(Bucket=BUCKET, Key="other", Body=bytes(600_000))
    other = blob_path(stock, "other").read_bytes()
    before = stock.log.events
    with changed_file(blob_path(stock, "file"), lambda data: data.__setitem__(slice(None), other)):
        assert ask(stock.s3.get_object, Key="file") == DAMAGED
    stock.s3.delete_object(Bucket=BUCKET, Key="other")
    assert stock.log.events == before + 1


def test_a_missing_blob_is_an_integrity_event(stock: Stock) -> None:
    path = blob_path(stock, "file")
    away = path.with_name("away")
    before = stock.log.events
    path.rename(away)
    try:
        assert ask(stock.s3.get_object, Key="file") == DAMAGED
    finally:
        away.rename(path)
    assert stock.log.events == before + 1


# --- rows --------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(stock: Stock) -> Iterator[sqlite3.Connection]:
    """Foreign keys are not enforced on this connection: a damaged file does not ask either."""
    with closing(sqlite3.connect(stock.index, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


EVERY_LOOK = frozenset({"get", "head", "list", "tags"})
LOOKS_AT_ALL = EVERY_LOOK - {"list"}

LOOKED_UP = {"bucket_id", "key"}
"""Columns that the row is found by: with another value it is another row's, which is not there."""

ABOUT_NO_CONTENT = {"history", "vsort", "ahead_us", "blob_count", "has_parts"}
"""Columns that order versions or say where to read on. What they lead to is verified."""


ABOUT_CONDITIONS = {"key_changed"}
"""A column that others' writes to the key set: all it says is whether a completion with a condition must be refused."""


def check(stock: Stock, looks: dict[str, Callable[[], Any]], good: dict[str, Any], must_refuse: frozenset[str]) -> None:
    """Each answer is the right one, none, or a refusal; those in `must_refuse` are refusals that operators are told."""
    for name, look in looks.items():
        before = stock.log.events
        answer = look()
        if name in must_refuse:
            assert answer in (DAMAGED, BROKEN), name
            assert stock.log.events > before, name
        else:
            absent = isinstance(answer, dict) and (answer.get("KeyCount") == 0 or answer.get("Buckets") == [])
            assert isinstance(answer, Refused) or absent or answer == good[name], name
            assert answer != DAMAGED or stock.log.events > before, name


def test_a_flipped_bit_in_a_row_of_an_object_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    randoms = random.Random(SEED)
    table = Table(index, "object_version")
    assert len(table.rows) == 6
    for row in table.rows:
        assert isinstance(row["key"], bytes)
        key = row["key"].decode()
        looks = bodies_looks(stock.s3, key)
        good = {name: look() for name, look in looks.items()}
        assert good["get"]["Body"] == stock.bodies[key]
        for column in table.columns:
            must_refuse = LOOKS_AT_ALL if column in NOT_TOLD else EVERY_LOOK
            if column in LOOKED_UP | ABOUT_NO_CONTENT:
                must_refuse = frozenset()
            for value in flips(row[column], randoms):
                with table.changed(row, column, value):
                    check(stock, looks, good, must_refuse)
        assert {name: look() for name, look in looks.items()} == good


def test_an_object_moved_to_another_name_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    table = Table(index, "object_version")
    row = next(row for row in table.rows if row["key"] == b"inline")
    with table.changed(row, "key", b"elsewhere"):
        check(stock, bodies_looks(stock.s3, "elsewhere"), {}, EVERY_LOOK)


def test_rows_that_changed_places_are_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    """Sealed columns of one object in the row of another, one by one and all together."""
    table = Table(index, "object_version")
    rows = {row["key"]: row for row in table.rows}
    good = {key: {"list": bodies_looks(stock.s3, key.decode())["list"]()} for key in (b"file", b"layers")}
    for key, by in ((b"file", b"copy"), (b"layers", b"file")):
        row, other = rows[key], rows[by]
        for column in ("row_uid", "wrapped", "sealed"):
            with table.changed(row, column, other[column]):
                looks = bodies_looks(stock.s3, key.decode())
                if column in NOT_TOLD:
                    check(stock, {"list": looks.pop("list")}, good[key], frozenset())
                check(stock, looks, {}, EVERY_LOOK)


def test_text_that_is_no_text_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    for name, column in [("object_version", "version_id"), ("bucket", "region")]:
        table = Table(index, name)
        for row in table.rows:
            with table.changed(row, column, b"nul\xec", "CAST(? AS TEXT)"):
                key = row.get("key", b"inline")
                assert isinstance(key, bytes)
                check(stock, bodies_looks(stock.s3, key.decode()), {}, EVERY_LOOK)


def test_a_flipped_bit_in_a_list_of_parts_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    randoms = random.Random(SEED)
    looks = bodies_looks(stock.s3, "parts")
    good = {name: look() for name, look in looks.items()}
    table = Table(index, "object_parts")
    (row,) = [row for row in table.rows if len(row["blob_ids"] or b"") == 32]  # type: ignore[arg-type]
    for column in table.columns:
        must_refuse = frozenset({"get"}) if column == "sealed_parts" else LOOKS_AT_ALL
        for value in flips(row[column], randoms):
            with table.changed(row, column, value):
                check(stock, looks, good, must_refuse)
    blob_ids = row["blob_ids"]
    assert isinstance(blob_ids, bytes)
    for value in (blob_ids[16:] + blob_ids[:16], blob_ids[:16], blob_ids[:16] * 2, b"", blob_ids[:-1]):
        with table.changed(row, "blob_ids", value):
            check(stock, looks, good, LOOKS_AT_ALL)


def test_a_flipped_bit_in_an_inline_blob_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    randoms = random.Random(SEED)
    size = len(stock.bodies["inline"])
    looks = bodies_looks(stock.s3, "inline")
    good = {name: look() for name, look in looks.items()}
    blob_id = index.execute(
        "SELECT blob_id FROM blob JOIN object_version USING (blob_id) WHERE key = x'696e6c696e65'"
    ).fetchone()[0]
    table = Table(index, "inline_blob")
    (row,) = [row for row in table.rows if row["blob_id"] == blob_id]
    data = row["data"]
    assert isinstance(data, bytes)
    for place in positions(size, randoms):
        changed = bytearray(data)
        changed[place] ^= 1 << randoms.randrange(8)
        with table.changed(row, "data", bytes(changed)):
            check(stock, {"get": looks["get"]}, good, frozenset({"get"}))
    footer = bytearray(data)
    footer[segments_end(size) + 1] ^= 1
    for value, must_refuse in [(data[:600], {"get"}), (b"", {"get"}), (bytes(footer), set())]:
        with table.changed(row, "data", value):
            check(stock, looks, good, frozenset(must_refuse))
    with table.changed(row, "blob_id", bytes(16)):
        check(stock, looks, good, frozenset({"get"}))


def test_a_flipped_bit_in_a_row_of_a_blob_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    """Counts and marks of the garbage collector: they say nothing of content, and what they lead to is verified."""
    randoms = random.Random(SEED)
    looks = {f"get {key}": lambda key=key: ask(stock.s3.get_object, Key=key) for key in stock.bodies}
    good = {name: look() for name, look in looks.items()}
    table = Table(index, "blob")
    for row, column in itertools.product(table.rows, table.columns):
        taken = {other[column] for other in table.rows}
        for value in itertools.islice((value for value in flips(row[column], randoms) if value not in taken), 2):
            with table.changed(row, column, value):
                check(stock, looks, good, frozenset())


def test_a_flipped_bit_in_a_row_of_a_bucket_is_never_served(stock: Stock, index: sqlite3.Connection) -> None:
    randoms = random.Random(SEED)
    s3 = stock.s3
    looks = {
        **bodies_looks(s3, "inline"),
        "head bucket": lambda: ask(s3.head_bucket),
        "location": lambda: ask(s3.get_bucket_location),
        "encryption": lambda: ask(s3.get_bucket_encryption),
        "uploads": lambda: ask(s3.list_multipart_uploads),
        "buckets": lambda: ask(s3.list_buckets, bucket=False),
    }
    good = {name: look() for name, look in looks.items()}
    looks["put"] = lambda: ask(s3.put_object, Key="new", Body=b"new")
    table = Table(index, "bucket")
    (row,) = table.rows
    for column in table.columns:
        # The list of buckets finds its rows by account and name.
        must_refuse = frozenset(looks) - ({"buckets"} if column == "account_id" else set())
        for value in flips(row[column], randoms):
            with table.changed(row, column, value):
                if column == "name":
                    assert all(isinstance(looks[name](), Refused) for name in looks)
                else:
                    check(stock, looks, good, must_refuse)


def test_a_flipped_bit_in_a_row_of_an_upload_is_never_used(stock: Stock, index: sqlite3.Connection) -> None:
    randoms = random.Random(SEED)
    s3, upload = stock.s3, {"Key": "begun", "UploadId": stock.upload_id}
    parts = {"Parts": [{"PartNumber": 1, "ETag": stock.part_etag}]}
    looks = {
        "parts": lambda: ask(s3.list_parts, **upload),
        "uploads": lambda: ask(s3.list_multipart_uploads),
        "upload part": lambda: ask(s3.upload_part, PartNumber=2, Body=b"two", **upload),
        "complete": lambda: ask(s3.complete_multipart_upload, MultipartUpload=parts, **upload),
    }
    table = Table(index, "multipart_upload")
    (row,) = table.rows
    for column in [each for each in table.columns if each not in ABOUT_CONDITIONS]:
        is_looked_up = column in {"upload_id", "bucket_id", "key"}
        for value in flips(row[column], randoms):
            with table.changed(row, column, value):
                for name in ("parts", "upload part", "complete"):
                    answer = looks[name]()
                    assert answer == (Refused(404, "NoSuchUpload") if is_looked_up else DAMAGED), (name, column)
                if column != "bucket_id":
                    check(stock, {"uploads": looks["uploads"]}, {}, frozenset({"uploads"}))


def test_a_flipped_bit_in_a_row_of_a_part_is_never_used(stock: Stock, index: sqlite3.Connection) -> None:
    randoms = random.Random(SEED)
    s3, upload = stock.s3, {"Key": "begun", "UploadId": stock.upload_id}
    parts = {"Parts": [{"PartNumber": 1, "ETag": stock.part_etag}]}
    table = Table(index, "multipart_part")
    (row,) = table.rows
    for column in table.columns:
        for value in flips(row[column], randoms):
            with table.changed(row, column, value):
                listed = ask(s3.list_parts, **upload)
                is_absent = "Parts" not in listed if isinstance(listed, dict) else False
                assert listed == DAMAGED or (column in {"upload_id", "part_number"} and is_absent), column
                completed = ask(s3.complete_multipart_upload, MultipartUpload=parts, **upload)
                assert completed in (DAMAGED, Refused(400, "InvalidPart")), column
    assert len(ask(s3.list_parts, **upload)["Parts"]) == 1


def test_a_changed_row_of_the_gateways_own_keys_keeps_it_sealed(make_gateway: StartGateway) -> None:
    """They are read at the start. A missing one is not made anew: what it sealed would never open again."""
    gateway = make_gateway().start()
    gateway.client("s3").create_bucket(Bucket=BUCKET)
    gateway.stop()
    log = EventLog(gateway)
    for change in (
        "UPDATE key_epoch SET wrapped = CAST(substr(wrapped, 1, 100) || x'00' || substr(wrapped, 102) AS BLOB)",
        "UPDATE key_epoch SET epoch = epoch + 1",
        "UPDATE key_epoch SET purpose = 'indez' WHERE purpose = 'index'",
        "DELETE FROM key_epoch WHERE purpose = 'sse-s3'",
    ):
        with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
            rows = index.execute("SELECT * FROM key_epoch").fetchall()
            with index:
                index.execute(change)
        before = log.events
        gateway.start()
        assert ask(gateway.client("s3").list_objects_v2) == Refused(503, "ServiceUnavailable"), change
        gateway.stop()
        assert log.events > before, change
        with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index, index:
            index.execute("DELETE FROM key_epoch")
            index.executemany("INSERT INTO key_epoch VALUES (?, ?, ?, ?)", rows)
    gateway.start()
    assert ask(gateway.client("s3").list_objects_v2)["KeyCount"] == 0
