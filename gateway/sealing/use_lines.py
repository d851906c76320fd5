"""Lines of the audit trail about uses of one bucket key, told to the KMS many at a time.

A use must not have an effect before its line is written, and asking kmsd costs both processes as much as reading the
object does. So lines queue while others are on their way, and go with the next call: as commits of the index do, and
without a timer. Who is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.errors import KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import RecordCall

MOST_USES: Final = 128
"""Of one call: with the longest keys a quarter of what a request to kmsd may have."""

_Use = tuple[str, str, asyncio.Future[None]]


class UseLines:
    """Tells uses that differ in nothing but request and object; belongs to one event loop."""

    def __init__(
        self, kms: KeyService, caller: Caller, event_name: str, parameters: str, decisions: Sequence[Decided]
    ) -> None:
        """`caller` for all but its request and its object; `parameters` is a JSON object."""
        self._kms = kms
        self._caller = caller
        self._event_name = event_name
        self._parameters = parameters
        self._decisions = tuple(decisions)
        self._waiting: list[_Use] = []
        self._is_telling = False
        self._task: asyncio.Task[None] | None = None

    async def tell(self, request_id: str, object_arn: str) -> None:
        """Return once the line is written. Raises KMSError if it is not known to be: then the key is not used."""
        if self._is_telling:
            told = asyncio.get_running_loop().create_future()
            self._waiting.append((request_id, object_arn, told))
            await told
            return
        self._is_telling = True
        try:
            await self._call(((request_id, object_arn),))
        finally:
            self._go_on()

    async def _call(self, uses: tuple[tuple[str, str], ...]) -> None:
        record = RecordCall(
            "s3.amazonaws.com",
            self._event_name,
            self._parameters,
            decisions=self._decisions,
            is_change=False,
            uses=uses,
        )
        await self._kms.call(self._caller, record)

    def _go_on(self) -> None:
        if self._waiting:
            self._task = asyncio.get_running_loop().create_task(self._tell_waiting())
        else:
            self._is_telling = False

    async def _tell_waiting(self) -> None:
        group, self._waiting = self._waiting[:MOST_USES], self._waiting[MOST_USES:]
        try:
            await self._call(tuple((request_id, object_arn) for request_id, object_arn, _ in group))
        except asyncio.CancelledError:  # with the process: nobody else would tell those who wait
            _settle(group + self._waiting, KMSUnavailable("The audit trail was not told."))
            self._waiting = []
            self._is_telling = False
            raise
        except Exception as error:
            _settle(group, error)
        else:
            _settle(group, None)
        self._go_on()


def _settle(group: Sequence[_Use], failure: Exception | None) -> None:
    for _, _, told in group:
        if told.done():  # its request was broken off
            continue
        if failure is None:
            told.set_result(None)
        else:
            told.set_exception(failure)
