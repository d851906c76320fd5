"""Every operator, in each form, on values that meet it, that do not, of the wrong type, and on none."""

from __future__ import annotations

import pytest

from iam.policy.conditions import OPERATORS, parse_condition

# (operator, the policy's values, the request's values, whether it holds)
CASES = [
    ("StringEquals", ["a", "b"], ["b"], True),
    ("StringEquals", ["a"], ["A"], False),
    ("StringEquals", ["a*"], ["ab"], False),
    ("StringEquals", ["a*"], ["a*"], True),
    ("StringEquals", ["a"], [], False),
    ("StringNotEquals", ["a", "b"], ["b"], False),
    ("StringNotEquals", ["a", "b"], ["c"], True),
    ("StringNotEquals", ["a"], [], True),
    ("StringEqualsIgnoreCase", ["aB"], ["Ab"], True),
    ("StringEqualsIgnoreCase", ["a"], ["b"], False),
    ("StringNotEqualsIgnoreCase", ["aB"], ["Ab"], False),
    ("StringNotEqualsIgnoreCase", ["a"], ["b"], True),
    ("StringLike", ["a*c", "x?"], ["abc"], True),
    ("StringLike", ["a?c"], ["abbc"], False),
    ("StringNotLike", ["a*"], ["abc"], False),
    ("StringNotLike", ["a*"], ["b"], True),
    ("NumericEquals", ["10"], ["10.0"], True),
    ("NumericEquals", ["10"], ["ten"], False),
    ("NumericNotEquals", ["10"], ["11"], True),
    ("NumericNotEquals", ["10"], ["10"], False),
    ("NumericNotEquals", ["10"], ["ten"], True),
    ("NumericLessThan", ["10"], ["9"], True),
    ("NumericLessThan", ["10"], ["10"], False),
    ("NumericLessThan", ["10"], ["nine"], False),
    ("NumericLessThanEquals", ["10"], ["10"], True),
    ("NumericLessThanEquals", ["10"], ["11"], False),
    ("NumericGreaterThan", ["-1"], ["0"], True),
    ("NumericGreaterThan", ["10"], ["10"], False),
    ("NumericGreaterThanEquals", ["10"], ["10"], True),
    ("NumericGreaterThanEquals", ["10"], ["9.99"], False),
    ("DateEquals", ["2026-01-01T00:00:00Z"], ["1767225600"], True),
    ("DateEquals", ["2026-01-01T00:00:00Z"], ["2026-01-01T01:00:00Z"], False),
    ("DateNotEquals", ["2026-01-01"], ["2026-01-02"], True),
    ("DateNotEquals", ["2026-01-01"], ["2026-01-01T00:00:00Z"], False),
    ("DateLessThan", ["2026-01-01T00:00:00+02:00"], ["2025-12-31T21:59:59Z"], True),
    ("DateLessThan", ["2026-01-01T00:00:00+02:00"], ["2025-12-31T22:00:00Z"], False),
    ("DateLessThan", ["2026-01-01"], ["yesterday"], False),
    ("DateLessThanEquals", ["2026-01-01"], ["2026-01-01"], True),
    ("DateLessThanEquals", ["2026-01-01"], ["2026-01-02"], False),
    ("DateGreaterThan", ["2026-01-01"], ["2026-01-02"], True),
    ("DateGreaterThan", ["2026-01-01"], ["2026-01-01"], False),
    ("DateGreaterThanEquals", ["2026-01-01"], ["2026-01-01"], True),
    ("DateGreaterThanEquals", ["2026-01-01"], ["2025-12-31"], False),
    ("Bool", ["true"], ["true"], True),
    ("Bool", ["True"], ["true"], True),
    ("Bool", ["true"], ["false"], False),
    ("Bool", ["false"], [], False),
    ("BinaryEquals", ["QmFk"], ["QmFk"], True),
    ("BinaryEquals", ["QmFk"], ["QmFl"], False),
    ("BinaryEquals", ["QmFk"], ["!"], False),
    ("IpAddress", ["203.0.113.0/24", "2001:db8::/32"], ["203.0.113.7"], True),
    ("IpAddress", ["203.0.113.0/24", "2001:db8::/32"], ["2001:db8::1"], True),
    ("IpAddress", ["203.0.113.7"], ["203.0.113.8"], False),
    ("IpAddress", ["203.0.113.0/24"], ["somewhere"], False),
    ("NotIpAddress", ["203.0.113.0/24"], ["203.0.113.7"], False),
    ("NotIpAddress", ["203.0.113.0/24"], ["198.51.100.1"], True),
    ("ArnEquals", ["arn:aws:iam::1:role/*"], ["arn:aws:iam::1:role/r"], True),
    ("ArnLike", ["arn:aws:iam::1:role/r"], ["arn:aws:iam::2:role/r"], False),
    ("ArnNotEquals", ["arn:aws:iam::1:role/r"], ["arn:aws:iam::1:role/r"], False),
    ("ArnNotLike", ["arn:aws:iam::1:role/*"], ["arn:aws:iam::2:role/r"], True),
    ("Null", ["true"], [], True),
    ("Null", ["true"], ["x"], False),
    ("Null", ["false"], ["x"], True),
    ("Null", ["false"], [], False),
    ("StringEqualsIfExists", ["a"], [], True),
    ("StringEqualsIfExists", ["a"], ["b"], False),
    ("StringNotEqualsIfExists", ["a"], ["a"], False),
    ("BoolIfExists", ["true"], [], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a"], [], True),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "a"], False),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c", "a"], True),
    ("ForAnyValue:StringEquals", ["a"], ["b", "c"], False),
    ("ForAnyValue:StringEquals", ["a"], [], False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
    ("ForAnyValue:StringNotEquals", ["a"], [], False),
    ("ForAnyValue:StringEqualsIfExists", ["a"], [], True),
    ("ForAllValues:StringLike", ["a*"], ["ab", "ac"], True),
    ("StringEquals", [], ["a"], False),
]


