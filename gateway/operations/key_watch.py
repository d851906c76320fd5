"""Requests that move data under KMS keys, cut when a key is no more to be used (`kms.on_key_disabled = "abort"`).

The data key of a download, an upload or a copy was opened while the KMS key was enabled, and S3 lets it end. Where
rules demand that a key which is disabled, or scheduled for deletion, opens nothing from that moment on, they are broken
off: their connections are reset, never ended cleanly, also while a client takes or sends its bytes slowly. An upload
whose bytes have all been stored is not cut any more.

Costs: each use of a key is a member of a set. While there are any, the epoch of the KMS (a number in shared memory) is
looked at every LOOK_SECONDS; only if it moved is the KMS asked, once for each key that is in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.protocol.messages import Buffer
from iam.principals import service_caller
from iam.quickly_made import quickly_made
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import DescribeKey, KeyState

LOOK_SECONDS: Final = 0.25
UNKNOWN_SECONDS: Final = 5.0
"""How long requests go on while something changed in the KMS, and it does not tell what."""

_REQUEST_ID: Final = "running-requests"
_USABLE: Final = frozenset({KeyState.ENABLED, KeyState.UPDATING})

_log = logging.getLogger(__name__)


class Stream(Protocol):
    """A body under way."""

    def __aiter__(self) -> AsyncIterator[Buffer]: ...

    async def __anext__(self) -> Buffer: ...

    async def aclose(self) -> None: ...


@quickly_made
@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A KMS key that a data key was opened by, or made; `epoch` is the KMS's from before it was."""

    arn: str
    epoch: int


@dataclass(slots=True, eq=False)
class _Use:
    task: asyncio.Task[object]
    key_arn: str
    epoch: int
    request_id: str


class KeyWatch:
    """For one event loop. `epoch` reads the KMS's."""

    def __init__(self, kms: KeyService, epoch: Callable[[], int]) -> None:
        self._kms = kms
        self._epoch = epoch
        self._uses: set[_Use] = set()
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._uses)

    def epoch(self) -> int:
        """To be read before a key is opened, for `KeyInUse`."""
        return self._epoch()

    def watched(self, stream: Stream, keys: Sequence[KeyInUse], request_id: str) -> WatchedStream:
        """`stream`, which the calling task sends: it is cancelled, with the reason as message, when one of the keys is
        no more to be used."""
        uses = self._begin(keys, request_id)
        return WatchedStream(stream, lambda: self._end(uses))

    @contextmanager
    def watching(self, keys: Sequence[KeyInUse], request_id: str) -> Iterator[None]:
        """The calling task is cancelled in the same way while the block runs."""
        uses = self._begin(keys, request_id)
        try:
            yield
        finally:
            self._end(uses)

    def _begin(self, keys: Sequence[KeyInUse], request_id: str) -> list[_Use]:
        task = asyncio.current_task()
        assert task is not None
        uses = [_Use(task, key.arn, key.epoch, request_id) for key in keys]
        self._uses.update(uses)
        if self._uses and self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return uses

    def _end(self, uses: Sequence[_Use]) -> None:
        self._uses.difference_update(uses)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        unknown_since: float | None = None
        try:
            while self._uses:
                await asyncio.sleep(LOOK_SECONDS)
                if await self._settle(self._epoch()):
                    unknown_since = None
                    continue
                now = asyncio.get_running_loop().time()
                unknown_since = unknown_since or now
                if now - unknown_since >= UNKNOWN_SECONDS:
                    self._cut_unknown()
        except Exception:
            _log.exception("running requests cannot be watched any more, and are broken off")
            for use in list(self._uses):
                self._cut(use, f"nobody can tell whether {use.key_arn} can still be used")
        finally:
            self._looking = None

    async def _settle(self, epoch: int) -> bool:
        """Ask about the keys that were opened, or asked about, before `epoch`; whether all was answered."""
        asked = {use.key_arn for use in self._uses if use.epoch != epoch}
        is_known = True
        for key_arn in asked:
            try:
                problem = await self._problem(key_arn)
            except KMSUnavailable:
                is_known = False
                continue
            for use in [each for each in self._uses if each.key_arn == key_arn and each.epoch != epoch]:
                use.epoch = epoch
                if problem is not None:
                    self._cut(use, problem)
        return is_known

    async def _problem(self, key_arn: str) -> str | None:
        """Raises KMSUnavailable."""
        try:
            state = (await self._kms.call(service_caller(_REQUEST_ID), DescribeKey(key_arn))).state
        except KMSUnavailable:
            raise
        except KMSError as error:
            return f"{key_arn} cannot be used any more ({error.code})"
        return None if state in _USABLE else f"{key_arn} is {state.value}"

    def _cut_unknown(self) -> None:
        epoch = self._epoch()
        for use in [each for each in self._uses if each.epoch != epoch]:
            self._cut(use, f"the KMS does not tell whether {use.key_arn} can still be used")

    def _cut(self, use: _Use, problem: str) -> None:
        if use not in self._uses:
            return  # its request was cut for another of its keys
        self._end([each for each in self._uses if each.task is use.task])
        _log.warning("request %s: it was broken off: %s", use.request_id, problem)
        use.task.cancel(f"broken off because {problem}")


class WatchedStream:
    """See `KeyWatch.watched`; it is forgotten when it ends or is closed."""

    def __init__(self, stream: Stream, end: Callable[[], None]) -> None:
        self._stream = stream
        self._end = end

    def __aiter__(self) -> WatchedStream:
        return self

    async def __anext__(self) -> Buffer:
        return await anext(self._stream)

    async def aclose(self) -> None:
        self._end()
        await self._stream.aclose()
