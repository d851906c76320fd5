"""DeriveSharedSecret."""

from __future__ import annotations

from functools import partial

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from kms.api.secrets import SecretBytes
from kms.api.types import DeriveSharedSecret, SharedSecret
from kms.keys.agreement import load_peer, shared_secret
from kms.keys.held_pairs import agree_inside
from kms.keys.private_keys import PrivateKey
from kms.keys.specs import KEY_AGREEMENT
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import dry_run_succeeded
from kms.service.core import Core
from kms.service.key_use import key_of_usage, with_private_key


async def derive_shared_secret(core: Core, call: Call[DeriveSharedSecret]) -> SharedSecret:
    """The raw secret, as at AWS: callers derive keys from it and never use it as one."""
    request = call.request
    find = partial(
        key_of_usage,
        core,
        call,
        request.key_id,
        Operation.DERIVE_SHARED_SECRET,
        usage=KEY_AGREEMENT,
        algorithm=request.key_agreement_algorithm,
    )
    peer = load_peer(find().metadata.key_spec, request.public_key)

    def derive(private_key: PrivateKey) -> bytes:
        assert isinstance(private_key, EllipticCurvePrivateKey)
        return shared_secret(private_key, peer)

    key, secret = await with_private_key(core, find, derive, lambda held: agree_inside(held, peer))
    if request.dry_run:
        raise dry_run_succeeded()
    return SharedSecret(SecretBytes(secret), key.metadata)
