from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iam.policy.match import _StateSet, arn_matcher, glob_matcher, resource_matcher, tokenise

GLOBS = [
    ("", "", True),
    ("", "a", False),
    ("*", "", True),
    ("*", "a:b", True),
    ("kms:*", "kms:Decrypt", True),
    ("kms:*", "s3:GetObject", False),
    ("a*c", "abc", True),
    ("a*c", "ac", True),
    ("a*c", "acb", False),
    ("a?c", "abc", True),
    ("a?c", "ac", False),
    ("*b*d*", "abcd", True),
    ("*b*d", "abcde", False),
    ("a*a", "a", False),
    ("a.c", "abc", False),
    ("a**b", "a\nb", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), GLOBS)
def test_globs(pattern: str, text: str, matches: bool) -> None:
    assert bool(glob_matcher(tokenise(pattern))(text)) is matches


RESOURCES = [
    ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:1/x", True),
    ("arn:aws:s3:::b/a*z", "arn:aws:s3:::b/a:z", True),
    ("arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:eu:111122223333:key/1", True),
    ("arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:eu:444455556666:key/1", False),
    # A star at the end of a component may go on beyond the colon, one inside a component may not.
    ("arn:aws:kms:*:key/1", "arn:aws:kms:eu:111122223333:key/1", True),
    ("arn:aws:kms:e*u:key/1", "arn:aws:kms:e:x:u:key/1", False),
    ("arn:aws:kms:e*l-1:1:key/1", "arn:aws:kms:eu-central-2:1:key/1", False),
    ("arn:aws:kms:e*l-1:1:key/1", "arn:aws:kms:eu-central-1:1:key/1", True),
    ("arn:aws:kms:eu?1:1:key/1", "arn:aws:kms:eu-1:1:key/1", True),
    ("arn:aws:kms:eu?1:1:key/1", "arn:aws:kms:eu:1:1:key/1", False),
    ("arn:aws:*:c*d:1:x", "arn:aws:kms:cX:cYd:1:x", True),
    ("*", "arn:aws:kms:eu:1:key/1", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), RESOURCES)
def test_resources(pattern: str, text: str, matches: bool) -> None:
    assert bool(resource_matcher(tokenise(pattern))(text)) is matches


ARNS = [
    ("arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a:b", True),
    ("arn:aws:iam::*:role/r", "arn:aws:iam::1:role/r", True),
    ("arn:aws:iam:*:role/r", "arn:aws:iam::1:role/r", False),
    ("arn:*:iam::1:role/r", "arn:aws:iam::1:role/r", True),
    ("arn:aws:iam::1:role/r", "arn:aws:iam::1:role/R", False),
    ("*", "anything", True),
    ("arn:aws:iam::1:role/*", "no arn", False),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), ARNS)
def test_arns_component_by_component(pattern: str, text: str, matches: bool) -> None:
    assert bool(arn_matcher(tokenise(pattern))(text)) is matches


@given(st.text("ab:*?", max_size=12), st.text("ab:", max_size=12))
def test_a_glob_equals_the_plain_regular_expression(pattern: str, text: str) -> None:
    plain = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    assert bool(glob_matcher(tokenise(pattern))(text)) == bool(re.fullmatch(plain, text, re.DOTALL))


@given(st.text("a:*?", max_size=12), st.text("a:", max_size=12))
def test_a_resource_equals_the_regular_expression_of_the_rule(pattern: str, text: str) -> None:
    plain, colons = "", 0
    for index, character in enumerate(pattern):
        colons += character == ":"
        ends = pattern[index + 1 :].lstrip("*")[:1] in {"", ":"}
        any_character = "." if colons >= 5 or (character == "*" and ends) else "[^:]"
        plain += {"*": any_character + "*", "?": any_character}.get(character, character)
    assert bool(resource_matcher(tokenise(pattern))(text)) == bool(re.fullmatch(plain, text, re.DOTALL))


def test_no_pattern_is_expensive() -> None:
    """Each of these would take a backtracking matcher longer than the universe has."""
    text = "arn:aws:kms:" + "a" * 2000 + "!"
    for pattern in ("a*" * 500 + "b", "arn:aws:kms:" + "a*" * 400 + "ab:*", "?*" * 400 + "b"):
        assert not glob_matcher(tokenise(pattern))(text)
        assert not resource_matcher(tokenise(pattern))(text)


class Counting(str):
    """A text that counts what is looked at: characters that are searched, and characters that are iterated over."""

    steps: int = 0

    def find(self, sought: str, start: Any = 0, end: Any = None) -> int:  # type: ignore[override]
        found = super().find(sought, start, len(self) if end is None else end)
        self.steps += (len(self) if found < 0 else found + len(sought)) - start
        return found

    def __iter__(self) -> Iterator[str]:
        for character in super().__iter__():
            self.steps += 1
            yield character


WORST = [
    ("a*" * 500 + "b", "a" * 4000),
    ("*" + "ab*" * 600 + "c", "ab" * 2000),
    ("a*" * 400 + "?b", "a" * 4000),
    ("?*" * 400 + "b", "a" * 4000),
    ("*a?" * 400 + "*b", "aa" * 2000),
    ("arn:aws:kms:" + "a*" * 400 + "ab:*", "arn:aws:kms:" + "a" * 4000),
    ("arn:aws:k*s:" + "?*" * 300 + ":x:*", "arn:aws:kms:" + "a:" * 2000),
    ("arn:*:" * 100 + "b", "arn:a:" * 600),
]


@pytest.mark.parametrize(("pattern", "text"), WORST)
@pytest.mark.parametrize("matcher", [glob_matcher, resource_matcher, arn_matcher])
def test_no_character_of_a_text_is_looked_at_twice(matcher: Any, pattern: str, text: str) -> None:
    """By a pattern of any length; going back would take longer for each of these than the universe has."""
    counting = Counting(text)
    matcher(tokenise(pattern))(counting)
    assert counting.steps <= len(text) + 1


def test_a_long_pattern_is_compiled_in_steps_that_its_length_gives() -> None:
    """A set of states has as many places as the pattern has characters, and makes the masks that a text asks for."""
    pattern = "arn:aws:*s3:::" + "".join(map(chr, range(0x4E00, 0x4E00 + 5000))) + "*x"
    states = _StateSet(tokenise(pattern), first_free_component=5)
    assert sum(map(len, states._places.values())) == len(pattern) - 2
    assert not states.matches("arn:aws:zs3:::" + "y" * 100)
    assert len(states._masks) <= len(set("arn:aws:zs3:::y"))
