from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kms.audit.event import Event, Resource, UserIdentity
from kms.audit.query import Query, find, follow, parse_since
from tests.kms.audit.trails import START, SoftSigner, TrailMaker, event

KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = f"arn:aws:kms:us-east-1:111122223333:key/{KEY_ID}"
OBJECT = "arn:aws:s3:::bucket/a/key"
ALICE = UserIdentity("IAMUser", "AIDA", "arn:aws:iam::111122223333:user/alice", "111122223333")

EVENT: Event = event(
    60,
    resources=(Resource(KEY, "111122223333"),),
    resource_arn=OBJECT,
    user_identity=ALICE,
    error_code="AccessDeniedException",
)
NO_KEY: Event = event(0, "ListKeys")
NOT_FOUND: Event = event(0, "DescribeKey", request_parameters={"keyId": "alias/none"})


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(key=KEY),
        Query(key=KEY_ID),
        Query(object=OBJECT),
        Query(object="s3://bucket/a/key"),
        Query(object="bucket/a/key"),
        Query(principal=ALICE.arn),
        Query(principal="alice"),
        Query(principal="user/alice"),
        Query(event="decrypt"),
        Query(since=START + timedelta(seconds=60)),
        Query(only_errors=True),
        Query(key=KEY, object=OBJECT, principal="alice", event="Decrypt", only_errors=True),
    ],
)
def test_what_matches(query: Query) -> None:
    assert query.matches(EVENT)


@pytest.mark.parametrize(
    "query",
    [
        Query(key=KEY_ID[:-1]),
        Query(key=KEY_ID[1:]),
        Query(object="bucket/a"),
        Query(object="a/key"),
        Query(principal="lice"),
        Query(principal="bob"),
        Query(event="Encrypt"),
        Query(since=START + timedelta(seconds=61)),
        Query(key=KEY, event="Encrypt"),
    ],
)
def test_what_does_not_match(query: Query) -> None:
    assert not query.matches(EVENT)


def test_a_key_that_was_not_found_is_found_by_the_name_that_was_given() -> None:
    assert Query(key="alias/none").matches(NOT_FOUND)
    assert not Query(key=KEY).matches(NO_KEY)
    assert not Query(only_errors=True).matches(NO_KEY)


NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2h", NOW - timedelta(hours=2)),
        ("1d", START),
        ("2026-01-01", START),
        ("2026-01-01T00:00:00Z", START),
        ("2026-01-01T01:00:00+01:00", START),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "5", "m", "-1h", "1w", "999999999d"])
def test_since_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_since(text, NOW)


def made(directory: Path) -> TrailMaker:
    maker = TrailMaker(directory, SoftSigner())
    maker.begin_file()
    maker.add(event(1))
    maker.begin_file()
    maker.add(event(2))
    maker.check()
    return maker


def test_find_goes_over_all_files_and_past_what_is_no_event(tmp_path: Path) -> None:
    maker = made(tmp_path)
    with maker.path.open("ab") as file:
        file.write(b'{"torn')
    assert [found.request_id for _, found in find(tmp_path, Query())] == ["REQUEST000000001", "REQUEST000000002"]


def test_follow_gives_each_line_once_and_takes_no_part_of_one(tmp_path: Path) -> None:
    maker = made(tmp_path)
    turns = iter(range(5))

    def wait(seconds: float) -> None:
        turn = next(turns)
        if turn == 0:
            maker.add(event(3))
            with maker.path.open("ab") as file:
                file.write(b'{"seq":')
        elif turn == 1:
            whole = maker.path.read_bytes().removesuffix(b'{"seq":')
            maker.path.write_bytes(whole)
            maker.add(event(4))
        elif turn == 2:
            maker.begin_file()
            maker.add(event(5))
        else:
            raise KeyboardInterrupt

    found = []
    with pytest.raises(KeyboardInterrupt):
        for _, each in follow(tmp_path, Query(), wait=wait):
            found.append(each.request_id)  # it ends by the exception
    assert found == [f"REQUEST{number:09}" for number in range(1, 6)]
