"""Who is let in: the authenticator, which is asked again once this node knows what other nodes changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from iam.authenticator import Authenticated, Authenticator
from iam.errors import AuthenticationError, Reason
from iam.requests import SignableRequest
from iam.scope import Service
from iam.store.interface import CatchUp, nothing_to_catch_up


class Door:
    """An access key that nobody here knows may have been made on another node a moment ago: before it is refused, the
    node catches up with the database. Otherwise it is the authenticator, whose methods say the rest."""

    def __init__(self, authenticator: Authenticator, catch_up: CatchUp = nothing_to_catch_up) -> None:
        self._authenticator = authenticator
        self._catch_up = catch_up

    @property
    def region(self) -> str:
        """The home region."""
        return self._authenticator.region

    async def authenticate(
        self,
        request: SignableRequest,
        service: Service,
        *,
        now: datetime,
        body_sha256: str | None = None,
        bucket_of_host: str | None = None,
    ) -> Authenticated | None:
        authenticate = self._authenticator.authenticate
        try:
            return authenticate(request, service, now=now, body_sha256=body_sha256, bucket_of_host=bucket_of_host)
        except AuthenticationError as error:
            await self._may_know_now(error)
        return authenticate(request, service, now=now, body_sha256=body_sha256, bucket_of_host=bucket_of_host)

    async def authenticate_form(
        self, fields: Mapping[str, str], service: Service, *, now: datetime
    ) -> Authenticated | None:
        try:
            return self._authenticator.authenticate_form(fields, service, now=now)
        except AuthenticationError as error:
            await self._may_know_now(error)
        return self._authenticator.authenticate_form(fields, service, now=now)

    async def _may_know_now(self, error: AuthenticationError) -> None:
        """Raises `error` if there is nothing to ask again for."""
        if error.reason is not Reason.UNKNOWN_ACCESS_KEY or not await self._catch_up():
            raise error
