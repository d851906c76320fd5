"""What signing, MACs, RSA encryption and key agreement share: a key of the right usage, its material, a thread.

Permission and state are checked before the work and again after it, so that a key that was disabled meanwhile has done
nothing by the time its DisableKey is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from kms.api.errors import KMSError, KMSUnavailable
from kms.hsm.interface import HeldPrivateKey, Protection
from kms.keys.private_keys import PrivateKey, PublicKey
from kms.keys.specs import algorithms_of
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.core import OPENING_ATTEMPTS, Core
from kms.store.records import StoredKey

T = TypeVar("T")


def key_of_usage(
    core: Core, call: Call[Any], key_id: str, operation: Operation, *, usage: str, algorithm: str
) -> StoredKey:
    """The key that the caller named, permitted, of this usage, and with this algorithm.

    Raises InvalidKeyUsageException in AWS's words, besides what `Core.key_for` raises.
    """
    key = core.key_for(call, key_id, operation)
    metadata = key.metadata
    if metadata.key_usage != usage:
        raise KMSError(
            "InvalidKeyUsageException",
            f"{metadata.key_arn} key usage is {metadata.key_usage} which is not valid for {operation.value}.",
        )
    if algorithm not in algorithms_of(metadata.key_spec, metadata.key_usage):
        raise incompatible(algorithm, metadata.key_spec)
    return key


def incompatible(algorithm: str, key_spec: str) -> KMSError:
    return KMSError("InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {key_spec}.")


async def with_private_key(
    core: Core,
    find: Callable[[], StoredKey],
    work: Callable[[PrivateKey], T],
    inside: Callable[[HeldPrivateKey], T],
) -> tuple[StoredKey, T]:
    """`work(private key)` of the key that `find` names, in a thread; `inside(held key)` if it is of protection hsm.

    `inside` blocks, in a thread of the root's, and may raise RootError and KMSError.
    """
    for _ in range(OPENING_ATTEMPTS):
        key, version, lease = await core.material(_with_version(find))
        held = lease.held_private
        if held is None:
            private_key = lease.private_key(key.metadata.key_spec)
            result = await core.compute(partial(work, private_key))
            return find(), result
        made = await core.inside(partial(inside, held))
        found = find()
        if made is not None and (found.key_bytes, found.current_version) == (key.key_bytes, version):
            return found, made
    raise KMSUnavailable("The key changed while it was being used.", 1)


async def with_public_key(
    core: Core, find: Callable[[], StoredKey], work: Callable[[PublicKey], T]
) -> tuple[StoredKey, T]:
    """`work(public key)` of the key that `find` names, in a thread; without the HSM if it is of protection hsm."""
    key = find()
    if key.metadata.protection == Protection.HSM:
        public_key = await core.public_keys.get(key.metadata.key_id, key.current_version)
    else:
        key, _, lease = await core.material(_with_version(find))
        public_key = lease.private_key(key.metadata.key_spec).public_key()
    result = await core.compute(lambda: work(public_key))
    return find(), result


def _with_version(find: Callable[[], StoredKey]) -> Callable[[], tuple[StoredKey, int]]:
    def version() -> tuple[StoredKey, int]:
        key = find()
        return key, key.current_version

    return version
