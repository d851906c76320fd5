"""What the audit trail tells of a request: its parameters in the API's spelling, and nothing that is secret.

What is shown is chosen by type: text, numbers, truth values, and collections of these. Bytes of any kind (plaintext,
messages, signatures, ciphertext, key material, import tokens) are left out, and so is whatever has no value. Grant
tokens are shown by a digest, enough to recognise one and too little to use it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from kms.api.types import Request

TOKEN_DIGITS: Final = 16
_PLAIN = (str, int, float)
_TOKENS = frozenset({"grant_token", "grant_tokens"})


def request_parameters(request: Request[Any]) -> dict[str, Any]:
    """The parameters of `request`, as JSON takes them."""
    return _members(request)


def _members(value: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, spelt, is_token in _plans.get(type(value)) or _plan(type(value)):
        member = getattr(value, name)
        if is_token and member:
            shown[spelt] = _digest(member) if isinstance(member, str) else [_digest(token) for token in member]
        elif type(member) is str:
            shown[spelt] = member
        elif member is not None and member is not False and (told := _shown(member)) is not None:
            shown[spelt] = told
    return shown


def _shown(value: Any) -> Any:
    """None for what is not told, and for empty collections."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, dict | Mapping):
        return {str(key): told for key, each in value.items() if (told := _shown(each)) is not None} or None
    if isinstance(value, tuple | list | frozenset | set):
        return [told for each in value if (told := _shown(each)) is not None] or None
    if is_dataclass(value):
        return _members(value) or None
    return None


_plans: dict[type[Any], tuple[tuple[str, str, bool], ...]] = {}


def _plan(kind: type[Any]) -> tuple[tuple[str, str, bool], ...]:
    """Name, spelling in the API, and whether it is a grant token, of each field of a dataclass."""
    plan = tuple((each.name, _camel(each.name), each.name in _TOKENS) for each in fields(kind))
    _plans[kind] = plan
    return plan


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _digest(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode(errors='replace')).hexdigest()[:TOKEN_DIGITS]}"
