"""Policies, callers and requests over the whole policy language, for properties that hold of any."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from iam.policy.conditions import OPERATORS
from iam.policy.document import PolicyKind
from iam.policy.evaluation import AccessRequest, Decision, NamedPolicy, PoliciesInForce, evaluate, evaluate_key
from iam.policy.parse import parse_policy
from iam.principals import Principal, PrincipalKind, root_principal
from tests.iam.policy.checks import ACCOUNT, KEY_ARN, OTHER, STRANGER, USER
from tests.iam.policy.reference import Asked, Document, Statement, Who

CANONICAL_ID = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
PROVIDER = "accounts.google.com"
SERVICE = "logs.eu-central-1.amazonaws.com"

SESSION = Principal(
    PrincipalKind.ROLE_SESSION,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/s1",
    "AROAREADER000000000A:s1",
    f"arn:aws:iam::{ACCOUNT}:role/team/reader",
)
FEDERATED = Principal(
    PrincipalKind.FEDERATED_USER,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:federated-user/carl",
    f"{ACCOUNT}:carl",
    USER.arn,
    issuer_id=USER.principal_id,
)
CALLERS = st.sampled_from(
    [
        USER,
        SESSION,
        FEDERATED,
        root_principal(ACCOUNT),
        STRANGER,
        root_principal(OTHER),
        Principal(PrincipalKind.SERVICE, "000000000000", "arn:aws:iam::000000000000:service/x", SERVICE),
        Principal(PrincipalKind.ANONYMOUS, "", "", "anonymous"),
    ]
)

# Conditions

KEYS = ("aws:One", "aws:Two", "AWS:two", "aws:Three/x")
VALUES = {
    "String": ["a", "b", "ab", "A", "a*", "", "ß"],
    "Numeric": ["10", "10.0", "-3", "+7.5", "ten"],
    "Date": ["2026-01-01T00:00:00Z", "2026-01-01", "1767225600", "2025-12-31T23:59:59Z", "never"],
    "Bool": ["true", "false", "True", "maybe"],
    "Binary": ["QmFk", "QmFl", "!"],
    "Ip": ["203.0.113.7", "198.51.100.1", "2001:db8::1", "somewhere"],
    "Arn": [KEY_ARN, "arn:aws:iam::1:role/r", "arn:aws:iam::1:role/a:b", "no arn"],
}
WANTED = {
    "String": ["a", "b", "a*", "?b", "*", "", "a?", "ß", "${aws:one}", "x${aws:two}", "${aws:missing, 'a'}", "${*}"],
    "Numeric": ["10", "-3", "7.5"],
    "Date": ["2026-01-01T00:00:00Z", "2025-06-30", "1767225600"],
    "Bool": ["true", "false", "TRUE"],
    "Binary": ["QmFk", "QmFl"],
    "Ip": ["203.0.113.0/24", "198.51.100.1", "2001:db8::/32", "0.0.0.0/0"],
    "Arn": [
        "arn:aws:iam::*:role/*",
        "arn:aws:iam::1:role/?",
        "*",
        "arn:aws:*:role/r",
        "arn:aws:iam::1:role/${aws:one}",
    ],
}
ALL_VALUES = sorted({value for values in VALUES.values() for value in values})


def family(operator: str) -> str:
    """The type of the operator's values."""
    bare = operator.replace("Not", "")
    return next(name for name in VALUES if bare.startswith(name))


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for key in draw(st.lists(st.sampled_from((*KEYS, "aws:PrincipalArn")), max_size=3, unique=True)):
        if draw(st.integers(0, 5)) == 0:
            made.setdefault("Null", {})[key] = draw(st.sampled_from(["true", "false", ["true", "false"]]))
            continue
        operator = draw(st.sampled_from(sorted(OPERATORS)))
        wanted = draw(st.lists(st.sampled_from(WANTED[family(operator)]), min_size=0, max_size=3))
        quantifier = draw(st.sampled_from(["", "", "", "ForAllValues:", "ForAnyValue:"]))
        name = quantifier + operator + draw(st.sampled_from(["", "", "IfExists"]))
        made.setdefault(name, {})[key] = wanted[0] if len(wanted) == 1 and draw(st.booleans()) else wanted
    return made


CONTEXTS = st.dictionaries(
    st.sampled_from(sorted({key.lower() for key in KEYS} | {"aws:principalarn"})),
    st.lists(st.sampled_from(ALL_VALUES), min_size=1, max_size=3).map(tuple),
)

# Statements

