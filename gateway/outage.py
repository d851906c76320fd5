"""What a worker does that is started again while index or blobs cannot be opened: it says so, at once.

Its sockets are the supervisor's, which go on to take connections, so that clients would wait for as long as they care
to. A first start fails instead, and the operator sees why.
"""

from __future__ import annotations

import logging

from gateway.app import dispatcher
from gateway.config import Settings
from gateway.protocol.messages import Request, Response
from gateway.server.brakes import Brakes
from gateway.server.dispatch import Unsealed
from gateway.server.kms_edge import KMSEdge
from gateway.server.rate_table import RateTable
from kms.api.errors import KMSUnavailable
from kms.client import KMSClient

_log = logging.getLogger(__name__)


class Outage:
    """Refuses every request, of whichever service, as one does that is sealed: 503 with Retry-After."""

    def __init__(self, settings: Settings, rates: RateTable) -> None:
        self._reason = ""
        self._kms = KMSClient(settings.kms.socket, call_seconds=settings.kms.call_seconds)  # asked for nothing
        brakes = Brakes(rates, settings.limits)
        self._dispatcher = dispatcher(settings, KMSEdge(self._kms, brakes), brakes, self._refuse)

    def note(self, reason: str) -> None:
        """Why it goes on."""
        if reason != self._reason:
            _log.error("every request is refused: %s", reason)
        self._reason = reason

    async def handle(self, request: Request) -> Response:
        return await self._dispatcher.handle(request)

    async def ready(self) -> tuple[bool, list[str]]:
        return False, [self._reason]

    async def close(self) -> None:
        await self._kms.close()

    def _refuse(self) -> Unsealed:
        raise KMSUnavailable("Index or blobs cannot be used.")
