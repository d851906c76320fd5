"""AttestDestruction, which is not of AWS's API: the key service's signature for what a destroyed key opened."""

from __future__ import annotations

from dataclasses import dataclass

from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class Destruction:
    """A key that was destroyed. `versions` of material it had; `public_key` (SPKI, DER) verifies `signature` (r ‖ s,
    64 bytes); both are empty if no statement was to be signed."""

    key_arn: str
    created_us: int
    destroyed_us: int
    versions: int
    public_key: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class AttestDestruction(Request[Destruction]):
    """When the key was destroyed; and, signed by the root, that it was, beside the digest of a statement about it.

    Refused with KMSInvalidStateException while the key, or its material in another region, is there. For the root
    user of the key's account. `statement_sha256` has 64 hex digits, or is empty: nothing is signed. No client can ask
    for it: the HTTP face has no such operation.
    """

    key_id: str
    statement_sha256: str = ""
