"""What slows clients down: rates of principals and addresses, and of signatures that were wrong.

Whoever is too fast is refused before its request costs anything (SlowDown, ThrottlingException, Throttling: SDKs wait
and repeat those). Answers to wrong signatures and unknown access keys are held back once there were too many of them,
counted by the address they came from and by the access key that they name, whether it exists or not. Only such answers
are: a right signature is answered at once, whatever others do with the same access key, so that nobody can lock out
somebody else. Held back answers wait in a room of bounded size; while it is full, addresses that sent too many are
refused before anything of their requests is hashed.

All counts are of the node (`gateway.server.rate_table`); the room is of each worker.
"""

from __future__ import annotations

import asyncio
import math
import time
from enum import StrEnum

from gateway.config import LimitSettings
from gateway.server import metrics
from gateway.server.addresses import address_bytes
from gateway.server.rate_table import Limit, Rate, RateTable, name_bytes, seconds_of
from iam.errors import AuthenticationError, Reason
from iam.principals import Principal

PLACES = 16_384
"""In each row of a limit: 256 KiB for each limit that is on."""

MAX_KEY_ID = 128
"""Characters of an access key id that count; none that exists is longer."""

_GUESSES = frozenset({Reason.UNKNOWN_ACCESS_KEY, Reason.SIGNATURE_MISMATCH, Reason.SECURITY_TOKEN})
"""The refusals that somebody gets who tries out access keys, secrets or session tokens."""


class Family(StrEnum):
    """Services that share their rates."""

    S3 = "s3"
    API = "api"
    """The KMS, IAM and STS."""


class Brake(StrEnum):
    """What a request was refused by, as metrics name it."""

    ADDRESS = "address"
    PRINCIPAL = "principal"
    FAILURES = "failures"


class Throttled(Exception):
    """A request that came too early; the next one may come after `retry_after_seconds`."""

    def __init__(self, brake: Brake, retry_after_seconds: int) -> None:
        super().__init__(f"too many requests ({brake.value})")
        self.brake = brake
        self.retry_after_seconds = retry_after_seconds


class Brakes:
    """The brakes of one worker on the table that it shares with the others of its node."""

    def __init__(self, table: RateTable, settings: LimitSettings) -> None:
        rates = {
            (Family.S3, Brake.ADDRESS): (settings.s3_address_rate, settings.s3_address_burst),
            (Family.S3, Brake.PRINCIPAL): (settings.s3_principal_rate, settings.s3_principal_burst),
            (Family.API, Brake.ADDRESS): (settings.api_address_rate, settings.api_address_burst),
            (Family.API, Brake.PRINCIPAL): (settings.api_principal_rate, settings.api_principal_burst),
        }
        self._limits: dict[tuple[Family, Brake], Limit] = {}
        for which, (rate, burst) in rates.items():
            if rate:
                canonical = address_bytes if which[1] is Brake.ADDRESS else name_bytes
                self._limits[which] = table.limit(Rate(rate, burst or rate), places=PLACES, canonical=canonical)
        self._failures = _Failures(table, settings) if settings.failures else None

    def admit_address(self, family: Family, remote_ip: str) -> None:
        """Before anything else of a request is looked at. Raises Throttled."""
        if self._limits:
            self._take(family, Brake.ADDRESS, remote_ip)
        if self._failures is not None and self._failures.is_shut(remote_ip):
            raise _throttled(family, Brake.FAILURES, self._failures.delay_seconds)

    def admit_principal(self, family: Family, principal: Principal) -> None:
        """Once it is known who asks. All sessions of a role, or of a user, are one principal. Raises Throttled."""
        self._take(family, Brake.PRINCIPAL, principal.issuer_arn or principal.arn)

    async def hold_back(self, family: Family, error: AuthenticationError, remote_ip: str) -> None:
        """Before a request is answered by `error`: waits if there were too many of its kind.

        Raises Throttled, to be answered instead, if too many wait.
        """
        if self._failures is None or error.reason not in _GUESSES:
            return
        if not self._failures.count(remote_ip, error.fields.get("AWSAccessKeyId", "")):
            return
        if not await self._failures.wait():
            raise _throttled(family, Brake.FAILURES, self._failures.delay_seconds)

    def _take(self, family: Family, brake: Brake, name: str) -> None:
        limit = self._limits.get((family, brake))
        if limit is not None and (wait_ns := limit.take(name, time.monotonic_ns())):
            raise _throttled(family, brake, seconds_of(wait_ns))


class _Failures:
    """Counts wrong signatures and unknown access keys, and keeps the room where answers to them wait."""

    def __init__(self, table: RateTable, settings: LimitSettings) -> None:
        rate = Rate(settings.failures / settings.failure_seconds, settings.failures)
        self._of_address = table.limit(rate, places=PLACES, canonical=address_bytes)
        self._of_key = table.limit(rate, places=PLACES)
        self.delay_seconds = math.ceil(settings.failure_delay_seconds)
        self._delay_seconds = settings.failure_delay_seconds
        self._room = settings.failure_waiting
        self._waiting = 0

    def is_shut(self, remote_ip: str) -> bool:
        """Whether the room is full and this address is one of those that fill it."""
        return self._waiting >= self._room and bool(self._of_address.wait(remote_ip, time.monotonic_ns()))

    def count(self, remote_ip: str, access_key_id: str) -> bool:
        """Count a failure; True if there were too many, from there or for that key."""
        now_ns = time.monotonic_ns()
        too_many_from_there = self._of_address.take(remote_ip, now_ns)
        too_many_for_key = self._of_key.take(access_key_id[:MAX_KEY_ID], now_ns) if access_key_id else 0
        return bool(too_many_from_there or too_many_for_key)

    async def wait(self) -> bool:
        """Hold an answer back; False, at once, if the room is full."""
        if self._waiting >= self._room:
            return False
        self._waiting += 1
        metrics.DELAYED.inc()
        try:
            await asyncio.sleep(self._delay_seconds)
        finally:
            self._waiting -= 1
        return True


def _throttled(family: Family, brake: Brake, retry_after_seconds: int) -> Throttled:
    metrics.count_throttled(family.value, brake.value)
    return Throttled(brake, max(1, retry_after_seconds))
