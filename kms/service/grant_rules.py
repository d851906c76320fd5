"""What a grant allows, what may be granted, and the tokens of grants. Pure.

Source: AWS KMS Developer Guide, "Grants in AWS KMS"; API Reference, CreateGrant, GrantConstraints.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any

from iam.policy.principals import Reach, principal_set
from iam.principals import Principal
from kms.api.types import GrantConstraints, KeyMetadata
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.conditions import USES_CONTEXT, encryption_context
from kms.store.records import StoredGrant

GRANT_ID_BYTES = 32
TOKEN_KEY_BYTES = 32
_NONCE_BYTES = 16
_TOKEN_BYTES = GRANT_ID_BYTES + _NONCE_BYTES + 32
_MAX_TOKEN_LENGTH = 4 * ((_TOKEN_BYTES + 2) // 3)

_FOR_ANY_KEY = frozenset({"CreateGrant", "DescribeKey", "RetireGrant"})
_DATA_KEYS = frozenset(
    {
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
    }
)
_ENCRYPTION = frozenset({"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"})
_BY_USAGE = {
    "ENCRYPT_DECRYPT": _ENCRYPTION | {"GetPublicKey"},
    "SIGN_VERIFY": frozenset({"GetPublicKey", "Sign", "Verify"}),
    "GENERATE_VERIFY_MAC": frozenset({"GenerateMac", "VerifyMac"}),
    "KEY_AGREEMENT": frozenset({"DeriveSharedSecret", "GetPublicKey"}),
}
_CONTEXT_ACTIONS = frozenset(operation.action for operation in USES_CONTEXT)


def grantable_operations(key: KeyMetadata) -> frozenset[str]:
    """The operations that a grant on this key may hold."""
    if key.key_spec == "SYMMETRIC_DEFAULT":
        return _FOR_ANY_KEY | _ENCRYPTION | _DATA_KEYS
    return _FOR_ANY_KEY | _BY_USAGE.get(key.key_usage, frozenset())


def names(arn: str, principal: Principal) -> bool:
    """Whether a grant's principal `arn` is this principal; the ARN of an account's root user is only that user."""
    reach = principal_set([arn]).reach(principal)
    return reach is not None and reach >= Reach.ROLE


def allows(grant: StoredGrant, call: Call[Any], action: str) -> bool:
    """Whether a grant to the caller allows it `action` on the grant's key."""
    if action.removeprefix("kms:") not in grant.operations:
        return False
    constraints = grant.constraints
    if constraints.source_arn is not None and constraints.source_arn != call.caller.resource_arn:
        return action == Operation.RETIRE_GRANT.action
    if action == Operation.CREATE_GRANT.action:
        return _may_pass_on(grant, call)
    return action not in _CONTEXT_ACTIONS or _meets(constraints, encryption_context(call, action))


def _meets(constraints: GrantConstraints, context: Mapping[str, str]) -> bool:
    """Names of pairs compare without regard to case, values with it."""
    pairs = _pairs(context)
    subset, equals = constraints.encryption_context_subset, constraints.encryption_context_equals
    return (subset is None or _pairs(subset) <= pairs) and (equals is None or _is_same(equals, context))


def _may_pass_on(grant: StoredGrant, call: Call[Any]) -> bool:
    """A grant made through a grant has none but its operations, and constraints at least as strict."""
    request = call.request
    if not set(request.operations) <= set(grant.operations):
        return False
    have, wanted = grant.constraints, request.constraints
    if have.source_arn is not None and have.source_arn != wanted.source_arn:
        return False
    if have.encryption_context_equals is not None:
        equals = wanted.encryption_context_equals
        return equals is not None and _is_same(have.encryption_context_equals, equals)
    if have.encryption_context_subset is not None:
        given = wanted.encryption_context_equals or wanted.encryption_context_subset or {}
        return _pairs(have.encryption_context_subset) <= _pairs(given)
    return True


def _pairs(context: Mapping[str, str]) -> set[tuple[str, str]]:
    return {(name.lower(), value) for name, value in context.items()}


def _is_same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return len(one) == len(other) and _pairs(one) == _pairs(other)


# Tokens: grant id ‖ nonce ‖ HMAC-SHA256(the grant's token key, grant id ‖ nonce). They are no secrets: who shows one
# must be the grantee all the same. They only prove that they were given out for this grant.


def format_token(grant: StoredGrant) -> str:
    """A fresh token of the grant; all its tokens are as good as each other."""
    body = bytes.fromhex(grant.grant_id) + os.urandom(_NONCE_BYTES)
    return base64.urlsafe_b64encode(body + _tag(grant, body)).decode()


def grant_id_of(token: str) -> str | None:
    """The grant of which `token` says to be; None for what cannot be a token."""
    raw = _decode(token)
    return None if raw is None else raw[:GRANT_ID_BYTES].hex()


def is_token_of(token: str, grant: StoredGrant) -> bool:
    """Whether the token was given out for this grant."""
    raw = _decode(token)
    if raw is None:
        return False
    body, tag = raw[: GRANT_ID_BYTES + _NONCE_BYTES], raw[GRANT_ID_BYTES + _NONCE_BYTES :]
    return body[:GRANT_ID_BYTES].hex() == grant.grant_id and hmac.compare_digest(tag, _tag(grant, body))


def _tag(grant: StoredGrant, body: bytes) -> bytes:
    return hmac.digest(grant.token_key, b"sealgate grant token 1" + body, hashlib.sha256)


def _decode(token: str) -> bytes | None:
    if len(token) > _MAX_TOKEN_LENGTH:
        return None
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return raw if len(raw) == _TOKEN_BYTES else None
