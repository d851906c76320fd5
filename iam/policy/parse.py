"""From a document's text to a `Policy`, with every rule of the grammar that its kind has.

Source: IAM User Guide, "Grammar of the IAM JSON policy language". A name that stands twice in an object is refused,
as IAM refuses it: readers that disagree about which one counts would disagree about who may do what.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from iam.policy.conditions import Condition, NullCondition, parse_condition
from iam.policy.document import (
    ALL_RESOURCES,
    ActionSet,
    Effect,
    Policy,
    PolicyKind,
    ResourceSet,
    Statement,
    action_set,
    resource_set,
)
from iam.policy.errors import Fault, PolicyError
from iam.policy.identity import check_statements, check_types
from iam.policy.match import tokenise
from iam.policy.principals import InvalidPrincipal, PrincipalSet, parse_principals
from iam.policy.variables import parse_template

MAX_BYTES = {
    # The API's own bound; quotas on top of it (2048 to 10240 characters, blanks left out) are IAM's to hold.
    PolicyKind.IDENTITY: 131_072,
    PolicyKind.TRUST: 131_072,
    PolicyKind.KEY: 32_768,
    PolicyKind.BUCKET: 20_480,
}
"""Of a document in UTF-8. API References: PutUserPolicy, PutKeyPolicy; S3 User Guide, "Bucket policies"."""

VERSION = "2012-10-17"
OLD_VERSION = "2008-10-17"
"""Also what a document without a version is; it has no variables."""

_TOP = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_ACTIONS = {
    PolicyKind.IDENTITY: re.compile(r"\*|[^:]+:[^:]*"),  # IAM takes any text as the name of an action
    PolicyKind.KEY: _ACTION,
    PolicyKind.BUCKET: _ACTION,
    PolicyKind.TRUST: re.compile(r"sts:[A-Za-z0-9*?]+"),
}
_RESOURCE = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:.+|arn:[^ ]*\*", re.DOTALL)
_IAM_SID = re.compile(r"[A-Za-z0-9]*")

Object = Mapping[str, object]


def parse_policy(text: str | bytes, kind: PolicyKind) -> Policy:
    """The policy that `text` writes. Raises PolicyError, and nothing else whatever the text is."""
    document = _Parser(kind).read(text)
    return replace(_Parser(kind).policy(document), digest=text_digest(text))


def text_digest(text: str | bytes) -> str:
    """64 bits of the SHA-256 of a policy's text, in hex: enough to see that it was changed."""
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class _Literal(str):
    """A JSON number as it was written: condition values may be numbers, and mean their text."""

    __slots__ = ()


