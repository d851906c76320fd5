"""`KMSClient`: the `KeyService` of kmsd, at the other end of its Unix socket.

Calls are pipelined over one connection: as many as are wanted at once, answered in any order. When
kmsd goes away the client connects again with back-off; what was under way is asked once more if twice is as good as
once, and fails otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms import wire
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.types import Health, HealthState, Request

log = logging.getLogger(__name__)

R = TypeVar("R")

CALL_SECONDS = 8.0
"""Deadline of a call; longer than kmsd's own (5 s for the HSM), so that its more precise refusal arrives."""

CONNECT_SECONDS = 2.0
"""How long a call waits for a connection: a restart of kmsd takes a fraction of it."""

MAX_CALLS = 4096
"""Calls under way at once; more are refused, as kmsd would only queue them."""

_FIRST_DELAY_SECONDS = 0.02
_LONGEST_DELAY_SECONDS = 1.0
_DEADLINE_TICK_SECONDS = 0.1


class ConnectionBroken(Exception):
    """kmsd went away while a call was under way."""


class NotBegun(ConnectionBroken):
    """The request is for the next kmsd: this one has not begun it, and ends."""


class _Call:
    """One request under way: where its answer goes, and until when."""

    __slots__ = ("answer", "deadline", "result")

    def __init__(self, answer: asyncio.Future[Any], result: msgspec.msgpack.Decoder[Any], deadline: float) -> None:
        self.answer: Final = answer
        self.result: Final = result
        self.deadline: Final = deadline


