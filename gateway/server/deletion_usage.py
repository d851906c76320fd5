"""ScheduleKeyDeletion with what the key opens, for its line in the audit trail.

The KMS knows nothing of objects; what came by HTTP is counted here, in bounded time, before the KMS is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from gateway.operations.key_usage import KeyUsage, told_usage
from gateway.storage.errors import StorageError
from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.service import KeyService
from kms.api.types import Health, Request, ScheduleKeyDeletion

R = TypeVar("R")
CountUsage = Callable[[str], Coroutine[Any, Any, KeyUsage]]
"""Of the key of this ARN."""

COUNT_SECONDS: Final = 5.0
"""A million objects take some ten times as long: then the line says that it was not counted."""

_log = logging.getLogger(__name__)


class UsageTellingKeyService:
    """`KeyService` in front of another one. One key at a time is counted, however many are asked about."""

    def __init__(self, service: KeyService, region: str) -> None:
        self._service = service
        self._region = region
        self._turn = asyncio.Lock()
        self.count: CountUsage | None = None
        """None until the index can be read."""

    async def call(self, caller: Caller, request: Request[R], decisions: list[Decided] | None = None) -> R:
        if isinstance(request, ScheduleKeyDeletion) and request.usage is None:
            told = replace(request, usage=await self._usage(self._arn(caller, request.key_id)))
            return await self._service.call(caller, cast(Request[R], told), decisions)
        return await self._service.call(caller, request, decisions)

    async def health(self) -> Health:
        return await self._service.health()

    def _arn(self, caller: Caller, key_id: str) -> str:
        """ScheduleKeyDeletion takes ids and ARNs, of the caller's account and region."""
        if key_id.startswith("arn:"):
            return key_id
        return f"arn:aws:kms:{caller.region or self._region}:{caller.principal.account_id}:key/{key_id}"

    async def _usage(self, key_arn: str) -> Mapping[str, int | str]:
        if self.count is None:
            return {"notCounted": "the index is sealed"}
        try:
            async with asyncio.timeout(COUNT_SECONDS), self._turn:
                return told_usage(await self.count(key_arn))
        except TimeoutError:
            return {"notCounted": f"it took more than {COUNT_SECONDS:.0f} s"}
        except StorageError as error:
            _log.warning("what %s opens was not counted: %s", key_arn, error)
            return {"notCounted": "the index did not answer"}
