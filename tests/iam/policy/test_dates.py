from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.policy.dates import parse_date

DATES = [
    ("1970-01-01T00:00:00Z", 0),
    ("1970-01-01", 0),
    ("1970-01", 0),
    ("1970-1-1T0:0:1", 1_000_000),
    ("1970-01-01T00:00:00.5Z", 500_000),
    ("1970-01-01T00:00:00.123456789Z", 123_456),
    ("1970-01-01T01:00:00+01:00", 0),
    ("1970-01-01T01:00:00+0100", 0),
    ("1969-12-31T23:00-01", 0),
    ("1970-01-01t00:00z", 0),
    ("0", 0),
    ("1.5", 1_500_000),
    ("9223372036854775807", 9_223_372_036_854_775_807_000_000),
]


@pytest.mark.parametrize(("text", "us"), DATES)
def test_dates(text: str, us: int) -> None:
    assert parse_date(text) == us


def test_years_beyond_the_calendar_are_before_or_after_all_others() -> None:
    assert parse_date("-292275054") < parse_date("0002-01-01") < parse_date("9998-12-31") < parse_date("292278993-01")


NO_DATES = [
    *("", "x", "1e9", "-5.5", "9223372036854775808", "٢٠٢٦-01-01", "2026-01-01" + " " * 60),
    *("2026-13-01", "2026-02-30", "2026-01-01T24:00Z", "2026-01-01T00:00:00+99:00", "2026-01-01TZ+"),
]


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(text)


@given(st.datetimes(datetime(1000, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_moment_is_read_as_it_is_written(moment: datetime) -> None:
    assert parse_date(moment.isoformat()) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
