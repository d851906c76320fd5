import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.copy_source import CopySource, parse_copy_source
from gateway.protocol.errors import S3Error

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bucket/key", CopySource("bucket", "key")),
        ("/bucket/key", CopySource("bucket", "key")),
        ("bucket%2Fkey", CopySource("bucket", "key")),
        ("bucket/a/b//c", CopySource("bucket", "a/b//c")),
        ("bucket/a%20b+c%2Bd", CopySource("bucket", "a b c+d")),
        ("bucket/key?versionId=null", CopySource("bucket", "key", "null")),
        ("bucket/key%3FversionId=1", CopySource("bucket", "key?versionId=1")),
        ("bucket/%3FversionId?versionId=x%2By", CopySource("bucket", "?versionId", "x+y")),
        ("bucket/%E2%82%AC", CopySource("bucket", "€")),
    ],
)
def test_copy_sources(value: str, expected: CopySource) -> None:
    assert parse_copy_source(value) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "InvalidArgument"),
        ("/", "InvalidArgument"),
        ("bucket", "InvalidArgument"),
        ("bucket/", "InvalidArgument"),
        ("//key", "InvalidArgument"),
        ("bucket/%zz", "InvalidArgument"),
        ("bucket/%ff", "InvalidArgument"),
        ("bucket/key?versionId=", "InvalidArgument"),
        ("arn:aws:s3:us-east-1:111122223333:accesspoint/a/object/k", "NotImplemented"),
        ("arn%3Aaws%3As3:us-east-1:111122223333:accesspoint/a/object/k", "NotImplemented"),
    ],
)
def test_bad_copy_sources(value: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_copy_source(value)
    assert caught.value.code == code


@given(TEXT.filter(lambda text: "/" not in text and not text.startswith("arn:")), TEXT, st.none() | TEXT)
def test_round_trip(bucket: str, key: str, version_id: str | None) -> None:
    source = CopySource(bucket, key, version_id)
    assert parse_copy_source(source.format()) == source


@given(st.text())
def test_nothing_but_s3_errors(value: str) -> None:
    try:
        source = parse_copy_source(value)
    except S3Error:
        return
    assert source.bucket and source.key and source.version_id != ""
