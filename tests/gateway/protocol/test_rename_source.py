from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.conditions import check_rename
from gateway.protocol.errors import S3Error
from gateway.protocol.rename_source import client_token, source_keys

ETAG = "0123456789abcdef0123456789abcdef"
MODIFIED_US = 784_111_777_654_321
NOW_US = MODIFIED_US + 3_600_000_000
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("a", ("a",)),
        ("a%2Fb%20c+d", ("a/b c d",)),
        ("photos/a", ("photos/a", "a")),
        ("/photos/a", ("/photos/a", "a")),
        ("/a", ("/a",)),
        ("photos/", ("photos/",)),
        ("photos/photos/a", ("photos/photos/a", "photos/a")),
    ],
)
def test_what_a_source_may_mean(value: str, keys: tuple[str, ...]) -> None:
    assert source_keys({"x-amz-rename-source": value}, "photos") == keys


@pytest.mark.parametrize(
    ("value", "code"), [(None, "InvalidRequest"), ("", "InvalidArgument"), ("%", "InvalidArgument")]
)
def test_sources_that_name_nothing(value: str | None, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        source_keys({} if value is None else {"x-amz-rename-source": value}, "photos")
    assert caught.value.code == code


def test_client_tokens() -> None:
    assert client_token({}) is None
    assert client_token({"x-amz-client-token": "~" * 64}) == "~" * 64
    for value in ("", "x" * 65, "a b", "é", "a\n"):
        with pytest.raises(S3Error, match="InvalidArgument"):
            client_token({"x-amz-client-token": value})


TARGETS: list[tuple[dict[str, str], bool, str | None]] = [
    ({}, True, None),
    ({}, False, None),
    ({"if-none-match": "*"}, True, "If-None-Match"),
    ({"if-none-match": "*"}, False, None),
    ({"if-match": f'"{ETAG}"'}, True, None),
    ({"if-match": '"other"'}, True, "If-Match"),
    ({"if-match": f'"{ETAG}"'}, False, "If-Match"),
    ({"if-modified-since": BEFORE}, True, None),
    ({"if-modified-since": SAME}, True, "If-Modified-Since"),
    ({"if-modified-since": BEFORE}, False, "If-Modified-Since"),
    ({"if-unmodified-since": SAME}, True, None),
    ({"if-unmodified-since": BEFORE}, True, "If-Unmodified-Since"),
    ({"if-unmodified-since": BEFORE}, False, None),
]


@pytest.mark.parametrize(("headers", "exists", "failed"), TARGETS)
def test_conditions_on_the_new_name(headers: dict[str, str], exists: bool, failed: str | None) -> None:
    etag = ETAG if exists else None
    if failed is None:
        check_rename(headers, etag=etag, modified_us=MODIFIED_US, now_us=NOW_US)
        return
    with pytest.raises(S3Error) as caught:
        check_rename(headers, etag=etag, modified_us=MODIFIED_US, now_us=NOW_US)
    assert (caught.value.status, caught.value.fields) == (412, {"Condition": failed})


@pytest.mark.parametrize("headers", [{"if-none-match": f'"{ETAG}"'}, {"if-match": "*"}])
def test_values_that_are_not_taken(headers: dict[str, str]) -> None:
    with pytest.raises(S3Error, match="NotImplemented"):
        check_rename(headers, etag=ETAG, modified_us=MODIFIED_US, now_us=NOW_US)


@given(st.text(), st.text())
def test_nothing_but_s3_errors(source: str, token: str) -> None:
    headers = {"x-amz-rename-source": source, "x-amz-client-token": token}
    for read in (lambda: source_keys(headers, "photos"), lambda: client_token(headers)):
        try:
            read()
        except S3Error as error:
            assert error.status == 400
