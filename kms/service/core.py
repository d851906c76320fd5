"""What every family of verbs works with: the key a caller named, material to use, and changes that take effect.

Theory of operation. `key_for` finds, authorises and checks the state, in this order and without waiting, from rows
that are compared with the epoch at every use. `material` gives a key together with a lease on one of its versions; when
the root has to open it first, the key is found and checked anew afterwards, so that between the last check and the use
nothing waits. `change` runs a write in the one writer thread and raises the epoch there, right after the commit and
whatever becomes of the caller meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from iam.principals import Caller, PrincipalKind
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.types import KeyManager
from kms.epoch import Epoch
from kms.hsm.interface import Root
from kms.keys.state import ACCEPTS_ALIAS, CRYPTOGRAPHIC, Operation, check_state
from kms.service.authorisation import Authorise, access_denied, access_denied_abroad
from kms.service.key_cache import KeyCache
from kms.service.key_names import KeyName, alias_arn, key_arn, parse_key_name
from kms.service.leases import Lease, Leases
from kms.service.root_calls import RootCalls
from kms.store.interface import KeyStore
from kms.store.records import StoredKey

T = TypeVar("T")

_READS_MANAGED = frozenset({Operation.DESCRIBE_KEY, Operation.LIST_ALIASES})
_OPENING_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """`region` is part of every ARN. Limits are AWS's quotas; times are in seconds."""

    region: str
    lease_seconds: float = 300.0
    root_deadline_seconds: float = 5.0
    probe_seconds: float = 5.0
    """Between two questions to the root whether it is there; a fifth of it while it is not."""
    sweep_seconds: float = 60.0
    max_keys: int = 100_000
    """Keys of one account."""
    max_aliases: int = 50
    """Aliases of one key."""


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


class Core:
    """State of one key service; belongs to one event loop."""

    def __init__(
        self,
        store: KeyStore,
        root: Root,
        epoch: Epoch,
        settings: ServiceSettings,
        *,
        authorise: Authorise,
        clock_us: Callable[[], int],
    ) -> None:
        self.store = store
        self.settings = settings
        self.region = settings.region
        self.authorise = authorise
        self.clock_us = clock_us
        self.cache = KeyCache(store, epoch, settings.region)
        self.root = RootCalls(root, deadline_seconds=settings.root_deadline_seconds)
        self.leases = Leases(self.root, store.version, lease_seconds=settings.lease_seconds)
        self.making_predefined = asyncio.Lock()
        self._epoch = epoch
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="key-store")
        self._via_s3 = f"s3.{settings.region}.amazonaws.com"

    def close(self) -> None:
        self.leases.close()
        self.root.close()
        self._writer.shutdown(wait=True)

    # Keys

    def key_for(self, caller: Caller, named: str, operation: Operation) -> StoredKey:
        """The key that `caller` named, existing, permitted and in a state that admits `operation`."""
        key = self.find(caller, named, operation)
        self.admit(caller, key, operation)
        return key

    def find(self, caller: Caller, named: str, operation: Operation) -> StoredKey:
        """The key that `named` means for the caller. Raises NotFoundException, AccessDeniedException abroad."""
        own_account_id = caller.principal.account_id
        name = parse_key_name(named, account_id=own_account_id, region=self.region)
        if name.is_alias and operation not in ACCEPTS_ALIAS:
            raise KMSError("NotFoundException", f"Invalid keyId '{named}'")
        key_id = self.cache.alias_target(name.account_id, name.text) if name.is_alias else name.text
        key = None if key_id is None else self.cache.key(key_id)
        if key is not None and key.metadata.account_id == name.account_id and not key.is_gone(self.clock_us()):
            return key
        if name.account_id != own_account_id:
            raise access_denied_abroad(caller, operation.action)
        raise self._not_found(name)

    def admit(self, caller: Caller, key: StoredKey, operation: Operation) -> None:
        """Raise unless the caller may do `operation` with the key, and the key's state admits it."""
        metadata = key.metadata
        self.authorise(caller, operation.action, metadata)
        if metadata.manager is KeyManager.AWS and not self._serves_managed(caller, operation):
            raise access_denied(caller, operation.action, metadata)
        check_state(operation, metadata.state, metadata.key_arn)

    async def material(self, find: Callable[[], tuple[StoredKey, int]]) -> tuple[StoredKey, int, Lease]:
        """The key and version that `find` names, with a lease to be used before the next await.

        `find` checks everything about the key and does not wait; it is called again when the root had to be asked.
        """
        for _ in range(_OPENING_ATTEMPTS):
            key, version = find()
            name = (key.metadata.key_id, version)
            lease = self.leases.get(name)
            if lease is not None:
                return key, version, lease
            await self.leases.open(name)
        raise KMSUnavailable("The key changed while it was being opened.", 1)

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

    def advance_epoch(self) -> None:
        """Make every process ask again about everything it remembers."""
        self._epoch.advance()

    def require_unsealed(self) -> None:
        """While the root was never available nothing is answered: neither the keys nor their states are proven."""
        if self.root.is_sealed:
            raise self.root.unavailable()

    def _serves_managed(self, caller: Caller, operation: Operation) -> bool:
        if operation in CRYPTOGRAPHIC:
            return caller.principal.kind is PrincipalKind.SERVICE or caller.via_service == self._via_s3
        return operation in _READS_MANAGED

    def _not_found(self, name: KeyName) -> KMSError:
        if name.is_alias:
            arn = alias_arn(self.region, name.account_id, name.text)
            return KMSError("NotFoundException", f"Alias {arn} is not found.")
        arn = key_arn(self.region, name.account_id, name.text)
        return KMSError("NotFoundException", f"Key '{arn}' does not exist")