@pytest.mark.parametrize(("name", "wanted", "present", "holds"), CASES)
def test_conditions(name: str, wanted: list[str], present: list[str], holds: bool) -> None:
    condition = parse_condition(name, "aws:Key", wanted)
    assert condition.holds({"aws:key": tuple(present)} if present else {}) is holds


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_has_a_case_that_holds_and_one_that_does_not(name: str) -> None:
    answers = {holds for case, _, present, holds in CASES if case == name and present}
    assert answers == {True, False} or name.startswith("Arn")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("stringequals", ["a"]),
        ("StringEqual", ["a"]),
        ("ForSomeValues:StringEquals", ["a"]),
        ("ForAllValues:Null", ["true"]),
        ("NullIfExists", ["true"]),
        ("Null", ["maybe"]),
        ("NumericEquals", ["ten"]),
        ("NumericEquals", ["1" * 65]),
        ("DateLessThan", ["tomorrow"]),
        ("Bool", ["yes"]),
        ("BinaryEquals", ["%"]),
        ("IpAddress", ["10.0.0.0/33"]),
    ],
)
def test_what_is_no_condition_is_refused(name: str, values: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_condition(name, "aws:Key", values)


VARIABLES = [
    ("StringEquals", "${aws:username}", "alice", True),
    ("StringEquals", "${AWS:UserName}", "alice", True),
    ("StringEquals", "x-${aws:username}-${aws:username}", "x-alice-alice", True),
    ("StringEquals", "${aws:missing}", "", False),
    ("StringNotEquals", "${aws:missing}", "alice", True),
    ("StringEquals", "${aws:missing, 'nobody'}", "nobody", True),
    ("StringLike", "${aws:star}", "anything", False),
    ("StringLike", "${aws:star}", "a*", True),
    ("StringLike", "${*}b?", "*bc", True),
    ("StringLike", "${*}b", "ab", False),
    ("StringLike", "${?}", "?", True),
    ("StringEquals", "${$}{aws:username}", "${aws:username}", True),
    ("StringEquals", "${aws:many}", "one", False),
    ("NumericLessThan", "${aws:number}", "4", True),
    ("NumericLessThan", "${aws:username}", "4", False),
    ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/alice", True),
]


@pytest.mark.parametrize(("name", "wanted", "present", "holds"), VARIABLES)
def test_variables(name: str, wanted: str, present: str, holds: bool) -> None:
    context = {
        "aws:key": (present,),
        "aws:username": ("alice",),
        "aws:star": ("a*",),
        "aws:many": ("one", "two"),
        "aws:number": ("5",),
    }
    assert parse_condition(name, "aws:Key", [wanted]).holds(context) is holds


def test_documents_of_the_old_version_have_no_variables() -> None:
    condition = parse_condition("StringEquals", "aws:Key", ["${aws:username}"], has_variables=False)
    assert condition.holds({"aws:key": ("${aws:username}",), "aws:username": ("alice",)})
    assert not condition.holds({"aws:key": ("alice",), "aws:username": ("alice",)})
