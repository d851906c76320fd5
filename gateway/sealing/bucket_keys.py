"""S3 Bucket Keys: one key of the KMS for many objects (docs/formats/object.md, "Wrap under a bucket key").

Theory of operation. A bucket key is a data key that the KMS made for a bucket. It wraps the data keys of objects here,
and lies, wrapped by the KMS, in the wrap of each of them. To use one the KMS must be asked, as the very caller: that
call decides whether the caller may. Its answer is kept for a cache period, in the clear, under a name that holds all
that the decision could depend on but the time: the caller with its address, agent, session and policies, the KMS key,
the context. So the answer that one got never serves another, and a caller whose own policies change is asked about
anew at once. What changes in the KMS (a key's state or policy, a grant, an alias) raises its epoch before it is
answered; an answer of an earlier epoch is wiped, never used. Reading and writing are two decisions, and kept apart.

A writer goes on with the bucket key that it (or another worker, by way of the store) made for the same requester, until
that is too old, has wrapped too much, or the KMS key was rotated; the KMS opens it under the right to make another one.

Each use is told to the audit trail, with its object, before it has an effect.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Final, Protocol

import msgspec

from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.epochs import BROKEN_CIPHERTEXT
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import KEY_SIZE, lp
from gateway.sealing.kms_context import S3_MANAGED_KEY_ALIAS, acting_on, bucket_of, kms_context
from gateway.sealing.ledger import note_key
from gateway.sealing.use_lines import UseLines
from gateway.sealing.wraps import bucket_key_unwrap, bucket_key_wrap, split_kms_wrap
from iam.policy.decisions import Decided
from iam.principals import NO_POLICIES, Caller
from iam.quickly_made import quickly_made
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.api.types import Decrypt, GenerateDataKey, UnwrapDataKey

MAX_OPENED: Final = 10_000
"""Bucket keys in the clear at once, a thousand bytes each; beyond, the one that ends first is wiped early."""

MAX_CURRENT: Final = 10_000
"""Bucket keys, wrapped, that are written with; beyond, the oldest is forgotten, and found in the store again."""

LOOK_SECONDS: Final = 1.0
"""What ended, or is of an earlier epoch, is wiped after this time at the latest, though nothing asks for it."""

OPENING_ATTEMPTS: Final = 3

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode
_deciding = attrgetter(*(each.name for each in fields(Caller) if each.name not in {"request_id", "resource_arn"}))
"""All of a caller but what names the request, and its object: whatever else there may be counts."""


@dataclass(frozen=True, slots=True)
class BucketKeyLimits:
    """`cache_seconds`: how long the KMS is not asked again; `life_seconds` and `most_wraps` (of one process): how long
    a bucket key is written with."""

    cache_seconds: float = 300.0
    life_seconds: float = 86_400.0
    most_wraps: int = 1 << 20


@dataclass(frozen=True, slots=True)
class BucketKey:
    """A bucket key: `wrapped` is the KMS's ciphertext blob of it, under version `key_version` of the key `key_arn`."""

    key_arn: str
    key_version: int
    wrapped: bytes
    created_us: int


class BucketKeyStore(Protocol):
    """Where workers find the bucket keys that others made. Losing one costs a call of the KMS, nothing else."""

    async def find(self, bucket_id: bytes, requester: bytes) -> BucketKey | None:
        """None also for one that was tampered with."""
        ...

    async def keep(self, bucket_id: bytes, requester: bytes, made: BucketKey, *, forget_before_us: int) -> None:
        """In place of an earlier one. Raises what storage does."""
        ...


@dataclass(slots=True)
class _Current:
    """What a requester writes with, and how many data keys this process wrapped by it."""

    made: BucketKey
    wraps: int = 0


@dataclass(slots=True, repr=False)
class _Opened:
    """An answer of the KMS. `key` is empty once it was wiped; `current` is there for writing;
    `lines` once it was used."""

    key: bytearray
    bucket_key_id: str
    decisions: tuple[Decided, ...]
    expires: float
    current: _Current | None = None
    lines: UseLines | None = None

    def wipe(self) -> None:
        self.key[:] = bytes(len(self.key))
        self.key.clear()


@quickly_made
@dataclass(frozen=True, slots=True)
class _Use:
    """One use of a bucket key: who for, on which row, and in which encryption context, which names the bucket."""

    caller: Caller
    kms_context: Mapping[str, str]
    bucket_id: bytes
    row_uid: bytes
    object_arn: str

    @classmethod
    def on(cls, caller: Caller, context: Mapping[str, str], bucket_id: bytes, row_uid: bytes, object_arn: str) -> _Use:
        """`context` is the client's own pairs."""
        return cls(caller, kms_context(context, bucket_of(object_arn)[0]), bucket_id, row_uid, object_arn)

    @property
    def acting(self) -> Caller:
        """For calls that are about the bucket: conditions on an object must not decide about others."""
        return acting_on(bucket_of(self.object_arn)[0], self.caller)

    @property
    def associated_data(self) -> bytes:
        return lp((self.bucket_id, self.row_uid, bucket_of(self.object_arn)[1].encode()))

    def name(self, purpose: bytes, *of: bytes) -> bytes:
        """What an answer is kept under: all that the KMS's decision can depend on, but the time."""
        caller = _encode(_deciding(self.caller))
        context = lp([item.encode() for pair in sorted(self.kms_context.items()) for item in pair])
        return hashlib.sha256(lp((purpose, *of, self.bucket_id, context, caller))).digest()


