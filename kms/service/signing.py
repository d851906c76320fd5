"""Sign, Verify, GetPublicKey."""

from __future__ import annotations

from functools import partial

from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.types import GetPublicKey, Sign, Signature, Verify
from kms.keys import signatures
from kms.keys.held_pairs import sign_inside
from kms.keys.private_keys import PublicKey, format_public_key
from kms.keys.signatures import WrongSignature, check_message
from kms.keys.specs import SIGN_VERIFY, SPECS
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import check_length, dry_run_succeeded
from kms.service.core import Core
from kms.service.key_use import key_of_usage, with_private_key, with_public_key
from kms.store.records import StoredKey

MAX_MESSAGE_BYTES = 4096


async def sign(core: Core, call: Call[Sign]) -> Signature:
    request = call.request
    find = _checked(core, call, Operation.SIGN)
    message, algorithm, message_type = request.message.reveal(), request.signing_algorithm, request.message_type
    key, signature = await with_private_key(
        core,
        find,
        lambda private: signatures.sign(private, algorithm, message, message_type),
        lambda held: sign_inside(held, algorithm, message, message_type),
    )
    return Signature(signature, key.metadata.key_arn)


async def verify(core: Core, call: Call[Verify]) -> str:
    """The key's ARN. Raises KMSInvalidSignatureException, whose message is empty."""
    request = call.request
    find = _checked(core, call, Operation.VERIFY)
    message, algorithm, message_type = request.message.reveal(), request.signing_algorithm, request.message_type

    def check(public_key: PublicKey) -> None:
        signatures.verify(public_key, algorithm, message, message_type, request.signature)

    try:
        key, _ = await with_public_key(core, find, check)
    except WrongSignature:
        raise KMSError("KMSInvalidSignatureException") from None
    return key.metadata.key_arn


async def get_public_key(core: Core, call: Call[GetPublicKey]) -> t.PublicKey:
    def find() -> StoredKey:
        key = core.key_for(call, call.request.key_id, Operation.GET_PUBLIC_KEY)
        if not SPECS[key.metadata.key_spec].is_private:
            raise KMSError(
                "UnsupportedOperationException",
                f"{key.metadata.key_arn} key spec is {key.metadata.key_spec} which is not valid for GetPublicKey.",
            )
        return key

    find()
    key, public_key = await with_public_key(core, find, format_public_key)
    return t.PublicKey(key.metadata, public_key)


def _checked(core: Core, call: Call[Sign] | Call[Verify], operation: Operation) -> partial[StoredKey]:
    """Everything that can be refused before the work, DryRun included; then how to find the key."""
    request = call.request
    check_length("message", len(request.message), 1, MAX_MESSAGE_BYTES)
    find = partial(
        key_of_usage,
        core,
        call,
        request.key_id,
        operation,
        usage=SIGN_VERIFY,
        algorithm=request.signing_algorithm,
    )
    find()
    check_message(request.signing_algorithm, request.message_type, len(request.message))
    if request.dry_run:
        raise dry_run_succeeded()
    return find
