"""Where statements stand in a policy's text, and how it spells the condition keys that it asks for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.policy.text import Position, Span, spelt_keys, statement_spans

STATEMENT = '{"Effect":"Allow","Action":"s3:*","Resource":"*"}'

# The first two were recorded from IAM, of AWS's AdministratorAccess and of an inline policy in one line.
ADMINISTRATOR = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "*",
      "Resource": "*"
    }
  ]
}"""


def span(*numbers: int) -> Span:
    return Span(Position(*numbers[:2]), Position(*numbers[2:]))


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        (ADMINISTRATOR, [span(3, 17, 8, 6)]),
        (f'{{"Version":"2012-10-17","Statement":[{STATEMENT}]}}', [span(1, 38, 1, 38 + len(STATEMENT))]),
        (f'{{"Statement":{STATEMENT}}}', [span(1, 14, 1, 14 + len(STATEMENT))]),
        (f'\n\t{{"Id": "a\\"b",\r\n"Statement"\n:\n[ {STATEMENT} ]}}', [span(5, 2, 5, 3 + len(STATEMENT))]),
        (
            f'{{"Statement":[{STATEMENT},\n {STATEMENT}],"Version":"2012-10-17"}}',
            [span(1, 15, 1, 15 + len(STATEMENT)), span(1, 16 + len(STATEMENT), 2, 2 + len(STATEMENT))],
        ),
    ],
)
def test_where_statements_stand(text: str, spans: list[Span]) -> None:
    assert statement_spans(text) == tuple(spans)


def offset(text: str, position: Position) -> int:
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: position.line - 1]) + position.column - 1


@given(
    st.lists(st.fixed_dictionaries({"Effect": st.just("Allow"), "Sid": st.text()}), min_size=1, max_size=4),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_what_stands_there_is_the_statement(statements: list[dict[str, str]], indent: str | int, ascii: bool) -> None:
    text = json.dumps({"Id": '"Statement": [', "Statement": statements}, indent=indent, ensure_ascii=ascii)
    spans = statement_spans(text)
    assert [json.loads(text[offset(text, each.start) : offset(text, each.end)]) for each in spans] == statements


def test_keys_are_told_as_they_are_spelt_and_once() -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::b/${aws:UserName}/*", "arn:aws:s3:::b/${*}"],
                "Condition": {
                    "StringLike": {"s3:Prefix": ["${aws:PrincipalTag/team, 'none'}", "x"]},
                    "Bool": {"aws:MultiFactorAuthPresent": False},
                },
            },
            {
                "Effect": "Allow",
                "Action": "s3:*",
                "NotResource": "arn:aws:s3:::${aws:username}",
                "Condition": {"StringEquals": {"S3:prefix": ""}},
            },
        ],
    }
    assert spelt_keys(json.dumps(policy)) == (
        "s3:Prefix",
        "aws:PrincipalTag/team",
        "aws:MultiFactorAuthPresent",
        "aws:UserName",
    )
    policy["Version"] = "2008-10-17"
    assert spelt_keys(json.dumps(policy)) == ("s3:Prefix", "aws:MultiFactorAuthPresent")


def test_a_single_statement_without_conditions() -> None:
    assert spelt_keys(f'{{"Statement":{STATEMENT}}}') == ()
