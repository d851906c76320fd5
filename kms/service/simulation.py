"""What the KMS would decide about a call that nobody makes, by policies and grants as they are now.

Needs the key store alone: neither the root, nor anything secret. The decision is `PolicyAuthoriser`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from iam.policy.decisions import Decided, decided
from iam.policy.evaluation import Decision, Outcome
from iam.policy.given import OF_CONNECTIONS, Said
from iam.policy.variables import Context
from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.types import GrantConstraints
from kms.epoch import MemoryEpoch
from kms.keys.state import OUTCOMES, Operation, check_state
from kms.service.authorisation import PolicyAuthoriser
from kms.service.call import Call
from kms.service.conditions import CallContext
from kms.service.core import now_us
from kms.service.key_cache import KeyCache
from kms.service.key_names import parse_key_name
from kms.store.interface import KeyStore
from kms.store.records import StoredKey

_ENCRYPTION_CONTEXT = "kms:encryptioncontext:"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The request of the simulated call, as far as policies and grants look at one."""

    key_id: str
    encryption_context: Mapping[str, str]
    source_encryption_context: Mapping[str, str]
    destination_encryption_context: Mapping[str, str]
    operations: tuple[str, ...] = ()
    constraints: GrantConstraints = field(default_factory=GrantConstraints)


class _GivenCallContext(CallContext):
    """What is said of the call goes before what is computed; what is asked for and not known is noted."""

    __slots__ = ("_said",)

    def __init__(self, call: Call[Any], action: str, key: StoredKey | None, cache: KeyCache, said: Said) -> None:
        super().__init__(call, action, key, cache, now_us())
        self._known.update(said.context)
        self._said = said

    def get(self, name: str, default: Any = None, /) -> Any:
        values = super().get(name, ())
        if not values:
            self._said.missing.add(name)
        return values or default

    def _compute(self, name: str) -> tuple[str, ...]:
        return () if name in OF_CONNECTIONS else super()._compute(name)


@dataclass(frozen=True, slots=True)
class KeySimulation:
    """`state_refusal` is what the key's state answers where policies allow; `key` None: it concerns no key."""

    decided: Decided
    outcome: Outcome
    key: StoredKey | None
    state_refusal: str | None = None


def simulate_key_call(
    store: KeyStore, caller: Caller, action: str, key_name: str, *, said: Said, region: str
) -> KeySimulation:
    """`key_name` is a key id, an alias or the ARN of either; "*": the action concerns no key.

    What is said of `kms:EncryptionContext:` is the call's encryption context.

    Raises KMSError for a key that does not exist, StoreError.
    """
    cache = KeyCache(store, MemoryEpoch())
    encryption_context = {
        name[len(_ENCRYPTION_CONTEXT) :]: values[0]
        for name, values in said.given.items()
        if name.lower().startswith(_ENCRYPTION_CONTEXT)
    }
    asked: Any = _Asked(key_name, encryption_context, encryption_context, encryption_context)
    call: Call[Any] = Call(caller, asked, region)
    key = None if key_name == "*" else _key(cache, caller, key_name, region)

    def context_of(call: Call[Any], action: str, key: StoredKey | None) -> Context:
        return _GivenCallContext(call, action, key, cache, said)

    authoriser = PolicyAuthoriser(cache, now_us, context_of)
    decision: Decision = authoriser.decide(call, action, key, key_name)
    arn = key_name if key is None else key.metadata.key_arn
    refusal = _state_refusal(action, key) if decision.is_allowed else None
    return KeySimulation(decided(action, arn, decision), decision.outcome, key, refusal)


def _key(cache: KeyCache, caller: Caller, key_name: str, region: str) -> StoredKey:
    name = parse_key_name(key_name, account_id=caller.principal.account_id, region=region)
    key_id = cache.alias_target(name.account_id, region, name.text) if name.is_alias else name.text
    key = None if key_id is None else cache.key(key_id, region)
    if key is None or key.metadata.account_id != name.account_id or key.is_gone(now_us()):
        raise KMSError("NotFoundException", f"there is no key {key_name} in {region}")
    return key


def _state_refusal(action: str, key: StoredKey | None) -> str | None:
    operation = next((each for each in OUTCOMES if each.action == action), None)
    if key is None or operation is None:
        return None
    try:
        check_state(Operation(operation), key.at(now_us()).metadata.state, key.metadata.key_arn)
    except KMSError as error:
        return error.message
    return None
