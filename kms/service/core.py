"""What every family of verbs works with: the key a caller named, material to use, and changes that take effect.

Theory of operation. `key_for` finds, authorises and checks the state, in this order and without waiting, from rows
that are compared with the epoch at every use. `material` gives a key together with a lease on one of its versions; when
the root has to open it first, the key is found and checked anew afterwards, so that between the last check and the use
nothing waits. `change` runs a write in the one writer thread and raises the epoch there, right after the commit and
whatever becomes of the caller meanwhile.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from database.threads import started_threads
from iam.principals import Caller
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.types import Request
from kms.audit.trail import AuditTrail
from kms.epoch import Epoch
from kms.hsm.interface import KeyLetGo, Root
from kms.keys.state import ACCEPTS_ALIAS, Operation, check_state
from kms.service.authorisation import Authorise, PolicyAuthoriser, access_denied_abroad
from kms.service.call import Call
from kms.service.key_cache import KeyCache
from kms.service.key_names import KeyName, alias_arn, key_arn, parse_key_name
from kms.service.leases import Lease, Leases
from kms.service.public_keys import PublicKeys
from kms.service.recording import Recorder
from kms.service.root_calls import RootCalls
from kms.service.row_seals import open_seals
from kms.service.usage_tracker import UsageTracker
from kms.store.interface import KeyConflict, KeyStore, StoreError
from kms.store.records import StoredKey

log = logging.getLogger(__name__)

T = TypeVar("T")
Q = TypeVar("Q", bound=Request[Any])

OPENING_ATTEMPTS = 3
"""How often a key is found anew that changes while the root opens or uses it."""

COMPUTING_THREADS = 2
"""For asymmetric keys: they are CPU work, which more threads would only queue elsewhere."""

PAIRS_AT_ONCE = 2
"""Key pairs that the HSM makes at once, which may take seconds each: the other threads of the root serve meanwhile."""

JOB_SECONDS = 60.0
"""A job is left to the node that took it for so long after it last did; should it have died, another goes on then."""

MAX_COMPUTING = 512
"""Asymmetric operations waiting or under way; an RSA-4096 signature takes about 5 ms, so these are some seconds."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """`region` is the home region, `other_regions` those that are served beside it; each key belongs to one.

    Limits are AWS's quotas; times are in seconds.
    """

    region: str
    other_regions: tuple[str, ...] = ()
    lease_seconds: float = 300.0
    root_deadline_seconds: float = 5.0
    probe_seconds: float = 5.0
    """Between two questions to the root whether it is there; a fifth of it while it is not."""
    hang_seconds: float = 60.0
    """A call of the root that hangs for so long, none succeeding, is not waited for any more."""
    sweep_seconds: float = 60.0
    node: str = ""
    """Who takes jobs that one node does for all: the same name after a restart, another one on each node."""
    protection: str = "software"
    """Of keys whose CreateKey does not choose."""
    max_keys: int = 100_000
    """Keys of one account."""
    max_aliases: int = 50
    """Aliases of one key."""
    max_grants: int = 50_000
    """Grants of one key."""


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, repr=False)
class Derived:
    """An HMAC (as a message secret: 32 bytes), what it is of, and the key and version that it was computed by."""

    key: StoredKey
    version: int
    material_id: str
    derivation: bytes
    secret: bytes


class Core:
    """State of one key service; belongs to one event loop."""

    def __init__(
        self,
        store: KeyStore,
        root: Root,
        epoch: Epoch,
        settings: ServiceSettings,
        *,
        authorise: Authorise | None = None,
        clock_us: Callable[[], int],
        trail: AuditTrail | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.regions = (settings.region, *settings.other_regions)
        self.clock_us = clock_us
        self.cache = KeyCache(store, epoch)
        self.policies = PolicyAuthoriser(self.cache, clock_us)
        self.authorise: Authorise = authorise or self.policies
        self.recorder = Recorder(trail, region=settings.region, clock_us=clock_us)
        self.root = RootCalls(root, deadline_seconds=settings.root_deadline_seconds, changed=self.recorder.note)
        self.leases = Leases(self.root, store.version, lease_seconds=settings.lease_seconds)
        self.public_keys = PublicKeys(self.root, store.version)
        self.unsealed = asyncio.Event()
        if store.has_open_seals:
            self.unsealed.set()
        self.seal_trouble: str | None = None
        self.making_predefined = asyncio.Lock()
        self.making_pairs = asyncio.Semaphore(PAIRS_AT_ONCE)
        self.usage = UsageTracker()
        self._epoch = epoch
        self._writer = started_threads(1, "key-store")
        self._workers = started_threads(COMPUTING_THREADS, "asymmetric")
        self._computing = 0

    def close(self) -> None:
        self.leases.close()
        self.root.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=True)

    def new_call(self, caller: Caller, request: Q) -> Call[Q]:
        """The call that `caller` makes. Raises AccessDeniedException for a region that is not served here."""
        region = caller.region or self.settings.region
        if region not in self.regions:
            raise KMSError("AccessDeniedException", f"The region {region} is not served by this endpoint.")
        return Call(caller, request, region)

    # Keys

    def key_for(self, call: Call[Any], named: str, operation: Operation) -> StoredKey:
        """The key that the caller named, existing, permitted and in a state that admits `operation`."""
        key = self.find(call, named, operation)
        self.admit(call, key, operation)
        return key

    def find(self, call: Call[Any], named: str, operation: Operation) -> StoredKey:
        """The key that `named` means for the caller.

        Raises NotFoundException, AccessDeniedException abroad, InvalidArnException for an alias where none is taken.
        """
        name = parse_key_name(named, account_id=call.account_id, region=call.region)
        if name.is_alias and operation not in ACCEPTS_ALIAS:
            raise KMSError("InvalidArnException", "Key Aliases are not supported for this operation.")
        key_id = self.cache.alias_target(name.account_id, call.region, name.text) if name.is_alias else name.text
        key = None if key_id is None else self.cache.key(key_id, call.region)
        if key is not None and key.metadata.account_id == name.account_id and not key.is_gone(self.clock_us()):
            return key.at(self.clock_us())
        if name.account_id != call.account_id:
            raise access_denied_abroad(call.caller, operation.action)
        raise _not_found(call, name)

    def admit(self, call: Call[Any], key: StoredKey, operation: Operation) -> None:
        """Raise unless the caller may do `operation` with the key, and the key's state admits it."""
        metadata = key.metadata
        self.authorise(call, operation.action, key)
        check_state(operation, metadata.state, metadata.key_arn)

    async def material(self, find: Callable[[], tuple[StoredKey, int]]) -> tuple[StoredKey, int, Lease]:
        """The key and version that `find` names, with a lease to be used before the next await.

        `find` checks everything about the key and does not wait; it is called again when the root had to be asked.
        """
        for _ in range(OPENING_ATTEMPTS):
            key, version = find()
            name = (key.metadata.key_id, version)
            lease = self.leases.get(name)
            if lease is not None:
                return key, version, lease
            await self.leases.open(name)
        raise KMSUnavailable("The key changed while it was being opened.", 1)

    async def derive(
        self,
        find: Callable[[], tuple[StoredKey, int]],
        derivation: Callable[[StoredKey, int], bytes],
        hash_name: str = "sha256",
    ) -> Derived:
        """The HMAC of `derivation(key, version)` under the material that `find` names, as `material` finds it.

        With a key of protection hsm the HSM computes it: one call, after which the key is found and checked anew.
        """
        for _ in range(OPENING_ATTEMPTS):
            key, version, lease = await self.material(find)
            message = derivation(key, version)
            held = lease.held
            if held is None:
                mac = hmac.digest(lease.key, message, hash_name)
                return Derived(key, version, lease.material_id, message, mac)
            secret = await self.inside(partial(held.mac, message, hash_name))
            found, found_version = find()
            if secret is not None and (found.key_bytes, found_version) == (key.key_bytes, version):
                return Derived(found, version, lease.material_id, message, secret)
        raise KMSUnavailable("The key changed while it was being used.", 1)

    async def inside(self, use: Callable[[], T]) -> T | None:
        """What a held key does, by the deadline of all calls of the root; None when the key was let go meanwhile."""
        try:
            return await self.root.call(lambda _: use())
        except KeyLetGo:
            return None

    async def compute(self, function: Callable[[], T]) -> T:
        """`function()` in a thread, for what takes milliseconds. Raises ThrottlingException when too much waits."""
        if self._computing >= MAX_COMPUTING:
            raise KMSError("ThrottlingException", "Rate exceeded")
        self._computing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, function)
        finally:
            self._computing -= 1

    # Changes

    async def change(self, write: Callable[[], T], *, is_visible: bool = True) -> T:
        """Run a write of the store in the writer thread; answered once it is durable and, in every process, in effect.

        `is_visible` False is for what nobody can have remembered (a new key), and leaves the epoch alone.
        """

        def run() -> T:
            try:
                return write()
            finally:
                # Also after a failure: a commit whose outcome is unknown may have happened.
                if is_visible:
                    self._epoch.advance()

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    async def edit(self, key: StoredKey, edit: Callable[[StoredKey], StoredKey]) -> None:
        """Change what `KeyStore.edit_key` changes. `edit` runs in the writer's thread and may raise KMSError."""
        metadata = key.metadata
        try:
            await self.change(lambda: self.store.edit_key(metadata.key_id, metadata.region, edit))
        except KeyConflict:
            raise KMSError("NotFoundException", f"Key '{metadata.key_arn}' does not exist") from None

    async def take_job(self, name: str) -> bool:
        """Whether a job that one node does for all is this one's for now. Raises StoreUnavailable.

        A commit decides in any case: nothing is done twice by nodes whose clocks differ, but perhaps announced.
        """
        now_us = self.clock_us()
        until_us = now_us + int(JOB_SECONDS * 1_000_000)
        return await self.change(
            lambda: self.store.take_job(name, self.settings.node, now_us=now_us, until_us=until_us), is_visible=False
        )

    def advance_epoch(self) -> None:
        """Make every process ask again about everything it remembers."""
        self._epoch.advance()

    async def open_seals(self) -> None:
        """Have the root open the seals of the store's rows, if that was not done: once, as soon as it answers.

        Until then, and if they do not open, nothing is served, and `seal_trouble` says why.
        """
        if self.store.has_open_seals:
            return
        try:
            await self.root.call(lambda root: open_seals(self.store, root, now_us=self.clock_us()))
        except KMSError as error:
            self.seal_trouble = error.message
        except StoreError as error:
            log.error("integrity: the seals of the key store do not open: %s", error)
            self.seal_trouble = str(error)
        else:
            self.seal_trouble = None
            self.unsealed.set()

    def require_unsealed(self) -> None:
        """While the root was never available nothing is answered: neither the keys nor their states are proven."""
        if self.root.is_sealed or not self.store.has_open_seals:
            raise self.root.unavailable()


def _not_found(call: Call[Any], name: KeyName) -> KMSError:
    if name.is_alias:
        return KMSError(
            "NotFoundException", f"Alias {alias_arn(call.region, name.account_id, name.text)} is not found."
        )
    return KMSError("NotFoundException", f"Key '{key_arn(call.region, name.account_id, name.text)}' does not exist")
