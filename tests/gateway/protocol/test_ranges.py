import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.ranges import ByteRange, parse_copy_range, parse_range


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=0-99", ByteRange(0, 10)),
        ("bytes=3-", ByteRange(3, 10)),
        ("bytes=9-", ByteRange(9, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-10", ByteRange(0, 10)),
        ("bytes=-99", ByteRange(0, 10)),
        ("BYTES=1-2", ByteRange(1, 3)),
        (" bytes=1-2 ", ByteRange(1, 3)),
        ("bytes=2-" + "9" * 60, ByteRange(2, 10)),
        # ignored: no range, malformed, another unit, several
        (None, None),
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes=--1", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=٠-١", None),
        ("bytes=0-" + "9" * 65, None),
    ],
)
def test_range_of_ten_bytes(value: str | None, expected: ByteRange | None) -> None:
    assert parse_range(value, 10) == expected


@pytest.mark.parametrize(
    ("value", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_unsatisfiable_ranges(value: str, size: int) -> None:
    with pytest.raises(S3Error) as caught:
        parse_range(value, size)
    assert (caught.value.code, caught.value.status) == ("InvalidRange", 416)
    assert caught.value.fields == {"RangeRequested": value, "ActualObjectSize": str(size)}


def test_lengths_and_content_range() -> None:
    wanted = ByteRange(2, 5)
    assert (wanted.length, wanted.format_content_range(10)) == (3, "bytes 2-4/10")


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30))
def test_a_range_is_the_slice(first: int, last: int, size: int) -> None:
    body = bytes(range(size))
    try:
        found = parse_range(f"bytes={first}-{last}", size)
    except S3Error:
        assert first >= size and last >= first
        return
    if found is None:
        assert last < first
    else:
        assert body[found.start : found.end] == body[first : last + 1]
        assert found.length == len(body[first : last + 1])


@given(st.text() | st.from_regex(r"bytes=[0-9]*-[0-9]*", fullmatch=True), st.integers(0, 2**50))
def test_nothing_but_s3_errors(value: str, size: int) -> None:
    for parse in (parse_range, parse_copy_range):
        try:
            found = parse(value, size)
        except S3Error:
            continue
        assert found is None or 0 <= found.start < found.end <= size


def test_copy_ranges() -> None:
    assert parse_copy_range(None, 10) is None
    assert parse_copy_range("bytes=0-9", 10) == ByteRange(0, 10)


@pytest.mark.parametrize("value", ["", "bytes=0-", "bytes=-1", "bytes=3-2", "0-1", "bytes=0-1,2-3", "bytes=0-10"])
def test_copy_ranges_are_strict(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_copy_range(value, 10)
    assert caught.value.code == "InvalidArgument"
    assert caught.value.fields["ArgumentName"] == "x-amz-copy-source-range"
