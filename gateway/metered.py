"""The key service as a worker asks it: within the quotas of accounts, and each call counted."""

from __future__ import annotations

from typing import TypeVar

from gateway.server import metrics
from gateway.server.kms_quotas import KMSQuotas
from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.api.types import Health, Request

R = TypeVar("R")


class MeteredKeyService:
    """`KeyService` in front of another. What is beyond a quota never reaches that one, nor the audit trail."""

    def __init__(self, service: KeyService, quotas: KMSQuotas) -> None:
        self._service = service
        self._quotas = quotas

    async def call(self, caller: Caller, request: Request[R], decisions: list[Decided] | None = None) -> R:
        outcome = "ok"
        try:
            self._quotas.take(caller, request)
            return await self._service.call(caller, request, decisions)
        except KMSError as error:
            outcome = error.code
            raise
        finally:
            metrics.count_kms_call(request.operation_name(), outcome)

    async def health(self) -> Health:
        return await self._service.health()
