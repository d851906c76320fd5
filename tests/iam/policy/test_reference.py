"""The evaluator against a second one that was written from the prose, and what holds of any policies at all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iam.policy.document import PolicyKind
from iam.policy.evaluation import Outcome
from iam.policy.parse import parse_policy
from tests.iam.policy import reference
from tests.iam.policy.reference import Document, Statement
from tests.iam.policy.strategies import Situation, documents, situations, statements, text_of

OUTCOMES = {Outcome.ALLOWED: "allow", Outcome.EXPLICIT_DENY: "deny", Outcome.IMPLICIT_DENY: "none"}


@settings(max_examples=200, deadline=None)
@given(situations())
def test_both_evaluators_agree(situation: Situation) -> None:
    assert OUTCOMES[situation.decide().outcome] == reference.decide(
        situation.asked,
        identity=situation.identity,
        boundary=situation.boundary,
        session=situation.session,
        on_resource=situation.on_resource,
        is_key=situation.is_key,
        is_granted=situation.is_granted,
    )


@settings(max_examples=100, deadline=None)
@given(situations(), statements(effect="Deny"), statements(effect="Deny", of_resource=True))
def test_another_deny_anywhere_never_allows(situation: Situation, own: Statement, on_resource: Statement) -> None:
    if situation.decide().is_allowed:
        return
    assert not situation.with_identity(own).decide().is_allowed
    assert not situation.with_resource(on_resource).decide().is_allowed
    if situation.boundary is not None:
        assert not situation.with_boundary(own).decide().is_allowed
    if situation.session is not None:
        assert not situation.with_session(own).decide().is_allowed


@settings(max_examples=100, deadline=None)
@given(situations(), statements(effect="Deny"), statements(effect="Deny", of_resource=True))
def test_another_deny_is_explicit_or_changes_nothing(
    situation: Situation, own: Statement, on_resource: Statement
) -> None:
    before = situation.decide().outcome
    for changed in (situation.with_identity(own), situation.with_resource(on_resource)):
        assert changed.decide().outcome in {before, Outcome.EXPLICIT_DENY}


@settings(max_examples=100, deadline=None)
@given(situations(), statements(effect="Allow"), statements(effect="Allow", of_resource=True))
def test_another_allow_where_there_are_policies_never_refuses(
    situation: Situation, own: Statement, on_resource: Statement
) -> None:
    """A boundary or a session policy where there was none does: what it leaves out is refused."""
    if not situation.decide().is_allowed:
        return
    assert situation.with_identity(own).decide().is_allowed
    assert situation.with_resource(on_resource).decide().is_allowed
    if situation.boundary is not None:
        assert situation.with_boundary(own).decide().is_allowed
    if situation.session is not None:
        assert situation.with_session(own).decide().is_allowed


@settings(max_examples=100, deadline=None)
@given(situations())
def test_who_is_denied_outright_is_so_whatever_allows(situation: Situation) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    if situation.decide().outcome is Outcome.EXPLICIT_DENY:
        changed = situation.with_identity(everything).with_resource({**everything, "Principal": "*"})
        assert changed.decide().outcome is Outcome.EXPLICIT_DENY


# Documents written otherwise


def otherwise(document: Document, random: Any) -> str:
    """The same document with its members in another order, single values in lists, other blanks and escapes."""

    def member(name: str, value: Any) -> Any:
        if name in {"Action", "NotAction", "Resource", "NotResource"} and isinstance(value, str):
            return [value]
        if name == "Condition":
            return {
                operator: {key: wanted if isinstance(wanted, list) else [wanted] for key, wanted in shuffled(keys)}
                for operator, keys in shuffled(value)
            }
        return value

    def shuffled(mapping: Any) -> list[tuple[str, Any]]:
        members = list(mapping.items())
        random.shuffle(members)
        return members

    made = [{name: member(name, value) for name, value in shuffled(each)} for each in document.statements]
    whole = {"Statement": made[0] if len(made) == 1 else made, "Version": document.version}
    return json.dumps(whole, indent=random.choice([None, 0, 3]), ensure_ascii=random.choice([True, False]))


@settings(max_examples=100, deadline=None)
@given(documents(of_resource=True), st.randoms(use_true_random=False))
def test_a_document_written_otherwise_is_the_same_policy(document: Document, random: Any) -> None:
    policies = [parse_policy(text, PolicyKind.KEY) for text in (text_of(document), otherwise(document, random))]
    for one, other in zip(*(policy.statements for policy in policies), strict=True):
        assert (one.number, one.sid, one.effect, one.principals) == (
            other.number,
            other.sid,
            other.effect,
            other.principals,
        )
        for first, second in ((one.actions, other.actions), (one.resources, other.resources)):
            assert first is not None and second is not None
            assert (first.is_negated, first.patterns.exact) == (second.is_negated, second.patterns.exact)
            assert first.patterns.prefixes == second.patterns.prefixes
        assert one.condition_keys == other.condition_keys
        assert len(one.conditions) == len(other.conditions)


@settings(max_examples=100, deadline=None)
@given(situations(), st.randoms(use_true_random=False))
def test_a_document_written_otherwise_decides_alike(situation: Situation, random: Any) -> None:
    def rewritten(document: Document | None) -> Document | None:
        if document is None:
            return None
        whole = json.loads(otherwise(document, random))
        made = whole["Statement"] if isinstance(whole["Statement"], list) else [whole["Statement"]]
        return Document(whole["Version"], made)

    changed = Situation(
        situation.principal,
        situation.asked,
        tuple(each for each in map(rewritten, situation.identity) if each is not None),
        rewritten(situation.boundary),
        situation.session,
        rewritten(situation.on_resource),
        situation.is_key,
        situation.is_granted,
    )
    assert changed.decide().outcome is situation.decide().outcome
