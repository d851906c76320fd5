from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.conditions import (
    check_delete,
    check_read,
    check_source,
    check_unchanged,
    check_write,
    check_write_headers,
    range_applies,
)
from gateway.protocol.errors import S3Error

ETAG = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
MODIFIED_US = 784_111_777_654_321
NOW_US = MODIFIED_US + 3_600_000_000
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
TO_COME = "Sun, 06 Nov 1994 09:49:38 GMT"

READS: list[tuple[dict[str, str], str | None]] = [
    ({}, None),
    ({"if-match": f'"{ETAG}"'}, None),
    ({"if-match": ETAG}, None),
    ({"if-match": "*"}, None),
    ({"if-match": f'"{OTHER}", "{ETAG}"'}, None),
    ({"if-match": f'"{OTHER}"'}, "If-Match"),
    ({"if-match": f'W/"{ETAG}"'}, "If-Match"),
    ({"if-unmodified-since": SAME}, None),
    ({"if-unmodified-since": AFTER}, None),
    ({"if-unmodified-since": BEFORE}, "If-Unmodified-Since"),
    ({"if-unmodified-since": "soon"}, None),
    ({"if-none-match": f'"{OTHER}"'}, None),
    ({"if-none-match": f'"{ETAG}"'}, "If-None-Match"),
    ({"if-none-match": f'W/"{ETAG}"'}, "If-None-Match"),
    ({"if-none-match": "*"}, "If-None-Match"),
    ({"if-modified-since": BEFORE}, None),
    ({"if-modified-since": SAME}, "If-Modified-Since"),
    ({"if-modified-since": AFTER}, "If-Modified-Since"),
    ({"if-modified-since": "later"}, None),
    ({"if-modified-since": TO_COME}, None),
    ({"if-unmodified-since": TO_COME}, None),
    # precedence: RFC 9110, section 13.2.2
    ({"if-match": ETAG, "if-unmodified-since": BEFORE}, None),
    ({"if-match": OTHER, "if-unmodified-since": AFTER}, "If-Match"),
    ({"if-none-match": OTHER, "if-modified-since": AFTER}, None),
    ({"if-none-match": ETAG, "if-modified-since": BEFORE}, "If-None-Match"),
    ({"if-match": OTHER, "if-none-match": ETAG}, "If-Match"),
]


@pytest.mark.parametrize(("headers", "failed"), READS)
def test_conditions_of_reads(headers: dict[str, str], failed: str | None) -> None:
    if failed is None:
        check_read(headers, etag=ETAG, modified_us=MODIFIED_US, now_us=NOW_US)
        return
    with pytest.raises(S3Error) as caught:
        check_read(headers, etag=ETAG, modified_us=MODIFIED_US, now_us=NOW_US)
    if failed in ("If-Match", "If-Unmodified-Since"):
        assert (caught.value.status, caught.value.fields) == (412, {"Condition": failed})
    else:
        assert (caught.value.code, caught.value.status) == ("NotModified", 304)
        assert caught.value.headers == {"ETag": f'"{ETAG}"', "Last-Modified": SAME}


@pytest.mark.parametrize(("headers", "failed"), READS)
def test_conditions_of_copy_sources_are_the_same_and_all_are_412(headers: dict[str, str], failed: str | None) -> None:
    prefixed = {f"x-amz-copy-source-{name}": value for name, value in headers.items()}
    if failed is None:
        check_source(prefixed, "x-amz-copy-source-", etag=ETAG, modified_us=MODIFIED_US, now_us=NOW_US)
        return
    with pytest.raises(S3Error) as caught:
        check_source(prefixed, "x-amz-copy-source-", etag=ETAG, modified_us=MODIFIED_US, now_us=NOW_US)
    assert (caught.value.status, caught.value.fields) == (412, {"Condition": f"x-amz-copy-source-{failed}"})


@pytest.mark.parametrize(
    ("headers", "current", "code"),
    [
        ({}, ETAG, None),
        ({}, None, None),
        ({"if-none-match": "*"}, None, None),
        ({"if-none-match": "*"}, ETAG, "PreconditionFailed"),
        ({"if-match": f'"{ETAG}"'}, ETAG, None),
        ({"if-match": ETAG}, ETAG, None),
        ({"if-match": f'"{OTHER}"'}, ETAG, "PreconditionFailed"),
        ({"if-match": f'"{ETAG}"'}, None, "NoSuchKey"),
        ({"if-none-match": f'"{ETAG}"'}, None, "NotImplemented"),
        ({"if-match": "*"}, ETAG, "NotImplemented"),
        ({"if-match": ETAG, "if-none-match": "*"}, ETAG, "NotImplemented"),
    ],
)
def test_conditions_of_writes(headers: dict[str, str], current: str | None, code: str | None) -> None:
    if code is None:
        check_write(headers, "k", current)
        return
    with pytest.raises(S3Error) as caught:
        check_write(headers, "k", current)
    assert caught.value.code == code
    if code == "NotImplemented":
        with pytest.raises(S3Error):
            check_write_headers(headers)


@pytest.mark.parametrize(
    ("if_match", "current", "code"),
    [
        ("*", ETAG, None),
        ("*", None, "NoSuchKey"),
        (f'"{ETAG}"', ETAG, None),
        (ETAG, ETAG, None),
        (f'"{OTHER}"', ETAG, "PreconditionFailed"),
        (f'"{ETAG}"', None, "NoSuchKey"),
    ],
)
def test_conditions_of_deletes(if_match: str, current: str | None, code: str | None) -> None:
    if code is None:
        check_delete(if_match, "k", current)
        return
    with pytest.raises(S3Error) as caught:
        check_delete(if_match, "k", current)
    assert caught.value.code == code


@pytest.mark.parametrize(("name", "shown"), [("if-match", "If-Match"), ("if-none-match", "If-None-Match")])
def test_a_key_that_changed_is_a_conflict_for_conditional_completions_alone(name: str, shown: str) -> None:
    check_unchanged({name: "*"}, "k", is_changed=False)
    check_unchanged({}, "k", is_changed=True)
    with pytest.raises(S3Error) as caught:
        check_unchanged({name: "*"}, "k", is_changed=True)
    assert (caught.value.code, caught.value.status) == ("ConditionalRequestConflict", 409)
    assert caught.value.fields == {"Condition": shown, "Key": "k"}


@pytest.mark.parametrize(
    ("value", "applies"),
    [(None, True), (f'"{ETAG}"', True), (f'"{OTHER}"', False), (f'W/"{ETAG}"', False), (SAME, True), (AFTER, False)],
)
def test_if_range(value: str | None, applies: bool) -> None:
    headers = {} if value is None else {"if-range": value}
    assert range_applies(headers, etag=ETAG, modified_us=MODIFIED_US) is applies


NAMES = st.sampled_from(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"])


@given(st.dictionaries(NAMES, st.text() | st.sampled_from(["*", ETAG, SAME])))
def test_nothing_but_s3_errors(headers: dict[str, str]) -> None:
    range_applies(headers, etag=ETAG, modified_us=MODIFIED_US)
    checks: list[Callable[[], None]] = [
        lambda: check_read(headers, etag=ETAG, modified_us=MODIFIED_US, now_us=NOW_US),
        lambda: check_write(headers, "k", ETAG),
        lambda: check_delete(headers.get("if-match", ""), "k", None),
    ]
    for check in checks:
        try:
            check()
        except S3Error as error:
            assert error.status in (304, 404, 412, 501)