class _Duplicate(Exception):
    pass


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise _Duplicate
    return names


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _Parser:
    def __init__(self, kind: PolicyKind) -> None:
        self._kind = kind

    def read(self, text: str | bytes) -> Object:
        try:
            raw = text.encode() if isinstance(text, str) else text
            if len(raw) > MAX_BYTES[self._kind]:
                self._refuse(Fault.TOO_LARGE)
            document = json.loads(
                raw.decode("utf-8"),
                object_pairs_hook=_object,
                parse_int=_Literal,
                parse_float=_Literal,
                parse_constant=_constant,
            )
        except _Duplicate:
            self._refuse(Fault.SYNTAX)
        except (ValueError, RecursionError):
            self._refuse(Fault.NOT_JSON)
        if not isinstance(document, dict):
            self._refuse(Fault.NOT_JSON)
        return document

    def policy(self, document: Object) -> Policy:
        self._check_names(document, _TOP)
        version = document.get("Version", OLD_VERSION)
        if not isinstance(version, str) or version not in {VERSION, OLD_VERSION}:
            self._refuse(Fault.SYNTAX if self._kind is PolicyKind.IDENTITY else Fault.VERSION)
        identifier = self._text_or_none(document.get("Id"))
        elements = document.get("Statement")
        if isinstance(elements, dict):
            elements = [elements]
        if not isinstance(elements, list) or not elements:
            self._refuse(Fault.MISSING_STATEMENT if elements is None else Fault.SYNTAX)
        for element in elements:
            self._check_shape(element)
        if self._kind is PolicyKind.IDENTITY:
            if version != VERSION:
                self._refuse(Fault.VERSION)
            check_statements(elements)
        statements = [self._statement(number, element, version) for number, element in enumerate(elements, start=1)]
        sids = [statement.sid for statement in statements if statement.sid]
        if len(set(sids)) != len(sids):
            self._refuse(Fault.DUPLICATE_SID)
        return Policy(
            version,
            identifier,
            allows=tuple(each for each in statements if each.effect is Effect.ALLOW),
            denies=tuple(each for each in statements if each.effect is Effect.DENY),
            condition_keys=frozenset().union(*(each.condition_keys for each in statements)),
        )

    def _check_shape(self, element: object) -> None:
        if not isinstance(element, dict):
            self._refuse(Fault.SYNTAX)
        self._check_names(element, _STATEMENT)
        for name in ("Principal", "Action", "Resource"):
            if name in element and f"Not{name}" in element:
                self._refuse(Fault.SYNTAX)
        if self._kind is PolicyKind.IDENTITY:
            check_types(element)

    def _statement(self, number: int, element: Object, version: str) -> Statement:
        has_variables = version == VERSION
        principals = self._principals(element)
        return Statement(
            number=number,
            sid=self._sid(element.get("Sid")),
            effect=self._effect(element),
            principals=principals,
            is_not_principal="NotPrincipal" in element,
            actions=self._actions(element),
            resources=self._resources(element, has_variables=has_variables),
            conditions=self._conditions(element.get("Condition"), has_variables=has_variables),
        )

    def _effect(self, element: Object) -> Effect:
        effect = element.get("Effect")
        if effect is None:
            self._refuse(Fault.MISSING_EFFECT)
        if not isinstance(effect, str) or effect not in {"Allow", "Deny"}:
            self._refuse(Fault.INVALID_EFFECT, str(effect))
        return Effect(effect)

    def _sid(self, sid: object) -> str | None:
        sid = self._text_or_none(sid)
        # Resource-based policies allow blanks in it, as AWS's own default key policy has them.
        if sid is not None and self._kind in {PolicyKind.IDENTITY, PolicyKind.TRUST} and not _IAM_SID.fullmatch(sid):
            self._refuse(Fault.SYNTAX)
        return sid

    def _principals(self, element: Object) -> PrincipalSet | None:
        principal = element.get("Principal", element.get("NotPrincipal"))
        if self._kind is PolicyKind.IDENTITY:
            return None
        if principal is None:
            self._refuse(Fault.MISSING_PRINCIPAL)
        if self._kind is PolicyKind.TRUST:
            if "NotPrincipal" in element:
                self._refuse(
                    Fault.ALLOW_NOT_PRINCIPAL if element.get("Effect") == "Allow" else Fault.PROHIBITED_NOT_PRINCIPAL
                )
            if isinstance(principal, str):  # {"AWS": "*"} means the same, and is accepted
                self._refuse(Fault.PROHIBITED_PRINCIPAL)
        try:
            if isinstance(principal, str):
                return parse_principals(principal)
            if not isinstance(principal, dict) or not principal:
                self._refuse(Fault.INVALID_PRINCIPAL)
            return parse_principals({kind: self._texts(names) for kind, names in principal.items()})
        except InvalidPrincipal as error:
            raise PolicyError(self._kind, Fault.INVALID_PRINCIPAL, error.quoted) from error

    def _actions(self, element: Object) -> ActionSet | None:
        patterns = element.get("Action", element.get("NotAction"))
        if patterns is None:
            # A statement of a key policy without Action or Resource is accepted and has no effect, as at AWS.
            return None if self._kind is PolicyKind.KEY else self._refuse(Fault.MISSING_ACTION)
        texts = self._texts(patterns)
        pattern = _ACTIONS[self._kind]
        if not all(pattern.fullmatch(text) for text in texts):
            self._refuse(Fault.INVALID_ACTION)
        return action_set([tokenise(text.lower()) for text in texts], is_negated="NotAction" in element)

    def _resources(self, element: Object, *, has_variables: bool) -> ResourceSet | None:
        patterns = element.get("Resource", element.get("NotResource"))
        if self._kind is PolicyKind.TRUST:
            if patterns is None:
                return ALL_RESOURCES
            self._refuse(Fault.PROHIBITED_RESOURCE if "Resource" in element else Fault.PROHIBITED_NOT_RESOURCE)
        if patterns is None:
            return None if self._kind is PolicyKind.KEY else self._refuse(Fault.MISSING_RESOURCE)
        texts = self._texts(patterns)
        for text in texts:
            if self._kind is not PolicyKind.IDENTITY and not _RESOURCE.fullmatch(text):
                self._refuse(Fault.INVALID_RESOURCE, text)
        patterns = [parse_template(text, has_variables=has_variables) for text in texts]
        return resource_set(patterns, is_negated="NotResource" in element)

    def _conditions(self, element: object, *, has_variables: bool) -> tuple[Condition | NullCondition, ...]:
        if element is None:
            return ()
        conditions = []
        for operator, keys in self._mapping(element).items():
            for key, values in self._mapping(keys).items():
                try:
                    conditions.append(
                        parse_condition(operator, key, self._scalars(values), has_variables=has_variables)
                    )
                except ValueError as error:
                    raise PolicyError(self._kind, Fault.INVALID_CONDITION) from error
        return tuple(conditions)

    # Shapes

    def _check_names(self, element: Object, known: frozenset[str]) -> None:
        for name in element:
            if name not in known:
                self._refuse(Fault.UNKNOWN_ELEMENT, name)

    def _text_or_none(self, value: object) -> str | None:
        if value is None:
            return None
        return value if type(value) is str else self._refuse(Fault.SYNTAX)

    def _texts(self, value: object) -> Sequence[str]:
        """One text or a list of some."""
        values = value if isinstance(value, list) else [value]
        texts = [each for each in values if type(each) is str]
        return texts if texts and len(texts) == len(values) else self._refuse(Fault.SYNTAX)

    def _scalars(self, value: object) -> Sequence[str]:
        """Values of a condition: texts, numbers and Booleans, one or a list of them (which may be empty)."""
        values = value if isinstance(value, list) else [value]
        return [self._scalar(each) for each in values]

    def _scalar(self, value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, str) else self._refuse(Fault.SYNTAX)

    def _mapping(self, value: object) -> Object:
        return value if isinstance(value, dict) else self._refuse(Fault.SYNTAX)

    def _refuse(self, fault: Fault, detail: str = "") -> NoReturn:
        raise PolicyError(self._kind, fault, detail)
