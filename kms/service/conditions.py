"""The condition keys of a call: what policies can ask about who calls, what is asked for, and of which key.

A key is looked up when a policy asks for it and computed then, since most policies ask for none. Keys whose subject is
missing (an encryption context where the operation has none) are absent. Sources: AWS KMS Developer Guide, "Condition
keys for AWS KMS"; IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from iam.policy.global_keys import GLOBAL_KEYS, CallerContext, iso, pairs
from iam.policy.variables import Values
from kms.api.errors import KMSError
from kms.api.types import KeyMetadata
from kms.keys.ciphertext import identify_blob
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.key_cache import KeyCache
from kms.service.key_names import parse_key_name
from kms.store.records import StoredKey

USES_CONTEXT = frozenset(
    {
        Operation.DECRYPT,
        Operation.ENCRYPT,
        Operation.GENERATE_DATA_KEY,
        Operation.GENERATE_DATA_KEY_PAIR,
        Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        Operation.RE_ENCRYPT_FROM,
        Operation.RE_ENCRYPT_TO,
    }
)
"""The operations that have an encryption context."""

_PREFIXES = ("kms:encryptioncontext:", "aws:resourcetag/", "aws:requesttag/")
_CONTEXT_ACTIONS = frozenset(operation.action for operation in USES_CONTEXT)
_GRANT_ACTIONS = frozenset({"kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"})


class CallContext(CallerContext):
    """The condition keys of `action` in `call`, on `key` if it concerns one; names in lower case."""

    __slots__ = ("action", "cache", "call", "key")

    def __init__(self, call: Call[Any], action: str, key: StoredKey | None, cache: KeyCache, now_us: int) -> None:
        super().__init__(call.caller, datetime.fromtimestamp(now_us / 1_000_000, UTC))
        self.call = call
        self.action = action
        self.key = key
        self.cache = cache

    @property
    def metadata(self) -> KeyMetadata | None:
        return None if self.key is None else self.key.metadata

    def requested(self, attribute: str) -> Any:
        """A parameter of the request; None if it has no such parameter."""
        return getattr(self.call.request, attribute, None)

    def _compute(self, name: str) -> Values:
        compute = _KEYS.get(name)
        if compute is not None:
            return compute(self)
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                return pairs(prefix, _members(self, prefix)).get(name, ())
        return super()._compute(name)

    def _names(self) -> Iterator[str]:
        yield from super()._names()
        yield from _KEYS
        for prefix in _PREFIXES:
            yield from pairs(prefix, _members(self, prefix))


def encryption_context(call: Call[Any], action: str) -> Mapping[str, str]:
    """The encryption context that `action` uses: of ReEncrypt's two, the one of its side. Empty if it has none."""
    if action not in _CONTEXT_ACTIONS:
        return {}
    context: Mapping[str, str] = getattr(call.request, f"{_side(action)}encryption_context", {})
    return context


def _side(action: str) -> str:
    """ReEncrypt's parameters come twice: the beginning of the names of those that this action looks at."""
    return {"kms:ReEncryptFrom": "source_", "kms:ReEncryptTo": "destination_"}.get(action, "")


def _members(context: CallContext, prefix: str) -> Mapping[str, str]:
    """Of a family of keys, by the end of their names."""
    if prefix == "kms:encryptioncontext:":
        return encryption_context(context.call, context.action)
    if prefix == "aws:requesttag/":
        return {tag.key: tag.value for tag in context.requested("tags") or ()}
    return {} if context.key is None else {tag.key: tag.value for tag in context.key.tags}


def _text(value: object) -> Values:
    """None for an absent value, Booleans as JSON spells them."""
    if value is None or value == "":
        return ()
    return (str(value).lower() if isinstance(value, bool) else str(value),)


def _parameter(attribute: str, *actions: str) -> Callable[[CallContext], Values]:
    """A parameter of the request, as it is; of these actions only, if any are named."""
    return lambda context: _text(context.requested(attribute)) if not actions or context.action in actions else ()


def _of_key(attribute: str) -> Callable[[CallContext], Values]:
    """A property of the key, or of the key that is to be created."""

    def compute(context: CallContext) -> Values:
        if context.metadata is not None:
            return _text(getattr(context.metadata, attribute))
        return _text(context.requested(attribute)) if context.action == "kms:CreateKey" else ()

    return compute


def _multi_region_type(context: CallContext) -> Values:
    metadata = context.metadata
    if metadata is None or not metadata.multi_region:
        return ()
    return ("PRIMARY" if metadata.is_primary else "REPLICA",)


def _encryption_algorithm(context: CallContext) -> Values:
    if context.action not in _CONTEXT_ACTIONS:
        return ()
    algorithm = context.requested(f"{_side(context.action)}encryption_algorithm")
    # Data keys are always encrypted under a symmetric key, and have no parameter for it.
    return _text(algorithm or "SYMMETRIC_DEFAULT")


def _request_alias(context: CallContext) -> Values:
    """The alias by which the key was called, if it was."""
    attribute = {"kms:ReEncryptFrom": "source_key_id", "kms:ReEncryptTo": "destination_key_id"}
    named = context.requested(attribute.get(context.action, "key_id"))
    if not isinstance(named, str) or context.key is None:
        return ()
    if named.startswith("alias/"):
        return (named,)
    _, found, alias = named.partition(":alias/")
    return (f"alias/{alias}",) if found else ()


