"""Downloads under KMS keys, cut when their key is no more to be used (`kms.on_key_disabled = "abort"`).

A download's data key was opened while the KMS key was enabled, and S3 lets it end. Where rules demand that a key which
is disabled, or scheduled for deletion, opens nothing from that moment on, running downloads are broken off: their
connections are reset, never ended cleanly, also while a client takes its bytes slowly.

Costs: a download is a member of a set. While there are any, the epoch of the KMS (a number in shared memory) is looked
at every LOOK_SECONDS; only if it moved is the KMS asked, once for each key that downloads are under.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from gateway.protocol.messages import Buffer
from iam.principals import service_caller
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import DescribeKey, KeyState

LOOK_SECONDS: Final = 0.25
UNKNOWN_SECONDS: Final = 5.0
"""How long downloads go on while something changed in the KMS, and it does not tell what."""

_REQUEST_ID: Final = "running-downloads"
_USABLE: Final = frozenset({KeyState.ENABLED, KeyState.UPDATING})

_log = logging.getLogger(__name__)


class Stream(Protocol):
    """A body under way."""

    def __aiter__(self) -> AsyncIterator[Buffer]: ...

    async def __anext__(self) -> Buffer: ...

    async def aclose(self) -> None: ...


class KeyWatch:
    """For one event loop. `epoch` reads the KMS's."""

    def __init__(self, kms: KeyService, epoch: Callable[[], int]) -> None:
        self._kms = kms
        self._epoch = epoch
        self._streams: set[WatchedStream] = set()
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def epoch(self) -> int:
        """To be read before a key is opened, for `watched`."""
        return self._epoch()

    def watched(self, stream: Stream, key_arn: str, epoch: int, request_id: str) -> WatchedStream:
        """`stream`, which the calling task sends: it is cancelled, with the reason as message, when the key is no more
        to be used."""
        watched = WatchedStream(self, stream, key_arn, epoch, request_id)
        self._streams.add(watched)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return watched

    def forget(self, stream: WatchedStream) -> None:
        self._streams.discard(stream)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        unknown_since: float | None = None
        try:
            while self._streams:
                await asyncio.sleep(LOOK_SECONDS)
                if await self._settle(self._epoch()):
                    unknown_since = None
                    continue
                now = asyncio.get_running_loop().time()
                unknown_since = unknown_since or now
                if now - unknown_since >= UNKNOWN_SECONDS:
                    self._cut_unknown()
        except Exception:
            _log.exception("running downloads cannot be watched any more, and are broken off")
            for stream in list(self._streams):
                self._cut(stream, f"nobody can tell whether {stream.key_arn} can still be used")
        finally:
            self._looking = None

    async def _settle(self, epoch: int) -> bool:
        """Ask about the keys whose downloads began, or were asked about, before `epoch`; whether all was answered."""
        asked = {stream.key_arn for stream in self._streams if stream.epoch != epoch}
        is_known = True
        for key_arn in asked:
            try:
                problem = await self._problem(key_arn)
            except KMSUnavailable:
                is_known = False
                continue
            for stream in [each for each in self._streams if each.key_arn == key_arn and each.epoch != epoch]:
                stream.epoch = epoch
                if problem is not None:
                    self._cut(stream, problem)
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
        for stream in [each for each in self._streams if each.epoch != epoch]:
            self._cut(stream, f"the KMS does not tell whether {stream.key_arn} can still be used")

    def _cut(self, stream: WatchedStream, problem: str) -> None:
        self.forget(stream)
        _log.warning("request %s: its download was broken off: %s", stream.request_id, problem)
        stream.task.cancel(f"broken off because {problem}")


class WatchedStream:
    """See `KeyWatch.watched`; it is forgotten when it ends or is closed."""

    def __init__(self, watch: KeyWatch, stream: Stream, key_arn: str, epoch: int, request_id: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.key_arn = key_arn
        self.epoch = epoch
        self.request_id = request_id
        self._watch = watch
        self._stream = stream

    def __aiter__(self) -> WatchedStream:
        return self

    async def __anext__(self) -> Buffer:
        return await anext(self._stream)

    async def aclose(self) -> None:
        self._watch.forget(self)
        await self._stream.aclose()
