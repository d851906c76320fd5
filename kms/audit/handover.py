"""Handovers: when the root is rotated, the key that signed checkpoints so far vouches for the one that will.

The statement lies in the details of the event SwitchRoot, signed before the switch and written down in its transaction:
there is no new key in use without it. So a public key that was kept from before a rotation verifies the trail after it.
Format: docs/formats/audit-line.md, "Handover".
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from kms.audit.event import SERVICE_EVENT, Event
from kms.audit.signatures import PublicKeys, Signer, is_signature, key_id, load_public_key

SWITCH: Final = "SwitchRoot"
"""The event that a handover is part of."""

_NEW_KEY: Final = "auditKey"
_OLD_KEY_ID: Final = "vouchingAuditKeyId"
_SIGNATURE: Final = "auditKeySignature"


class BadHandover(Exception):
    """What pretends to be a handover by a known key, and is none."""


def hand_over(signer: Signer, new_key: bytes) -> dict[str, str]:
    """`signer`, the root in use, vouches for another one's audit key (SPKI, DER): details of the event.

    Raises what the signer raises, and BadHandover when its signature does not verify.
    """
    old_key = signer.audit_public_key()
    message = _statement(key_id(old_key), key_id(new_key))
    signature = signer.sign(hashlib.sha256(message).digest())
    if not is_signature(signature, message, load_public_key(old_key)):
        raise BadHandover("what the root signed does not verify under its public key")
    return {
        _NEW_KEY: base64.b64encode(new_key).decode(),
        _OLD_KEY_ID: key_id(old_key),
        _SIGNATURE: base64.b64encode(signature).decode(),
    }


def successor(event: Event, keys: PublicKeys) -> tuple[str, ec.EllipticCurvePublicKey] | None:
    """The key that one of `keys` vouches for in this event, by its id; None if none of them says anything there.

    Raises BadHandover for one in the name of one of `keys` that it did not sign, or that names no key.
    """
    if event.event_type != SERVICE_EVENT or event.event_name != SWITCH:
        return None
    encoded, old_key_id, signature = (event.details.get(name) for name in (_NEW_KEY, _OLD_KEY_ID, _SIGNATURE))
    if not (isinstance(encoded, str) and isinstance(old_key_id, str) and isinstance(signature, str)):
        return None
    old_key = keys.get(old_key_id)
    if old_key is None:
        return None
    try:
        new_key = base64.b64decode(encoded, validate=True)
        loaded = load_public_key(new_key)
        signed = base64.b64decode(signature, validate=True)
    except ValueError as error:
        raise BadHandover(str(error)) from error
    new_key_id = key_id(new_key)
    if not is_signature(signed, _statement(old_key_id, new_key_id), old_key):
        raise BadHandover(f"key {old_key_id} did not sign it")
    return new_key_id, loaded


def _statement(old_key_id: str, new_key_id: str) -> bytes:
    return f"sealgate/v1/audit-handover\n{old_key_id}\n{new_key_id}\n".encode()
