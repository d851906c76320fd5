"""The quotas of accounts on the KMS, kept by the workers of a node together (`gateway.server.rate_table`)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from gateway.server import metrics
from gateway.server.rate_table import Rate, RateTable
from iam.principals import Caller, PrincipalKind
from kms.api.errors import KMSError
from kms.api.quotas import quotas_of
from kms.api.types import Request

PLACES = 1024
"""In each row of a quota: accounts are far fewer than addresses, and no client makes them up."""

MESSAGE = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
"""AWS KMS Developer Guide, "Throttling AWS KMS requests"."""


class KMSQuotas:
    """Requests a second by quota (`kms.api.quotas`), and as many at once: AWS counts in intervals of a second."""

    def __init__(self, table: RateTable, quotas: Mapping[str, float]) -> None:
        self._limits = {
            name: table.limit(Rate(per_second, max(1, math.ceil(per_second))), places=PLACES)
            for name, per_second in sorted(quotas.items())
        }

    def take(self, caller: Caller, request: Request[Any]) -> None:
        """Count a request. Raises KMSError(ThrottlingException).

        What the gateway does with keys of its own is not counted, as the use of AWS owned keys is not.
        """
        if not self._limits or caller.principal.kind is PrincipalKind.SERVICE:
            return
        client = f"{caller.principal.account_id}/{caller.region or ''}"
        now_ns = time.monotonic_ns()
        for name in quotas_of(request):
            limit = self._limits.get(name)
            if limit is not None and limit.take(client, now_ns):
                metrics.count_throttled("kms", "quota")
                raise KMSError("ThrottlingException", MESSAGE)
