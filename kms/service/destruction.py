"""AttestDestruction: the root's signature for a statement about a key that is no more.

Nothing is signed about a key that could open anything still: neither before it is destroyed, nor while another region
has its material. The row of a destroyed key stays, so that there is something to ask.
"""

from __future__ import annotations

import hashlib
import re

from iam.policy.decisions import Decided
from iam.principals import PrincipalKind
from kms.api.errors import KMSError
from kms.api.types import AttestDestruction, Destruction
from kms.audit.destruction import attestation
from kms.audit.signatures import is_signature, load_public_key
from kms.hsm.interface import Root
from kms.service.call import Call
from kms.service.core import Core
from kms.service.key_names import key_arn, parse_key_name
from kms.store.records import StoredKey

ACTION = "kms:AttestDestruction"
_DIGEST = re.compile(r"[0-9a-f]{64}")


async def attest_destruction(core: Core, call: Call[AttestDestruction]) -> Destruction:
    request = call.request
    if request.statement_sha256 and not _DIGEST.fullmatch(request.statement_sha256):
        raise KMSError("ValidationException", "The digest of a statement has 64 hexadecimal digits.")
    key = _destroyed_key(core, call)
    metadata = key.metadata
    assert key.destroyed_us is not None
    if not request.statement_sha256:
        return Destruction(metadata.key_arn, metadata.created_us, key.destroyed_us, key.current_version)
    message = attestation(metadata.key_arn, key.destroyed_us, request.statement_sha256)
    public_key, signature = await core.root.call(lambda root: _signed(root, message))
    if not is_signature(signature, message, load_public_key(public_key)):
        raise KMSError("KMSInternalException", "What the root signed does not verify under its public key.")
    return Destruction(
        metadata.key_arn, metadata.created_us, key.destroyed_us, key.current_version, public_key, signature
    )


def _destroyed_key(core: Core, call: Call[AttestDestruction]) -> StoredKey:
    name = parse_key_name(call.request.key_id, account_id=call.account_id, region=call.region)
    if name.is_alias:
        raise KMSError("InvalidArnException", "Aliases of a destroyed key are gone; name it by its id or ARN.")
    arn = key_arn(call.region, name.account_id, name.text)
    is_allowed = call.caller.principal.kind is PrincipalKind.ROOT and name.account_id == call.account_id
    call.note(Decided(ACTION, arn, is_allowed, "root user of the key's account"))
    if not is_allowed:
        raise KMSError("AccessDeniedException", "Statements are for the root user of the key's account.")
    key = core.store.key(name.text, call.region)
    if key is None or key.metadata.account_id != name.account_id:
        raise KMSError("NotFoundException", f"Key '{arn}' does not exist")
    if key.destroyed_us is None:
        raise KMSError("KMSInvalidStateException", f"{arn} is {key.metadata.state.value}, and not destroyed.")
    if core.store.versions(name.text):
        raise KMSError("KMSInvalidStateException", f"{arn} is destroyed, and its material is in another region still.")
    return key


def _signed(root: Root, message: bytes) -> tuple[bytes, bytes]:
    return root.audit_public_key(), root.sign(hashlib.sha256(message).digest())
