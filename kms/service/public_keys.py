"""The public halves of key pairs of protection hsm: verified by the root once, then used without the HSM.

The root's MAC over the record says whose public key it is; that takes one call of the HSM, the first time a process
needs the key. They are nobody's secret and never change, so they are kept without a lease: verifying a signature and
encrypting go on while the HSM is away. Who may use the key, and whether it is enabled, is asked at every use.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from kms.api.errors import KMSError
from kms.hsm.interface import Root
from kms.keys.held_pairs import load_public_key
from kms.keys.private_keys import PublicKey
from kms.keys.wrapping import public_key_of_record
from kms.service.root_calls import RootCalls
from kms.store.records import StoredVersion, key_bytes

MAX_PUBLIC_KEYS = 10_000
"""Some 30 MB; beyond, the one that was asked for longest ago is forgotten."""


class PublicKeys:
    """Belongs to one event loop. `find_version` reads the key store."""

    def __init__(self, root: RootCalls, find_version: Callable[[str, int], StoredVersion | None]) -> None:
        self._root = root
        self._find_version = find_version
        self._known: dict[tuple[str, int], PublicKey] = {}

    async def get(self, key_id: str, version: int) -> PublicKey:
        """Raises KMSUnavailable, KMSInternalException, or InvalidCiphertextException when there is no such version."""
        known = self._known.pop((key_id, version), None)
        if known is None:
            stored = self._find_version(key_id, version)
            if stored is None or stored.record is None:
                raise KMSError("InvalidCiphertextException")
            record, key_uuid = stored.record, UUID(bytes=key_bytes(key_id))

            def read(root: Root) -> PublicKey:
                return load_public_key(public_key_of_record(root, record, key_uuid, version))

            known = await self._root.call(read)
        self._known[key_id, version] = known
        if len(self._known) > MAX_PUBLIC_KEYS:
            del self._known[next(iter(self._known))]
        return known
