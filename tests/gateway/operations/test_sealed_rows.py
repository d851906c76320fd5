"""Bucket rows that were opened are kept, within bounds, and never in place of another row. Rows of a page are opened
all at once, and each is proved as if it came alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations import sealed_rows
from gateway.operations.documents import BucketDocument, ListedDocument, ObjectDocument, PartEntry
from gateway.operations.sealed_rows import SealedRows, must_be_opened_whole
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.ids import new_id
from gateway.sealing.row import RowSealer
from gateway.storage.errors import RowDamaged
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind
from gateway.storage.index.told import Told
from gateway.storage.index.version_columns import NAMES, TOLD, column_values, row_of_columns, rows_of_columns
from kms.api.secrets import SecretBytes
from tests.old_rows import sealed_as_before
from tests.told import NOT_TOLD, told_of

KEY = SecretBytes(bytes(32))


@pytest.fixture
def rows() -> SealedRows:
    return SealedRows(RowSealer({1: KEY}, 1))


def sealed(rows: SealedRows, cors: str | None = None, revision: int = 0, bucket_id: bytes | None = None) -> BucketRow:
    row = BucketRow(bucket_id or new_id(), "1" * 12, "name", "us-east-1", 1, revision, b"")
    return rows.seal_bucket(row, BucketDocument(cors=cors))


def test_a_row_that_was_changed_is_not_the_one_that_was_opened(rows: SealedRows) -> None:
    row = sealed(rows, "rules")
    assert rows.open_bucket(row) is rows.open_bucket(replace(row))
    for changed in (
        replace(row, account_id="2" * 12),
        replace(row, region="eu-west-1"),
        replace(row, sealed=row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])),
    ):
        with pytest.raises(AuthenticationFailed):
            rows.open_bucket(changed)


def test_a_newer_revision_takes_the_place_of_the_older(rows: SealedRows) -> None:
    first = sealed(rows, "first")
    second = sealed(rows, "second", 1, first.bucket_id)
    assert [rows.open_bucket(row).cors for row in (first, second, first)] == ["first", "second", "first"]
    assert rows.opened_bytes == len(first.sealed)


def test_opened_rows_are_bounded_in_bytes(rows: SealedRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_rows, "MAX_OPENED_BYTES", 100_000)
    made = [sealed(rows, "x" * 30_000) for _ in range(10)]
    for row in made:
        assert rows.open_bucket(row).cors == "x" * 30_000
        assert 30_000 < rows.opened_bytes <= 100_000
    huge = sealed(rows, "x" * 200_000)
    assert rows.open_bucket(huge).cors == "x" * 200_000
    assert rows.open_bucket(made[0]).cors == "x" * 30_000
    assert rows.opened_bytes <= 100_000


def test_opened_rows_are_bounded_in_number(rows: SealedRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_rows, "MAX_OPENED_BUCKETS", 3)
    for row in [sealed(rows) for _ in range(10)]:
        rows.open_bucket(row)
        assert rows.opened_bytes <= 3 * len(row.sealed)


def object_row(blob_ids: tuple[bytes, ...]) -> ObjectRow:
    return ObjectRow(
        bucket_id=new_id(),
        key=b"k",
        row_uid=new_id(),
        version_id="null",
        kind=RowKind.OBJECT,
        size=10,
        modified_us=1,
        wrap=Wrap(Mode.SSE_S3, b"wrapped"),
        blob_ids=blob_ids,
        manifest_id=None,
        part_count=len(blob_ids),
        revision=0,
        sealed=b"",
    )


def test_a_part_table_outlives_the_revisions_of_its_row(rows: SealedRows) -> None:
    """Not those of another row, nor another list of blobs."""
    blobs = (new_id(), new_id())
    parts = [PartEntry(number, 5, bytes(32), "etag") for number in (1, 2)]
    first = rows.seal_object(object_row(blobs), ObjectDocument(etag="x"), parts)
    second = rows.seal_object(replace(first, revision=1), ObjectDocument(etag="x", tags={"a": "b"}))
    assert second.sealed_parts == first.sealed_parts
    assert rows.open_parts(first) == rows.open_parts(second) == parts
    assert rows.open_object(second).tags == {"a": "b"}
    for changed in (
        replace(second, row_uid=new_id()),
        replace(second, blob_ids=blobs[::-1]),
        replace(second, sealed_parts=None),
        replace(second, sealed_parts=second.sealed),
    ):
        with pytest.raises(AuthenticationFailed):
            rows.open_parts(changed)
    with pytest.raises(AuthenticationFailed):
        rows.open_object(replace(second, sealed=first.sealed))


BUCKET_ID = new_id()
DOCUMENT = ObjectDocument(
    etag="e", checksums={"CRC32": "AAAAAA=="}, checksum_type="COMPOSITE", storage_class="GLACIER", owner="1" * 12
)


def versions() -> st.SearchStrategy[ObjectRow]:
    """Rows of one bucket with columns of every length that a column may have, and beyond."""
    ids, numbers = st.binary(min_size=16, max_size=16), st.integers(-(2**63), 2**63 - 1)
    wraps = st.builds(
        Wrap,
        st.sampled_from(Mode),
        st.integers(0, 3000).map(bytes),
        st.none() | st.text(max_size=100),
        st.none() | numbers,
    )
    return st.builds(
        ObjectRow,
        bucket_id=st.just(BUCKET_ID),
        key=st.binary(max_size=1024) | st.integers(2040, 2060).map(bytes),
        row_uid=ids,
        version_id=st.text(max_size=40),
        kind=st.sampled_from(RowKind),
        size=numbers,
        modified_us=numbers,
        wrap=wraps,
        blob_ids=st.lists(ids, max_size=3).map(tuple),
        manifest_id=st.none() | ids,
        part_count=numbers,
        revision=st.integers(0, 2**63 - 1),
        sealed=st.just(b""),
    )


def told(*rows: ObjectRow) -> Told:
    return Told(rows[0].bucket_id, told_of(rows))


@pytest.mark.usefixtures("unrecorded")
@given(st.lists(versions(), min_size=1, max_size=4, unique_by=lambda row: row.row_uid))
def test_rows_of_a_page_are_opened_as_each_alone(made: list[ObjectRow]) -> None:
    rows = SealedRows(RowSealer({1: KEY}, 1))
    sealed_ = [
        rows.seal_object(row, ObjectDocument(etag=str(number), tags={"a": "b"})) for number, row in enumerate(made)
    ]
    opened = rows.open_told(told(*sealed_))
    assert [document.etag for document in opened] == [rows.open_object(row).etag for row in sealed_]


def test_what_is_told_of_a_listed_row_is_what_its_document_says(rows: SealedRows) -> None:
    names = [field.name for field in msgspec.structs.fields(ListedDocument)]
    for document in (DOCUMENT, ObjectDocument(etag="e")):
        (listed,) = rows.open_told(told(rows.seal_object(object_row((new_id(),)), document)))
        assert [getattr(listed, name) for name in names] == [getattr(document, name) for name in names]
        assert ListedDocument.of(document) == listed


TOLD_NAMES = TOLD.split(", ")
UNTOLD_NAMES = sorted(NOT_TOLD - {"blob_count", "has_parts"})
"""Those two say where the list of blobs is, which is proved."""


@pytest.mark.parametrize("name", TOLD_NAMES)
def test_one_changed_column_of_one_row_fails_the_page(rows: SealedRows, name: str) -> None:
    row = replace(object_row((new_id(),)), bucket_id=BUCKET_ID)
    page = told(*(rows.seal_object(replace(row, row_uid=new_id()), ObjectDocument(etag="e")) for _ in range(3)))
    rows.open_told(page)
    columns = [list(each) for each in page.rows]
    columns[1][TOLD_NAMES.index(name)] = changed(columns[1][TOLD_NAMES.index(name)])
    with pytest.raises(AuthenticationFailed):
        rows.open_told(Told(BUCKET_ID, columns))
    with pytest.raises(AuthenticationFailed):
        rows.open_told(Told(new_id(), page.rows))


@pytest.mark.parametrize("name", [*TOLD_NAMES, *UNTOLD_NAMES])
def test_every_column_of_an_object_that_is_opened_is_proved(rows: SealedRows, name: str) -> None:
    wrap = Wrap(Mode.SSE_KMS, b"wrapped", "arn", 1)
    row = replace(object_row((new_id(),)), bucket_id=BUCKET_ID, wrap=wrap, manifest_id=new_id())
    for sealed_ in (rows.seal_object(row, DOCUMENT), sealed_as_before(rows._sealer, row, DOCUMENT)):
        assert rows.open_object(sealed_) == DOCUMENT
        columns = list(column_values(sealed_))
        columns[NAMES.index(name)] = changed(columns[NAMES.index(name)])
        with pytest.raises((AuthenticationFailed, RowDamaged)):
            rows.open_object(row_of_columns(BUCKET_ID, columns, None, None))
        with pytest.raises(AuthenticationFailed):
            rows.open_object(replace(sealed_, bucket_id=new_id()))


def test_a_row_sealed_before_listings_read_a_part_must_be_opened_whole(rows: SealedRows) -> None:
    new = rows.seal_object(object_row((new_id(),)), DOCUMENT)
    old = sealed_as_before(rows._sealer, object_row((new_id(),)), DOCUMENT)
    assert [must_be_opened_whole(row.sealed) for row in (new, old)] == [False, True]
    with pytest.raises(AuthenticationFailed):
        rows.open_told(told(new, old))


def changed(value: Any) -> Any:
    """With one bit of it changed."""
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1)
    return value[:-1] + bytes([value[-1] ^ 1])


def test_a_list_of_blobs_is_proved_with_its_row(rows: SealedRows) -> None:
    row = rows.seal_object(object_row((new_id(), new_id())), DOCUMENT, [])
    assert rows.open_object(row) == DOCUMENT
    with pytest.raises(AuthenticationFailed):
        rows.open_object(replace(row, blob_ids=row.blob_ids[::-1]))


@pytest.mark.parametrize("name", ["kind", "mode"])
def test_a_row_of_no_kind_or_mode_is_damaged(rows: SealedRows, name: str) -> None:
    columns = list(column_values(rows.seal_object(object_row((new_id(),)), ObjectDocument(etag="e"))))
    columns[NAMES.index(name)] = 99
    with pytest.raises(RowDamaged):
        row_of_columns(BUCKET_ID, columns, None, None)


def test_a_row_whose_list_of_blobs_is_missing_is_damaged() -> None:
    row = object_row((new_id(), new_id()))
    assert rows_of_columns(BUCKET_ID, [column_values(row)], {row.row_uid: b"".join(row.blob_ids)})
    with pytest.raises(RowDamaged):
        rows_of_columns(BUCKET_ID, [column_values(row)], {})
