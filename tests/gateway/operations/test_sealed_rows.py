"""Bucket rows that were opened are kept, within bounds, and never in place of another row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.operations import sealed_rows
from gateway.operations.documents import BucketDocument, ObjectDocument, PartEntry
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.ids import new_id
from gateway.sealing.row import RowSealer
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind
from kms.api.secrets import SecretBytes

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
