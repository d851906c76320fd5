from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.config import LimitSettings
from gateway.server.brakes import Brake, Brakes, Family, Throttled
from gateway.server.rate_table import RateTable
from iam.errors import AuthenticationError, Reason
from iam.principals import Principal, PrincipalKind, root_principal
from tests.gateway.server.client import until

HERE, THERE = "203.0.113.7", "198.51.100.9"
ROOT = root_principal("123456789012")
DELAY_SECONDS = 0.3


def brakes(**settings: float) -> Brakes:
    return Brakes(RateTable.private(), replace(LimitSettings(), **settings))


def brake_of(call: Callable[[], None]) -> Brake | None:
    """What a call is refused by."""
    try:
        call()
    except Throttled as error:
        assert error.retry_after_seconds >= 1
        return error.brake
    return None


def user(name: str) -> Principal:
    return Principal(PrincipalKind.USER, "123456789012", f"arn:aws:iam::123456789012:user/{name}", name)


def session(name: str) -> Principal:
    return Principal(
        PrincipalKind.ROLE_SESSION,
        "123456789012",
        f"arn:aws:sts::123456789012:assumed-role/r/{name}",
        f"AROA:{name}",
        issuer_arn="arn:aws:iam::123456789012:role/path/r",
    )


def wrong(reason: Reason = Reason.SIGNATURE_MISMATCH, key: str = "AKIAEXAMPLE") -> AuthenticationError:
    return AuthenticationError(reason, "wrong", {"AWSAccessKeyId": key})


def test_by_default_nobody_is_refused() -> None:
    made = brakes()
    for _ in range(5000):
        made.admit_address(Family.S3, HERE)
        made.admit_principal(Family.API, ROOT)


@pytest.mark.parametrize("family", list(Family))
def test_addresses_have_a_rate_for_each_family(family: Family) -> None:
    made = brakes(s3_address_rate=1, s3_address_burst=3, api_address_rate=1, api_address_burst=3)
    for _ in range(3):
        made.admit_address(family, HERE)
    assert brake_of(lambda: made.admit_address(family, HERE)) is Brake.ADDRESS
    made.admit_address(family, THERE)
    for other in set(Family) - {family}:
        made.admit_address(other, HERE)


def test_burst_is_a_seconds_requests_unless_it_is_set() -> None:
    made = brakes(s3_address_rate=5)
    for _ in range(5):
        made.admit_address(Family.S3, HERE)
    assert brake_of(lambda: made.admit_address(Family.S3, HERE)) is Brake.ADDRESS


def test_ipv6_subnet_is_one_client() -> None:
    made = brakes(s3_address_rate=1, s3_address_burst=1)
    made.admit_address(Family.S3, "2001:db8:0:1::1")
    assert brake_of(lambda: made.admit_address(Family.S3, "2001:db8:0:1:ffff::2")) is Brake.ADDRESS
    made.admit_address(Family.S3, "2001:db8:0:2::1")
    made.admit_address(Family.S3, "32.1.13.184")  # the same bytes as IPv4
    made.admit_address(Family.S3, "")


def test_sessions_of_a_role_are_one_principal() -> None:
    made = brakes(api_principal_rate=1, api_principal_burst=1)
    made.admit_principal(Family.API, session("one"))
    assert brake_of(lambda: made.admit_principal(Family.API, session("two"))) is Brake.PRINCIPAL
    for other in (ROOT, user("ann"), user("bob")):
        made.admit_principal(Family.API, other)
        assert brake_of(lambda other=other: made.admit_principal(Family.API, other)) is Brake.PRINCIPAL


async def waits(made: Brakes, error: AuthenticationError, address: str) -> bool:
    """Whether an answer is held back; for as long as is set, if it is."""
    began = time.monotonic()
    await made.hold_back(Family.S3, error, address)
    return time.monotonic() - began >= DELAY_SECONDS


GUESSES = [Reason.SIGNATURE_MISMATCH, Reason.UNKNOWN_ACCESS_KEY, Reason.SECURITY_TOKEN]


@pytest.mark.parametrize("reason", GUESSES)
async def test_too_many_failures_from_an_address_are_held_back(reason: Reason) -> None:
    made = brakes(failures=5, failure_delay_seconds=DELAY_SECONDS)
    keys = [f"AKIA{number}" for number in range(7)]
    assert [await waits(made, wrong(reason, key), HERE) for key in keys] == [False] * 5 + [True] * 2
    assert not await waits(made, wrong(reason, "AKIA0"), THERE)


@pytest.mark.parametrize("reason", GUESSES)
async def test_too_many_failures_for_a_key_are_held_back_wherever_they_come_from(reason: Reason) -> None:
    made = brakes(failures=5, failure_delay_seconds=DELAY_SECONDS)
    addresses = [f"203.0.113.{number}" for number in range(6)]
    assert [await waits(made, wrong(reason), address) for address in addresses] == [False] * 5 + [True]
    # The address is not to blame for what others sent: its right signatures, and other keys, are answered at once.
    assert not await waits(made, wrong(reason, "AKIAOTHER"), addresses[5])
    made.admit_address(Family.S3, addresses[5])


async def test_other_refusals_are_no_guesses() -> None:
    made = brakes(failures=1, failure_delay_seconds=DELAY_SECONDS)
    for reason in set(Reason) - set(GUESSES):
        assert [await waits(made, wrong(reason), HERE) for _ in range(3)] == [False] * 3


async def test_nothing_is_held_back_without_a_bound() -> None:
    made = brakes(failures=0, failure_delay_seconds=DELAY_SECONDS)
    assert [await waits(made, wrong(), HERE) for _ in range(200)] == [False] * 200


async def test_room_of_answers_that_wait_is_bounded() -> None:
    made = brakes(failures=1, failure_delay_seconds=DELAY_SECONDS, failure_waiting=3)
    assert not await waits(made, wrong(), HERE)
    made.admit_address(Family.S3, HERE)
    waiting = [asyncio.create_task(made.hold_back(Family.API, wrong(), HERE)) for _ in range(3)]
    assert made._failures is not None
    await until(lambda: made._failures is not None and made._failures._waiting == 3)
    with pytest.raises(Throttled) as caught:
        await made.hold_back(Family.API, wrong(), HERE)
    assert caught.value.brake is Brake.FAILURES
    # Before anything is hashed, whoever fills the room is refused, and nobody else.
    assert brake_of(lambda: made.admit_address(Family.S3, HERE)) is Brake.FAILURES
    made.admit_address(Family.S3, THERE)
    # One whose client went away leaves as well.
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert made._failures._waiting == 0
    made.admit_address(Family.S3, HERE)
