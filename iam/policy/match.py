"""Wildcards: `*` for any characters, `?` for any one, matched in time linear in text and pattern.

Source: IAM User Guide, "IAM JSON policy elements: Resource" and, for conditions, "Amazon Resource Name (ARN) condition
operators". Patterns come from whoever may write a policy, so that no pattern may be expensive: stars are matched with
atomic groups, which never go back, or by a set of states where going back would be needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

Matcher = Callable[[str], object]
"""Tells by the truth of its answer whether a text matches."""

ARN_COMPONENTS = 6


class Wild(Enum):
    """The wildcards of a pattern; a star or question mark in a literal token stands for itself."""

    ANY = "*"
    ONE = "?"


Token = str | Wild

_WILDCARDS = re.compile(r"([*?])")


def tokenise(text: str) -> tuple[Token, ...]:
    """The literals and wildcards that `text` spells."""
    return tuple(Wild(piece) if piece in {"*", "?"} else piece for piece in _WILDCARDS.split(text) if piece)


def glob_matcher(tokens: Sequence[Token]) -> Matcher:
    """Matches whole texts; stars stand for any characters whatever."""
    tokens = _joined(tokens)
    match tokens:
        case ():
            return "".__eq__
        case (str() as literal,):
            return literal.__eq__
        case (Wild.ANY,):
            return _matches_anything
        case (str() as prefix, Wild.ANY):
            return lambda text: text.startswith(prefix)
    return re.compile(_regex(tokens), re.DOTALL).fullmatch


def resource_matcher(tokens: Sequence[Token]) -> Matcher:
    """Matches ARNs as the element Resource does.

    In the first five of an ARN's six components a wildcard stays within its component, but for a star that ends one,
    which may go on beyond the colon; in the sixth, which may hold colons itself, stars stand for anything.
    """
    tokens = _joined(tokens)
    if _stays_within_component(tokens):
        return _StateSet(tokens).matches
    return glob_matcher(tokens)


def arn_matcher(tokens: Sequence[Token]) -> Matcher:
    """Matches ARNs as ArnEquals and ArnLike do: each of the six components apart. A lone star matches every text."""
    tokens = _joined(tokens)
    if tokens == (Wild.ANY,):
        return _matches_anything
    components = _arn_components(tokens)
    if len(components) != ARN_COMPONENTS:
        return _matches_nothing
    matchers = [glob_matcher(component) for component in components]

    def matches(text: str) -> bool:
        parts = text.split(":", ARN_COMPONENTS - 1)
        return len(parts) == ARN_COMPONENTS and all(
            matcher(part) for matcher, part in zip(matchers, parts, strict=True)
        )

    return matches


def _matches_anything(_text: str) -> bool:
    return True


def _matches_nothing(_text: str) -> bool:
    return False


def _joined(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """Neighbouring literals joined, and stars beside a star dropped."""
    joined: list[Token] = []
    for token in tokens:
        last = joined[-1] if joined else None
        if isinstance(token, str) and isinstance(last, str):
            joined[-1] = last + token
        elif token != "" and not (token is Wild.ANY and last is Wild.ANY):
            joined.append(token)
    return tuple(joined)


def _regex(tokens: Sequence[Token]) -> str:
    """What stands between two stars is found at its first place, which leaves the most to the rest."""
    between = [""]
    for token in tokens:
        if token is Wild.ANY:
            between.append("")
        else:
            between[-1] += "." if token is Wild.ONE else re.escape(str(token))
    if len(between) == 1:
        return between[0]
    first, *middle, last = between
    return first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last


def _stays_within_component(tokens: Sequence[Token]) -> bool:
    """Whether a wildcard stands in the first five components, other than a star at the end of one."""
    colons = 0
    for index, token in enumerate(tokens):
        if isinstance(token, str):
            colons += token.count(":")
        elif colons < ARN_COMPONENTS - 1 and not (token is Wild.ANY and _ends_component(tokens, index)):
            return True
    return False


def _ends_component(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1] if index + 1 < len(tokens) else ":"
    return isinstance(following, str) and following.startswith(":")


def _arn_components(tokens: Sequence[Token]) -> list[list[Token]]:
    components: list[list[Token]] = [[]]
    for token in tokens:
        if isinstance(token, Wild):
            components[-1].append(token)
            continue
        first, *others = token.split(":", ARN_COMPONENTS - len(components))
        components[-1].append(first)
        components += [[each] for each in others]
    return components


class _StateSet:
    """A pattern as the set of places that a match can have reached, one bit each; a text costs a few steps a character.

    Used where a wildcard must not pass a colon, which no regular expression matches without going back.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._literals: dict[str, int] = {}
        self._one = self._one_but_colon = self._stars = self._stars_but_colon = 0
        place = colons = 0
        for index, token in enumerate(tokens):
            crosses = colons >= ARN_COMPONENTS - 1 or (token is Wild.ANY and _ends_component(tokens, index))
            if isinstance(token, str):
                for character in token:
                    self._literals[character] = self._literals.get(character, 0) | 1 << place
                    place += 1
                colons += token.count(":")
                continue
            if token is Wild.ANY:
                self._stars_but_colon |= 1 << place
                self._stars |= (1 << place) if crosses else 0
            else:
                self._one_but_colon |= 1 << place
                self._one |= (1 << place) if crosses else 0
            place += 1
        self._end = 1 << place

    def matches(self, text: str) -> bool:
        reached = self._past_stars(1)
        for character in text:
            is_colon = character == ":"
            one = self._one if is_colon else self._one_but_colon
            stars = self._stars if is_colon else self._stars_but_colon
            stepped = (reached & (self._literals.get(character, 0) | one)) << 1
            reached = self._past_stars(stepped | (reached & stars))
            if not reached:
                return False
        return bool(reached & self._end)

    def _past_stars(self, reached: int) -> int:
        """A star may stand for nothing. No two stars are neighbours, so that one step is enough."""
        return reached | (reached & self._stars_but_colon) << 1
