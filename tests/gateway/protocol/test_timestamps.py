from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.timestamps import format_http_date, format_iso8601, parse_http_date_or_none

MOMENT_US = 784_111_777_654_321  # RFC 9110, section 5.6.7: its example, and a fraction of a second
WHOLE_US = 784_111_777_000_000


def test_formats() -> None:
    assert format_http_date(MOMENT_US) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_iso8601(MOMENT_US) == "1994-11-06T08:49:37.000Z"


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_of_http_dates(text: str) -> None:
    assert parse_http_date_or_none(text) == WHOLE_US


def test_two_digit_years() -> None:
    assert parse_http_date_or_none("Friday, 06-Nov-26 08:49:37 GMT") == parse_http_date_or_none(
        "Fri, 06 Nov 2026 08:49:37 GMT"
    )


def test_a_leap_second_is_no_error() -> None:
    assert parse_http_date_or_none("Sat, 31 Dec 2016 23:59:60 GMT") == parse_http_date_or_none(
        "Sat, 31 Dec 2016 23:59:59 GMT"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
    ],
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert parse_http_date_or_none(text) is None


@given(st.integers(0, 253_402_300_799))
def test_http_dates_round_trip_in_whole_seconds(seconds: int) -> None:
    time_us = seconds * 1_000_000
    assert parse_http_date_or_none(format_http_date(time_us + 999_999)) == time_us


@given(st.integers(0, 253_402_300_799))
def test_iso_8601_is_what_datetime_writes(seconds: int) -> None:
    expected = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert format_iso8601(seconds * 1_000_000 + 1) == expected.rjust(24, "0")


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert parse_http_date_or_none(text) is None or "GMT" in text or text[-4:].isdigit()
