"""What lifecycle rules say: whom they cover, and when it goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.lifecycle import (
    Due,
    Filter,
    Lifecycle,
    LifecycleDays,
    LifecycleRule,
    abort_headers,
    expiration_headers,
    prefixes_to_visit,
)
from gateway.protocol.xml.documents.lifecycle import LifecycleConfiguration

DAYS = LifecycleDays()
DAY_US = 86_400_000_000
TAGS = {"a": "1", "b": "2"}


def time_us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def sealed_tags() -> NoReturn:
    raise AssertionError("the tags decide nothing here")


def rule(rule_id: str = "r", **members: object) -> LifecycleRule:
    return LifecycleRule(**{"rule_id": rule_id, "is_enabled": True, "filter": Filter(), **members})  # type: ignore[arg-type]


# When


@pytest.mark.parametrize(
    ("created", "days", "expected"),
    [
        ("2014-01-15T10:30:00", 3, "2014-01-19"),  # the example of the user guide
        ("2014-01-15T00:00:00", 3, "2014-01-18"),
        ("2014-01-15T00:00:01", 3, "2014-01-19"),
        ("2014-01-15T23:59:59", 1, "2014-01-17"),
        ("2024-02-28T12:00:00", 1, "2024-03-01"),
    ],
)
def test_days_end_at_midnight(created: str, days: int, expected: str) -> None:
    assert DAYS.end(time_us(created), days) == time_us(expected)


@given(st.integers(0, 2**52), st.integers(1, 40_000), st.sampled_from([86_400, 10, 0.5]))
def test_no_day_is_cut_short(from_us: int, days: int, day_seconds: float) -> None:
    day_us = round(day_seconds * 1_000_000)
    end = LifecycleDays(day_seconds).end(from_us, days)
    assert end % day_us == 0
    assert from_us + days * day_us <= end < from_us + (days + 1) * day_us


def test_a_rule_for_ever_can_be_told() -> None:
    due = DAYS.next_expiration(Lifecycle((rule(expires_after_days=2**31 - 1),)), "k", 0, sealed_tags, 0)
    assert expiration_headers(due) == {"x-amz-expiration": 'expiry-date="Fri, 31 Dec 9999 00:00:00 GMT", rule-id="r"'}


def test_expiration() -> None:
    assert DAYS.expiration(rule(expires_after_days=1), 5) == 2 * DAY_US
    assert DAYS.expiration(rule(expires_on=3), 9 * DAY_US) == 3 * DAY_US
    assert DAYS.expiration(rule(removes_expired_markers=True), 5) is None
    assert DAYS.expiration(rule(noncurrent_days=1, abort_after_days=1), 5) is None


def test_delete_markers() -> None:
    assert DAYS.marker_expiration(rule(removes_expired_markers=True), 5) == 5
    assert DAYS.marker_expiration(rule(removes_expired_markers=False), 5) is None
    assert DAYS.marker_expiration(rule(expires_after_days=1), 5) == 2 * DAY_US
    assert DAYS.marker_expiration(rule(noncurrent_days=1), 5) is None


@pytest.mark.parametrize(("newer", "expected"), [(0, None), (4, None), (5, 3 * DAY_US), (6, 3 * DAY_US)])
def test_newer_noncurrent_versions_are_kept(newer: int, expected: int | None) -> None:
    """Five stay, whatever their age."""
    each = rule(noncurrent_days=2, newer_noncurrent_versions=5)
    assert DAYS.noncurrent_expiration(each, DAY_US, newer) == expected


def test_noncurrent_versions() -> None:
    assert DAYS.noncurrent_expiration(rule(noncurrent_days=2), 1, 0) == 3 * DAY_US
    assert DAYS.noncurrent_expiration(rule(expires_after_days=1), 1, 0) is None


# What


COVERS: list[tuple[Filter, str, int, bool]] = [
    (Filter(), "any", 0, True),
    (Filter("log/"), "log/1", 0, True),
    (Filter("log/"), "log", 0, False),
    (Filter(larger_than=10), "k", 10, False),
    (Filter(larger_than=10), "k", 11, True),
    (Filter(smaller_than=10), "k", 9, True),
    (Filter(smaller_than=10), "k", 10, False),
    (Filter(tags={"a": "1"}), "k", 0, True),
    (Filter(tags={"a": "2"}), "k", 0, False),
    (Filter(tags={"a": "1", "b": "2"}, is_and=True), "k", 0, True),
    (Filter(tags={"a": "1", "c": "3"}, is_and=True), "k", 0, False),
    (Filter("log/", {"a": "1"}, 1, 9, is_and=True), "log/1", 5, True),
    (Filter("log/", {"a": "1"}, 1, 9, is_and=True), "log/1", 1, False),
]


@pytest.mark.parametrize(("each", "key", "size", "expected"), COVERS)
def test_covers(each: Filter, key: str, size: int, expected: bool) -> None:
    def tags() -> Mapping[str, str]:
        assert each.tags, "they decide nothing here"
        return TAGS

    assert rule(filter=each).covers(key, size, tags) is expected


def test_the_older_form_covers_by_prefix() -> None:
    each = rule(filter=None, prefix="a/")
    assert [each.covers(key, 0, sealed_tags) for key in ("a/b", "b")] == [True, False]


@given(st.lists(st.text("ab/é\U0001f600", max_size=4), max_size=6), st.text("ab/é\U0001f600", max_size=6))
def test_each_key_is_visited_once(prefixes: list[str], key: str) -> None:
    visited = prefixes_to_visit(rule(filter=Filter(prefix)) for prefix in prefixes)
    assert sum(key.startswith(prefix) for prefix in visited) == any(key.startswith(prefix) for prefix in prefixes)
    assert visited == sorted(visited, key=str.encode)


# What is told


def test_the_rule_that_comes_first_is_told() -> None:
    lifecycle = Lifecycle(
        (
            rule("off", is_enabled=False, expires_after_days=1),
            rule("elsewhere", filter=Filter("b"), expires_after_days=1),
            rule("late", expires_after_days=9),
            rule("first", expires_after_days=2),
            rule("same", filter=Filter("a"), expires_after_days=2),
            rule("uploads", abort_after_days=3),
            rule("markers", removes_expired_markers=True),
        )
    )
    assert DAYS.next_expiration(lifecycle, "a", 0, sealed_tags, 1) == Due(3 * DAY_US, "first")
    assert DAYS.next_abortion(lifecycle, "a", 1) == Due(4 * DAY_US, "uploads")
    assert DAYS.next_expiration(Lifecycle(()), "a", 0, sealed_tags, 1) is None
    assert (expiration_headers(None), abort_headers(None)) == ({}, {})


@pytest.mark.parametrize(
    ("rule_id", "told"),
    [("Delete after 14 days", "Delete after 14 days"), ('a"b', "a%22b"), ("50%\r\nX: é", "50%25%0D%0AX: %C3%A9")],
)
def test_headers(rule_id: str, told: str) -> None:
    due = Due(1_356_220_800_000_000, rule_id)
    date = "Sun, 23 Dec 2012 00:00:00 GMT"
    assert expiration_headers(due) == {"x-amz-expiration": f'expiry-date="{date}", rule-id="{told}"'}
    assert abort_headers(due) == {"x-amz-abort-date": date, "x-amz-abort-rule-id": told}


def test_the_example_of_the_reference_is_read() -> None:
    body = b"""<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>delete logs</ID>
        <Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>365</Days></Expiration></Rule>
        </LifecycleConfiguration>"""
    lifecycle = Lifecycle(LifecycleConfiguration.parse(body).rules)
    assert DAYS.next_expiration(lifecycle, "logs/1", 9, sealed_tags, 0) == Due(365 * DAY_US, "delete logs")