class _Connection(asyncio.Protocol):
    """One connection to kmsd. `lost` is done when it is over; once it `is_leaving`, it takes no new requests."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
        self._calls: dict[int, _Call] = {}
        self._next_id = 0
        self._unsent: list[bytes] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.is_leaving = False
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class

    def request(
        self, kind: int, result: msgspec.msgpack.Decoder[R], arguments: object, deadline: float
    ) -> asyncio.Future[R]:
        """Send a request; the future ends with the answer, KMSError or ConnectionBroken."""
        if len(self._calls) >= MAX_CALLS:
            raise KMSUnavailable("Too many calls of the key process are under way.", 1)
        self._next_id += 1
        frame = _request_frame(kind, self._next_id, arguments)
        answer: asyncio.Future[R] = self._loop.create_future()
        self._calls[self._next_id] = _Call(answer, result, deadline)
        if len(self._calls) == 1:
            self._write(frame)
        else:
            # One system call for all that are made in this turn of the loop: half the cost of a pipelined call.
            if not self._unsent:
                self._loop.call_soon(self._send)
            self._unsent.append(frame)
        if self._ticker is None:
            self._ticker = self._loop.call_later(_DEADLINE_TICK_SECONDS, self._tick)
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            for kind, request_id, body in self._reader.frames():
                self._take(kind, request_id, body)
        except (wire.WireError, msgspec.DecodeError) as error:
            log.error("kmsd does not speak this release's protocol: %s", error)
            self.close()
        if self.is_leaving and not self._calls:
            self.close()

    def _take(self, kind: int, request_id: int, body: bytes) -> None:
        if kind == wire.DECLINED:
            self.is_leaving = True
        call = self._calls.get(request_id)
        if call is not None:
            if not call.answer.done():
                _settle(call, kind, body)
            # Not before: a reply that cannot be read leaves its call to be failed with the connection.
            del self._calls[request_id]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(ConnectionBroken())
        self._calls.clear()
        if not self.lost.done():
            self.lost.set_result(None)

    def _send(self) -> None:
        frames, self._unsent = self._unsent, []
        self._write(b"".join(frames))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _tick(self) -> None:
        """End what is past its deadline or was given up."""
        now = self._loop.time()
        for request_id, call in list(self._calls.items()):
            if call.answer.done():
                del self._calls[request_id]
            elif call.deadline <= now:
                del self._calls[request_id]
                call.answer.set_exception(KMSUnavailable("The key process did not answer in time."))
        if self.is_leaving and not self._calls:
            self.close()
        self._ticker = self._loop.call_later(_DEADLINE_TICK_SECONDS, self._tick) if self._calls else None


def _request_frame(kind: int, request_id: int, arguments: object) -> bytes:
    """The frame, or the refusal of what no KMS takes: kmsd would close the connection, with all its other calls."""
    try:
        frame = wire.format_frame(kind, request_id, arguments)
    except (UnicodeError, OverflowError):
        raise KMSError(
            "ValidationException", "The request holds text that is not Unicode, or too large a number."
        ) from None
    if len(frame) > wire.MAX_REQUEST_BYTES:
        raise KMSError("ValidationException", f"The request is longer than {wire.MAX_REQUEST_BYTES} bytes.")
    return frame


def _settle(call: _Call, kind: int, body: bytes) -> None:
    if kind in (wire.ANSWER, wire.EXPLAINED):
        call.answer.set_result(call.result.decode(body))
    elif kind == wire.REFUSAL:
        call.answer.set_exception(wire.parse_refusal(body))
    elif kind == wire.DECLINED:
        call.answer.set_exception(NotBegun())
    else:
        raise wire.WireError(f"a reply of kind {kind}")


class KMSClient:
    """Implements `kms.api.service.KeyService` over kmsd's socket at `path`; belongs to one event loop.

    Connects when first called and again whenever needed. Every call ends within `call_seconds` and the request's extra
    ones; while kmsd is away a call waits up to `connect_seconds` for it and then raises KMSUnavailable.
    """

    def __init__(
        self, path: Path, *, call_seconds: float = CALL_SECONDS, connect_seconds: float = CONNECT_SECONDS
    ) -> None:
        self._path = path
        self._call_seconds = call_seconds
        self._connect_seconds = connect_seconds
        self._connection: _Connection | None = None
        self._leaving: list[_Connection] = []
        self._connecting: asyncio.Task[_Connection] | None = None
        self._was_connected = False
        self._closed = False

    async def close(self) -> None:
        """End the connection; calls under way fail."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await self._connecting
        for connection in (*self._leaving, self._connection):
            if connection is not None:
                connection.close()
                await connection.lost

    async def call(self, caller: Caller, request: Request[R], decisions: list[Decided] | None = None) -> R:
        verb = wire.VERB_OF[type(request)]
        arguments = caller, request, decisions is not None
        seconds, is_idempotent = self._call_seconds + request.extra_seconds, request.is_idempotent
        answer: R
        if decisions is None:
            answer = await self._ask(verb.number, verb.result, arguments, seconds=seconds, is_idempotent=is_idempotent)
            return answer
        answer, told = await self._ask(
            verb.number, verb.explained, arguments, seconds=seconds, is_idempotent=is_idempotent
        )
        decisions += told
        return answer

    async def health(self) -> Health:
        """kmsd's health; without a connection, within a second, that it is away."""
        try:
            async with asyncio.timeout(0.9):
                seconds = self._call_seconds
                return await self._ask(wire.HEALTH, wire.HEALTH_RESULT, None, seconds=seconds, is_idempotent=True)
        except (TimeoutError, KMSError):
            state = HealthState.DEGRADED if self._was_connected else HealthState.SEALED
            return Health(state, "the key process does not answer", 5)

    # Connection

    async def _ask(
        self,
        kind: int,
        result: msgspec.msgpack.Decoder[R],
        arguments: object,
        *,
        seconds: float,
        is_idempotent: bool,
    ) -> R:
        deadline = asyncio.get_running_loop().time() + seconds
        was_broken = False
        while True:
            connection = self._usable()
            if connection is None:
                connection = await self._connect()
            try:
                return await connection.request(kind, result, arguments, deadline)
            except NotBegun:
                # The next one waits in the socket until the successor takes it, or for its deadline.
                continue
            except ConnectionBroken:
                if not is_idempotent:
                    raise KMSUnavailable(
                        "The key process went away during the call; it may or may not have been done.", 1
                    ) from None
                if was_broken:
                    raise KMSUnavailable("The key process went away during the call.", 1) from None
                was_broken = True

    def _usable(self) -> _Connection | None:
        connection = self._connection
        return None if connection is None or connection.is_leaving or connection.lost.done() else connection

    async def _connect(self) -> _Connection:
        """The connection, made if there is none; all callers wait for the same attempt."""
        if self._closed:
            raise KMSUnavailable("This client of the key process is closed.")
        connection = self._usable()
        if connection is not None:
            return connection
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._keep_connecting())
            self._connecting.add_done_callback(self._connected)
        try:
            async with asyncio.timeout(self._connect_seconds):
                return await asyncio.shield(self._connecting)
        except TimeoutError:
            raise KMSUnavailable("The key process cannot be reached.") from None
        except asyncio.CancelledError:
            if self._closed:
                raise KMSUnavailable("This client of the key process is closed.") from None
            raise

    async def _keep_connecting(self) -> _Connection:
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                _, connection = await loop.create_unix_connection(_Connection, str(self._path))
            except OSError as error:
                log.debug("kmsd cannot be reached: %s", error)
            else:
                self._leaving = [each for each in (*self._leaving, self._connection) if each and not each.lost.done()]
                self._connection = connection
                self._was_connected = True
                return connection
            # Jitter, so that many workers do not knock at once.
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    def _connected(self, task: asyncio.Task[_Connection]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # seen here, should every caller have given up waiting
