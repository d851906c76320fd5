"""Rows of the identity database that somebody changed beneath a gateway: nobody is let in by them, and others are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.observe import integrity_events
from tests.clients.checks import faults
from tests.clients.users import allow, make_user
from tests.harness import Gateway

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("damaged") / "data", root="file").init()
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
    assert faults(gateway) == []


def change(gateway: Gateway, statement: str, *values: object) -> int:
    """By who can write the file, and has no key."""
    path: Path = gateway.data / "iam" / "identities.sqlite"
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        return connection.execute(statement, values).rowcount


def refusal(call: object) -> tuple[int, str]:
    with pytest.raises(ClientError) as raised:
        call()  # type: ignore[operator]
    answer = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_a_right_that_somebody_put_there_lets_nobody_in_and_others_are_served(gateway: Gateway) -> None:
    user = make_user(gateway, allow("s3:ListAllMyBuckets"))
    other = make_user(gateway, allow("s3:ListAllMyBuckets"))
    user.client("s3").list_buckets()
    before = integrity_events(gateway)
    [(user_id,)] = _rows(gateway, "SELECT entity_id FROM entity WHERE name = ?", user.name)
    change(gateway, "INSERT INTO attachment (entity_id, policy_arn) VALUES (?, ?)", user_id, ADMINISTRATOR)
    assert refusal(user.client("s3").list_buckets) == (503, "ServiceUnavailable")
    assert refusal(lambda: user.client("s3").create_bucket(Bucket="by-nobody")) == (503, "ServiceUnavailable")
    iam = gateway.client("iam")
    status, _ = refusal(lambda: iam.list_attached_user_policies(UserName=user.name))
    assert status == 503
    other.client("s3").list_buckets()
    assert integrity_events(gateway) > before
    told = gateway.sealgate("doctor", str(gateway.data), check=False)
    assert told.returncode != 0
    assert f"attachment {user_id} {ADMINISTRATOR}" in told.stdout + told.stderr
    change(gateway, "DELETE FROM attachment WHERE entity_id = ?", user_id)
    user.client("s3").list_buckets()


def test_seals_that_are_taken_away_do_not_come_back_by_a_start(gateway: Gateway) -> None:
    user = make_user(gateway, allow("s3:ListAllMyBuckets"))
    [(user_id, seal)] = _rows(gateway, "SELECT entity_id, seal FROM entity WHERE name = ?", user.name)
    gateway.stop()
    change(gateway, "UPDATE entity SET seal = NULL WHERE entity_id = ?", user_id)
    gateway.start()
    refused = user.client("s3")
    assert refusal(refused.list_buckets) == (503, "ServiceUnavailable")
    change(gateway, "UPDATE entity SET seal = ? WHERE entity_id = ?", seal, user_id)
    refused.list_buckets()


def _rows(gateway: Gateway, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(gateway.data / "iam" / "identities.sqlite", timeout=30)) as connection:
        return connection.execute(query, values).fetchall()
