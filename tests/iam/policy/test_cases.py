"""The evaluator on cases from AWS's documentation, which lie as data in `cases/`.

A file is of one page; its `statements` are named by their Sid. A case puts them together: `identity`, `session` are
lists of policies, `boundary` and `resource` one, each the Sids of its statements with + between them. `expected` is the
outcome, `layer` the kind of policy that was lacking or denied, `by` the Sids that decided. `rules = "key"` asks for
those of KMS keys, `grant` is a grant that allows. A case may bring a statement's `Condition`, `Action`, … of its own:
`Given` is the statement that it goes into. What a case leaves out is in the file's `defaults`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from iam.policy.document import PolicyKind
from iam.policy.evaluation import AccessRequest, Decision, Layer, NamedPolicy, PoliciesInForce, evaluate, evaluate_key
from iam.policy.parse import parse_policy
from iam.principals import Principal, PrincipalKind

FOLDER = Path(__file__).parent / "cases"
LAYERS = {"identity": Layer.IDENTITY, "boundary": Layer.BOUNDARY, "session": Layer.SESSION, "resource": Layer.RESOURCE}
GIVEN = ("Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition", "Effect")
KNOWN = {
    *("name", "principal", "action", "on", "owner", "context", "canonical_id", "provider"),
    *("identity", "boundary", "session", "resource", "version", "rules", "grant"),
    *("expected", "layer", "by", "given", *GIVEN),
}

Case = Mapping[str, Any]


def principals() -> Mapping[str, Principal]:
    return {
        name: Principal(
            PrincipalKind(each["kind"]),
            each["account"],
            each["arn"],
            each["id"],
            each.get("issuer_arn"),
            issuer_id=each.get("issuer_id"),
        )
        for name, each in tomllib.loads((FOLDER / "principals.toml").read_text()).items()
    }


def cases() -> Iterator[tuple[str, Case, Mapping[str, Any]]]:
    for path in sorted(FOLDER.glob("*.toml")):
        if path.name == "principals.toml":
            continue
        page = tomllib.loads(path.read_text())
        assert page["source"], "a file names its page"
        for case in page["cases"]:
            whole = {**page.get("defaults", {}), **case}
            assert not (set(whole) - KNOWN), whole
            yield f"{path.stem}: {whole['name']}", whole, page.get("statements", {})


ALL = list(cases())
PRINCIPALS = principals()


def _document(sids: str, case: Case, statements: Mapping[str, Any]) -> str:
    made = []
    for sid in sids.split("+"):
        if sid == "Given":
            own = {name: case[name] for name in GIVEN if name in case}
            left_out = {f"Not{name}" for name in own} | {name.removeprefix("Not") for name in own if name[:3] == "Not"}
            defaults = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            if sids == case.get("resource"):
                defaults["Principal"] = "*"
            body = {name: value for name, value in defaults.items() if name not in left_out} | own
        else:
            body = statements[sid]
        made.append({"Sid": sid, **body})
    return json.dumps({"Version": case.get("version", "2012-10-17"), "Statement": made})


def _policy(sids: str, kind: PolicyKind, case: Case, statements: Mapping[str, Any]) -> NamedPolicy:
    return NamedPolicy(kind.value, parse_policy(_document(sids, case, statements), kind))


def _in_force(case: Case, statements: Mapping[str, Any]) -> PoliciesInForce:
    def own(each: Sequence[str]) -> tuple[NamedPolicy, ...]:
        return tuple(_policy(sids, PolicyKind.IDENTITY, case, statements) for sids in each)

    return PoliciesInForce(
        own(case.get("identity", [])),
        own([case["boundary"]])[0] if "boundary" in case else None,
        own(case["session"]) if "session" in case else None,
        _policy(case["resource"], PolicyKind.KEY, case, statements) if "resource" in case else None,
    )


def _decide(case: Case, statements: Mapping[str, Any]) -> Decision:
    context = {
        name.lower(): tuple(value) if isinstance(value, list) else (value,)
        for name, value in case.get("context", {}).items()
    }
    request = AccessRequest(
        PRINCIPALS[case["principal"]],
        case["action"],
        case["on"],
        case.get("owner", "111122223333"),
        {name: values for name, values in context.items() if values},
        case.get("canonical_id"),
        case.get("provider"),
    )
    policies = _in_force(case, statements)
    if case.get("rules") == "key":
        return evaluate_key(request, policies, lambda: case.get("grant"))
    return evaluate(request, policies)


@pytest.mark.parametrize(("case", "statements"), [each[1:] for each in ALL], ids=[each[0] for each in ALL])
def test_cases_of_aws_documentation(case: Case, statements: Mapping[str, Any]) -> None:
    decision = _decide(case, statements)
    assert decision.outcome.value == case["expected"], decision
    assert decision.layer is (LAYERS[case["layer"]] if "layer" in case else None)
    decided = re.findall(r'statement "([^"]*)"', decision.decided_by)
    assert decided == case.get("by", []), decision.decided_by


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    names = [name for name, _, _ in ALL]
    assert len(names) == len(set(names)) >= 300


def test_refusals_say_which_layer_and_allowances_say_which_statement() -> None:
    for name, case, _ in ALL:
        assert ("layer" in case) is (case["expected"] != "allowed"), name
        is_by_rule = case["principal"].endswith("root") or "grant" in case
        assert "by" in case or is_by_rule or case["expected"] == "implicit deny", name