class BucketKeys:
    """All bucket keys of this process; belongs to one event loop.

    `epoch` reads the KMS's. `clock` is monotonic, in seconds; `now_us` is the time of day.
    """

    def __init__(
        self,
        kms: KeyService,
        store: BucketKeyStore,
        epoch: Callable[[], int],
        limits: BucketKeyLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._kms = kms
        self._store = store
        self._epoch = epoch
        self._limits = limits
        self._clock = clock
        self._now_us = now_us
        self._of_epoch = epoch()
        self._cache: dict[bytes, _Opened] = {}  # all of the epoch `_of_epoch`, in the order in which they were opened
        self._opening: dict[bytes, tuple[int, asyncio.Task[_Opened]]] = {}
        self._current: dict[tuple[bytes, bytes], _Current] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._cache)

    async def wrap(
        self,
        caller: Caller,
        data_key: SecretBytes,
        *,
        kms_key_id: str | None,
        context: Mapping[str, str],
        bucket_id: bytes,
        row_uid: bytes,
        object_arn: str,
    ) -> Wrap:
        """Wrap a data key for the row `row_uid`. Arguments and errors as `DataKeys.create`, and those of the store."""
        use = _Use.on(caller, context, bucket_id, row_uid, object_arn)
        named = kms_key_id or S3_MANAGED_KEY_ALIAS
        name = use.name(b"GenerateDataKey", named.encode())
        opened = await self._opened(name, lambda: self._open_to_write(use, named))
        current = opened.current
        assert current is not None
        current.wraps += 1
        made = current.made
        wrapped = bucket_key_wrap(opened.key, made.wrapped, data_key, use.associated_data)
        await self._tell(use, "GenerateDataKey", opened)
        return Wrap(Mode.SSE_KMS_BUCKET_KEY, wrapped, made.key_arn, made.key_version)

    async def unwrap(
        self,
        caller: Caller,
        wrap: Wrap,
        *,
        context: Mapping[str, str],
        bucket_id: bytes,
        row_uid: bytes,
        object_arn: str,
    ) -> SecretBytes:
        """The data key inside `wrap`; the other arguments as given to `wrap`, errors as `DataKeys.open`."""
        use = _Use.on(caller, context, bucket_id, row_uid, object_arn)
        try:
            blob, local = split_kms_wrap(wrap.wrapped)
            name = use.name(b"Decrypt", blob, (wrap.key_arn or "").encode())
            opened = await self._opened(name, lambda: self._open_to_read(use, blob, wrap.key_arn))
            data_key = bucket_key_unwrap(opened.key, local, use.associated_data)
        except AuthenticationFailed as error:
            error.row_uid = row_uid
            raise
        await self._tell(use, "Decrypt", opened)
        return data_key

    def close(self) -> None:
        """Wipe everything; what is still being opened is not kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _, task in self._opening.values():
            task.cancel()
        self._opening.clear()
        self._drop_all()

    async def _opened(self, name: bytes, open_: Callable[[], Awaitable[_Opened]]) -> _Opened:
        """An answer to be used before the next await; joins a call of this epoch that is under way."""
        for _ in range(OPENING_ATTEMPTS):
            self._drop_stale()
            found = self._cache.get(name)
            if found is not None and self._is_spent(found.current):
                self._end(name)
                found = None
            if found is not None:
                return found
            epoch, task = self._opening.get(name, (-1, None))
            if task is None or epoch != self._of_epoch:
                epoch = self._of_epoch
                task = asyncio.get_running_loop().create_task(self._open(name, epoch, open_))
                self._opening[name] = epoch, task
                task.add_done_callback(lambda done: self._forget_opening(name, done))
            opened = await asyncio.shield(task)
            if opened.key:
                return opened
        raise KMSUnavailable("The bucket key was let go while it was being opened.", 1)

    async def _open(self, name: bytes, epoch: int, open_: Callable[[], Awaitable[_Opened]]) -> _Opened:
        opened = await open_()
        self._drop_stale()
        if self._of_epoch == epoch:  # else it is for those who wait for it, as any answer of the KMS is
            if name in self._cache:
                self._end(name)
            elif len(self._cache) >= MAX_OPENED:
                self._end(next(iter(self._cache)))
            self._cache[name] = opened
            self._arm()
        return opened

    def _forget_opening(self, name: bytes, task: asyncio.Task[_Opened]) -> None:
        if self._opening.get(name, (0, None))[1] is task:
            del self._opening[name]
        if not task.cancelled():
            task.exception()  # whoever waited has it

    async def _open_to_read(self, use: _Use, blob: bytes, key_arn: str | None) -> _Opened:
        decisions: list[Decided] = []
        try:
            answer = await self._kms.call(use.acting, Decrypt(blob, key_arn, use.kms_context), decisions)
        except KMSError as error:
            if error.code in BROKEN_CIPHERTEXT:
                raise AuthenticationFailed from error
            raise
        return self._answered(answer.plaintext, blob, decisions)

    async def _open_to_write(self, use: _Use, named: str) -> _Opened:
        requester = _requester(use, named)
        current = await self._current_of(use.bucket_id, requester)
        decisions: list[Decided] = []
        if current is not None:
            request = UnwrapDataKey(named, current.made.wrapped, use.kms_context)
            try:
                answer = await self._kms.call(use.acting, request, decisions)
                return self._answered(answer.plaintext, current.made.wrapped, decisions, current)
            except KMSError as error:
                if error.code not in BROKEN_CIPHERTEXT:
                    raise
        made = await self._kms.call(use.acting, GenerateDataKey(named, KEY_SIZE, use.kms_context), decisions)
        by, now_us = made.ciphertext, self._now_us()
        fresh = BucketKey(by.key_arn, by.key_version, by.ciphertext_blob, now_us)
        forget_before_us = now_us - int(self._limits.life_seconds * 1_000_000)
        await self._store.keep(use.bucket_id, requester, fresh, forget_before_us=forget_before_us)
        current = self._remember(use.bucket_id, requester, fresh)
        return self._answered(made.plaintext, fresh.wrapped, decisions, current)

    async def _current_of(self, bucket_id: bytes, requester: bytes) -> _Current | None:
        """What there is to go on with: this process's own, or what another one made since."""
        known = self._current.get((bucket_id, requester))
        if known is None or self._is_spent(known):
            found = await self._store.find(bucket_id, requester)
            if found is None or (known is not None and known.made == found):
                return None
            known = self._remember(bucket_id, requester, found)
        return None if self._is_spent(known) else known

    def _remember(self, bucket_id: bytes, requester: bytes, made: BucketKey) -> _Current:
        self._current.pop((bucket_id, requester), None)
        if len(self._current) >= MAX_CURRENT:
            del self._current[next(iter(self._current))]
        current = self._current[bucket_id, requester] = _Current(made)
        return current

    def _is_spent(self, current: _Current | None) -> bool:
        """Too old, or used too often; one from the future, by a clock that was set back, is too old as well."""
        if current is None:
            return False
        age_seconds = (self._now_us() - current.made.created_us) / 1_000_000
        return current.wraps >= self._limits.most_wraps or not 0 <= age_seconds < self._limits.life_seconds

    def _answered(
        self, plaintext: SecretBytes, blob: bytes, decisions: list[Decided], current: _Current | None = None
    ) -> _Opened:
        if len(plaintext) != KEY_SIZE:
            raise AuthenticationFailed
        note_key(plaintext.reveal())
        expires = self._clock() + self._limits.cache_seconds
        return _Opened(bytearray(plaintext.reveal()), bucket_key_id(blob), tuple(decisions), expires, current)

    async def _tell(self, use: _Use, event_name: str, opened: _Opened) -> None:
        """The line of the object in the audit trail: the KMS was told of the bucket alone, and not every time.

        Raises KMSUnavailable if it cannot be written: then the key is not used.
        """
        lines = opened.lines
        if lines is None:  # one for all uses: the name of the answer holds all that they say, but request and object
            told = {"bucketKeyId": opened.bucket_key_id, "encryptionContext": use.kms_context}
            caller = replace(use.caller, resource_arn=None, policies=NO_POLICIES)
            parameters = _encode_json(told).decode()
            lines = opened.lines = UseLines(self._kms, caller, event_name, parameters, opened.decisions)
        await lines.tell(use.caller.request_id, use.object_arn)

    def _drop_stale(self) -> None:
        """Wipe what is of an earlier epoch, and what has ended."""
        epoch = self._epoch()
        if epoch != self._of_epoch:
            self._drop_all()
            self._of_epoch = epoch
        now = self._clock()
        while self._cache:
            name = next(iter(self._cache))
            if self._cache[name].expires > now:
                break
            self._end(name)

    def _drop_all(self) -> None:
        for name in list(self._cache):
            self._end(name)

    def _end(self, name: bytes) -> None:
        self._cache.pop(name).wipe()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        self._drop_stale()
        if self._cache:
            self._arm()


def bucket_key_id(blob: bytes) -> str:
    """How the audit trail names a bucket key: by 32 digits of the SHA-256 of its ciphertext blob."""
    return hashlib.sha256(blob).hexdigest()[:32]


def _requester(use: _Use, named: str) -> bytes:
    """Whom a bucket key is for: a user, or a role with all its sessions; and for which KMS key and context."""
    principal = use.caller.principal
    context = [item.encode() for pair in sorted(use.kms_context.items()) for item in pair]
    return hashlib.sha256(lp(((principal.issuer_arn or principal.arn).encode(), named.encode(), *context))).digest()