def _resource_aliases(context: CallContext) -> Values:
    return (
        () if context.metadata is None else context.cache.aliases_of(context.metadata.key_id, context.metadata.region)
    )


def _context_keys(context: CallContext) -> Values:
    return tuple(encryption_context(context.call, context.action))


def _re_encrypt_on_same_key(context: CallContext) -> Values:
    """Whether source and destination are one key; they are compared by what they name, before either is opened."""
    if context.action not in {"kms:ReEncryptFrom", "kms:ReEncryptTo"}:
        return ()
    source, destination = _source_key_bytes(context), _named_key_bytes(context, "destination_key_id")
    return _text(source is not None and source == destination)


def _source_key_bytes(context: CallContext) -> bytes | None:
    if context.requested("source_key_id") is not None:
        return _named_key_bytes(context, "source_key_id")
    try:
        return identify_blob(context.requested("ciphertext_blob")).key_id
    except KMSError:
        return None


def _named_key_bytes(context: CallContext, attribute: str) -> bytes | None:
    call = context.call
    try:
        name = parse_key_name(context.requested(attribute), account_id=call.account_id, region=call.region)
    except KMSError:
        return None
    cache = context.cache
    key_id = cache.alias_target(name.account_id, call.region, name.text) if name.is_alias else name.text
    key = None if key_id is None else cache.key(key_id, call.region)
    return None if key is None else key.key_bytes


def _grant_is_for_resource(context: CallContext) -> Values:
    return _text(context.call.caller.via_service is not None) if context.action in _GRANT_ACTIONS else ()


def _grant_operations(context: CallContext) -> Values:
    return tuple(context.requested("operations") or ()) if context.action == "kms:CreateGrant" else ()


def _grant_constraint_type(context: CallContext) -> Values:
    constraints = context.requested("constraints") if context.action == "kms:CreateGrant" else None
    if constraints is None:
        return ()
    kinds = {
        "EncryptionContextEquals": constraints.encryption_context_equals,
        "EncryptionContextSubset": constraints.encryption_context_subset,
        "SourceArn": constraints.source_arn,
    }
    return tuple(kind for kind, constraint in kinds.items() if constraint is not None)


def _valid_to(context: CallContext) -> Values:
    us = context.requested("valid_to_us")
    return () if us is None else (iso(datetime.fromtimestamp(us / 1_000_000, UTC)),)


def _tag_keys(context: CallContext) -> Values:
    tags, keys = context.requested("tags"), context.requested("tag_keys")
    return tuple(tag.key for tag in tags or ()) or tuple(keys or ())


_KEYS: dict[str, Callable[[CallContext], Values]] = {
    "kms:bypasspolicylockoutsafetycheck": _parameter("bypass_policy_lockout_safety_check"),
    "kms:calleraccount": lambda context: _text(context.call.account_id),
    "kms:customermasterkeyspec": _of_key("key_spec"),
    "kms:customermasterkeyusage": _of_key("key_usage"),
    "kms:datakeypairspec": _parameter("key_pair_spec"),
    "kms:encryptionalgorithm": _encryption_algorithm,
    "kms:encryptioncontextkeys": _context_keys,
    "kms:expirationmodel": _parameter("expiration_model"),
    "kms:grantconstrainttype": _grant_constraint_type,
    "kms:granteeprincipal": _parameter("grantee_principal", "kms:CreateGrant"),
    "kms:grantisforawsresource": _grant_is_for_resource,
    "kms:grantoperations": _grant_operations,
    "kms:keyagreementalgorithm": _parameter("key_agreement_algorithm"),
    "kms:keyorigin": _of_key("origin"),
    "kms:keyspec": _of_key("key_spec"),
    "kms:keyusage": _of_key("key_usage"),
    "kms:macalgorithm": _parameter("mac_algorithm"),
    "kms:messagetype": _parameter("message_type"),
    "kms:multiregion": _of_key("multi_region"),
    "kms:multiregionkeytype": _multi_region_type,
    "kms:policyname": _parameter("policy_name"),
    "kms:primaryregion": _parameter("primary_region"),
    "kms:reencryptonsamekey": _re_encrypt_on_same_key,
    "kms:replicaregion": _parameter("replica_region"),
    "kms:requestalias": _request_alias,
    "kms:resourcealiases": _resource_aliases,
    "kms:retiringprincipal": _parameter("retiring_principal", "kms:CreateGrant"),
    "kms:rotationperiodindays": _parameter("rotation_period_days"),
    "kms:schedulekeydeletionpendingwindowindays": _parameter("pending_window_days"),
    "kms:signingalgorithm": _parameter("signing_algorithm"),
    "kms:validto": _valid_to,
    "kms:viaservice": lambda context: _text(context.call.caller.via_service),
    "kms:wrappingalgorithm": _parameter("wrapping_algorithm"),
    "kms:wrappingkeyspec": _parameter("wrapping_key_spec"),
    "aws:requestedregion": lambda context: (context.call.region,),
    "aws:resourceaccount": lambda context: _text(context.metadata and context.metadata.account_id),
    "aws:sourcearn": lambda context: _text(context.call.caller.resource_arn),
    "aws:tagkeys": _tag_keys,
    "aws:viaawsservice": lambda context: _text(context.call.caller.via_service is not None),
}
"""Every single key, by its name in lower case; families of keys are `_PREFIXES`."""

CONDITION_KEYS = GLOBAL_KEYS | frozenset(_KEYS)