ACTION_PATTERNS = ["*", "kms:*", "KMS:Dec*", "kms:Encrypt", "kms:decrypt", "s3:*", "kms:?ecrypt", "kms:D*t", "kms:*t*"]
RESOURCE_PATTERNS = [
    "*",
    KEY_ARN,
    f"arn:aws:kms:*:{ACCOUNT}:key/*",
    f"arn:aws:kms:eu-*-1:{ACCOUNT}:key/1234*",
    f"arn:aws:kms:eu-central-?:{ACCOUNT}:key/????abcd*",
    f"arn:aws:kms:eu*{ACCOUNT}:key/*",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::${aws:one}/*",
    "arn:aws:s3:::b/${aws:two, 'k'}",
    "arn:aws:s3:::?/k*",
    "arn:*:s3:::b/k",
]
NAMES = [
    "*",
    ACCOUNT,
    OTHER,
    f"arn:aws:iam::{ACCOUNT}:root",
    USER.arn,
    USER.principal_id,
    SESSION.arn,
    SESSION.issuer_arn or "",
    "AROAREADER000000000A",
    FEDERATED.arn,
    STRANGER.arn,
    STRANGER.principal_id,
]


@st.composite
def principals(draw: st.DrawFn) -> Any:
    if draw(st.integers(0, 7)) == 0:
        return "*"
    made: dict[str, Any] = {"AWS": draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))}
    if draw(st.integers(0, 3)) == 0:
        made |= {draw(st.sampled_from(["Service", "Federated", "CanonicalUser"])): None}
    values = {"Service": SERVICE, "Federated": PROVIDER, "CanonicalUser": CANONICAL_ID}
    return {kind: values.get(kind, names) for kind, names in made.items()}


def some(draw: st.DrawFn, patterns: list[str]) -> str | list[str]:
    drawn = draw(st.lists(st.sampled_from(patterns), min_size=1, max_size=3))
    return drawn[0] if len(drawn) == 1 and draw(st.booleans()) else drawn


@st.composite
def statements(draw: st.DrawFn, *, of_resource: bool = False, effect: str | None = None) -> Statement:
    made: dict[str, Any] = {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "Action", "NotAction"])): some(draw, ACTION_PATTERNS),
        draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"])): some(draw, RESOURCE_PATTERNS),
    }
    if draw(st.booleans()):
        made["Condition"] = draw(conditions())
    if of_resource:
        made[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = draw(principals())
    return made


@st.composite
def documents(draw: st.DrawFn, *, of_resource: bool = False) -> Document:
    version = draw(st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"])) if of_resource else "2012-10-17"
    return Document(version, draw(st.lists(statements(of_resource=of_resource), min_size=1, max_size=3)))


# Requests under policies


@dataclass(frozen=True)
class Situation:
    """A request and the policies in force for it, as documents. `session` None: there are none; () is a federated
    user's without any."""

    principal: Principal
    asked: Asked
    identity: tuple[Document, ...]
    boundary: Document | None
    session: tuple[Document, ...] | None
    on_resource: Document | None
    is_key: bool
    is_granted: bool

    def decide(self) -> Decision:
        """By the evaluator."""
        asked = self.asked
        request = AccessRequest(
            self.principal,
            asked.action,
            asked.resource,
            asked.owner,
            asked.context,
            asked.canonical_id,
            asked.provider,
        )
        policies = PoliciesInForce(
            tuple(compiled(each) for each in self.identity),
            None if self.boundary is None else compiled(self.boundary),
            None if self.session is None else tuple(compiled(each) for each in self.session),
            None if self.on_resource is None else compiled(self.on_resource, PolicyKind.KEY),
        )
        if self.is_key:
            return evaluate_key(request, policies, lambda: "grant g" if self.is_granted else None)
        return evaluate(request, policies)

    def with_identity(self, added: Statement) -> Situation:
        return replace(self, identity=(*self.identity, Document("2012-10-17", [added])))

    def with_boundary(self, added: Statement) -> Situation:
        return replace(self, boundary=more(self.boundary, added))

    def with_session(self, added: Statement) -> Situation:
        return replace(self, session=(*(self.session or ()), Document("2012-10-17", [added])))

    def with_resource(self, added: Statement) -> Situation:
        return replace(self, on_resource=more(self.on_resource, added))


def more(document: Document | None, added: Statement) -> Document:
    if document is None:
        return Document("2012-10-17", [added])
    return Document(document.version, [*document.statements, added])


def text_of(document: Document) -> str:
    return json.dumps({"Version": document.version, "Statement": list(document.statements)}, ensure_ascii=False)


def compiled(document: Document, kind: PolicyKind = PolicyKind.IDENTITY) -> NamedPolicy:
    return NamedPolicy(kind.value, parse_policy(text_of(document), kind))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    principal = draw(CALLERS)
    session_of = principal.kind in {PrincipalKind.ROLE_SESSION, PrincipalKind.FEDERATED_USER}
    role_id = principal.principal_id.partition(":")[0] if principal.kind is PrincipalKind.ROLE_SESSION else None
    who = Who(
        {PrincipalKind.ROOT: "root", PrincipalKind.SERVICE: "service", PrincipalKind.ANONYMOUS: "anonymous"}.get(
            principal.kind, "identity"
        ),
        principal.account_id,
        principal.arn,
        principal.principal_id,
        principal.issuer_arn if session_of else None,
        (role_id or principal.issuer_id) if session_of else None,
    )
    on_s3 = draw(st.booleans())
    asked = Asked(
        who,
        draw(st.sampled_from(["s3:GetObject"] if on_s3 else ["kms:Decrypt", "kms:Encrypt"])),
        draw(st.sampled_from(["arn:aws:s3:::b/k", "arn:aws:s3:::b/k:1"])) if on_s3 else KEY_ARN,
        ACCOUNT,
        draw(CONTEXTS),
        draw(st.sampled_from([None, CANONICAL_ID])),
        draw(st.sampled_from([None, PROVIDER])),
    )
    sessions = st.lists(documents(), min_size=1, max_size=2).map(tuple)
    return Situation(
        principal,
        asked,
        tuple(draw(st.lists(documents(), max_size=2))),
        draw(st.none() | documents()),
        draw(st.none() | sessions | st.just(())) if session_of else None,
        draw(st.none() | documents(of_resource=True)),
        draw(st.booleans()),
        draw(st.booleans()),
    )
