"""Wildcards: `*` for any characters, `?` for any one.

Source: IAM User Guide, "IAM JSON policy elements: Resource" and, for conditions, "Amazon Resource Name (ARN) condition
operators". Patterns come from whoever may write a policy, so that none may be expensive, neither to compile (a regular
expression costs some 100 µs) nor to match: what stands between two stars is taken at its first place and not looked for
again, or the places that a match can have reached are kept as a set of bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

Matcher = Callable[[str], object]
"""Tells by the truth of its answer whether a text matches."""

ARN_COMPONENTS = 6


class Wild(Enum):
    """The wildcards of a pattern; a star or question mark in a literal token stands for itself."""

    ANY = "*"
    ONE = "?"


Token = str | Wild

Pattern = tuple[Token, ...]
"""Tokens without two literals or two stars beside each other, and without an empty literal."""

_STARS = re.compile(r"\*\*+")
_WILDCARDS = re.compile(r"([*?])")
_WILD = {"*": Wild.ANY, "?": Wild.ONE}


def tokenise(text: str) -> Pattern:
    """The literals and wildcards that `text` spells."""
    if "*" not in text and "?" not in text:
        return (text,) if text else ()
    if "**" in text:
        text = _STARS.sub("*", text)
    return tuple([_WILD.get(piece, piece) for piece in _WILDCARDS.split(text) if piece])


def joined(tokens: Iterable[Token]) -> Pattern:
    """The pattern of any tokens: neighbouring literals joined, and stars beside a star dropped."""
    found: list[Token] = []
    literals: list[str] = []
    for token in tokens:
        if isinstance(token, str):
            literals.append(token)
            continue
        if any(literals):
            found.append("".join(literals))
        literals.clear()
        if not (token is Wild.ANY and found and found[-1] is Wild.ANY):
            found.append(token)
    if any(literals):
        found.append("".join(literals))
    return tuple(found)


def glob_matcher(tokens: Pattern) -> Matcher:
    """Matches whole texts; stars stand for any characters whatever."""
    match tokens:
        case ():
            return "".__eq__
        case (str() as literal,):
            return literal.__eq__
        case (Wild.ANY,):
            return _matches_anything
        case (str() as prefix, Wild.ANY):
            return lambda text: text.startswith(prefix)
    if Wild.ONE not in tokens:
        return _literals_between_stars(tokens)
    if Wild.ANY not in tokens:
        return _of_fixed_length(tokens)
    return _StateSet(tokens, first_free_component=0).matches


def resource_matcher(tokens: Pattern) -> Matcher:
    """Matches ARNs as the element Resource does.

    In the first five of an ARN's six components a wildcard stays within its component, but for a star that ends one,
    which may go on beyond the colon; in the sixth, which may hold colons itself, stars stand for anything.
    """
    if not _stays_within_component(tokens):
        return glob_matcher(tokens)
    components = _arn_components(tokens)
    if len(components) == ARN_COMPONENTS and not any(each[-1:] == (Wild.ANY,) for each in components[:-1]):
        return _component_matcher(components)
    return _StateSet(tokens, first_free_component=ARN_COMPONENTS - 1).matches


def arn_matcher(tokens: Pattern) -> Matcher:
    """Matches ARNs as ArnEquals and ArnLike do: each of the six components apart. A lone star matches every text."""
    if tokens == (Wild.ANY,):
        return _matches_anything
    components = _arn_components(tokens)
    return _component_matcher(components) if len(components) == ARN_COMPONENTS else _matches_nothing


def _component_matcher(components: Sequence[Pattern]) -> Matcher:
    """Each component of an ARN by a pattern of its own."""
    matchers = [glob_matcher(component) for component in components]

    def matches(text: str) -> bool:
        parts = text.split(":", ARN_COMPONENTS - 1)
        return len(parts) == ARN_COMPONENTS and all(
            matcher(part) for matcher, part in zip(matchers, parts, strict=True)
        )

    return matches


@dataclass(frozen=True, slots=True)
class PatternSet:
    """Patterns of which one has to match: most are exact or end in their only star, and are looked up all at once."""

    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    matchers: tuple[Matcher, ...] = ()

    def matches(self, text: str) -> bool:
        if text in self.exact or text.startswith(self.prefixes):
            return True
        for matcher in self.matchers:  # noqa: SIM110  # a generator costs more than most of these
            if matcher(text):
                return True
        return False


def pattern_set(patterns: Iterable[Pattern], compile_pattern: Callable[[Pattern], Matcher]) -> PatternSet:
    """The set of these; `compile_pattern` makes matchers of those that are neither exact nor end in their only star."""
    exact, prefixes, matchers = set(), [], []
    for pattern in patterns:
        match pattern:
            case (str() as name,):
                exact.add(name)
            case (Wild.ANY,):
                prefixes.append("")
            case (str() as prefix, Wild.ANY):
                prefixes.append(prefix)
            case _:
                matchers.append(compile_pattern(pattern))
    return PatternSet(frozenset(exact), tuple(prefixes), tuple(matchers))


def _matches_anything(_text: str) -> bool:
    return True


def _matches_nothing(_text: str) -> bool:
    return False


def _literals_between_stars(tokens: Pattern) -> Matcher:
    """Literals with stars between them. Each is taken at its first place, which leaves the most to the rest."""
    first = tokens[0] if isinstance(tokens[0], str) else ""
    last = tokens[-1] if isinstance(tokens[-1], str) else ""
    literals = [token for token in tokens if isinstance(token, str)]
    middle = literals[bool(first) : len(literals) - bool(last)]
    shortest = sum(map(len, literals))

    def matches(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last) or len(text) < shortest:
            return False
        place, end = len(first), len(text) - len(last)
        for literal in middle:
            place = text.find(literal, place, end) + len(literal)
            if place < len(literal):
                return False
        return True

    return matches


def _of_fixed_length(tokens: Pattern) -> Matcher:
    """Literals and question marks."""
    literals: list[tuple[str, int]] = []
    length = 0
    for token in tokens:
        if isinstance(token, str):
            literals.append((token, length))
        length += len(token) if isinstance(token, str) else 1

    def matches(text: str) -> bool:
        return len(text) == length and all(text.startswith(literal, place) for literal, place in literals)

    return matches


def _stays_within_component(tokens: Pattern) -> bool:
    """Whether a wildcard stands in the first five components, other than a star at the end of one."""
    colons = 0
    for index, token in enumerate(tokens):
        if isinstance(token, str):
            colons += token.count(":")
            if colons >= ARN_COMPONENTS - 1:
                return False
        elif not (token is Wild.ANY and _ends_component(tokens, index)):
            return True
    return False


def _ends_component(tokens: Pattern, index: int) -> bool:
    following = tokens[index + 1] if index + 1 < len(tokens) else ":"
    return isinstance(following, str) and following.startswith(":")


def _arn_components(tokens: Pattern) -> list[Pattern]:
    components: list[list[Token]] = [[]]
    for token in tokens:
        if isinstance(token, Wild):
            components[-1].append(token)
            continue
        first, *others = token.split(":", ARN_COMPONENTS - len(components))
        components[-1].append(first)
        components += [[each] for each in others]
    return [tuple([token for token in component if token]) for component in components]


class _StateSet:
    """A pattern as the set of places that a match can have reached, one bit each; a text costs a few steps a character.

    Used where going back would be needed: for a wildcard that must not pass a colon, and for question marks beside
    stars. Wildcards pass colons from the component `first_free_component` on.
    """

    __slots__ = ("_end", "_masks", "_one", "_one_but_colon", "_places", "_prefix", "_stars", "_stars_but_colon")

    def __init__(self, tokens: Pattern, *, first_free_component: int) -> None:
        self._prefix = tokens[0] if tokens and isinstance(tokens[0], str) else ""
        self._places: dict[str, list[int]] = {}
        self._masks: dict[str, int] = {}
        ones, free_ones, stars, free_stars = [], [], [], []
        place = colons = 0
        for index, token in enumerate(tokens):
            if isinstance(token, str):
                for offset, character in enumerate(token):
                    self._places.setdefault(character, []).append(place + offset)
                place += len(token)
                colons += token.count(":")
                continue
            is_free = colons >= first_free_component
            if token is Wild.ANY:
                stars.append(place)
                if is_free or _ends_component(tokens, index):
                    free_stars.append(place)
            else:
                ones.append(place)
                if is_free:
                    free_ones.append(place)
            place += 1
        self._stars_but_colon, self._stars = _bits(stars), _bits(free_stars)
        self._one_but_colon, self._one = _bits(ones), _bits(free_ones)
        self._end = 1 << place

    def matches(self, text: str) -> bool:
        if not text.startswith(self._prefix):  # most texts, at no cost
            return False
        reached = self._past_stars(1)
        for character in text:
            is_colon = character == ":"
            one = self._one if is_colon else self._one_but_colon
            stars = self._stars if is_colon else self._stars_but_colon
            stepped = (reached & (self._literal(character) | one)) << 1
            reached = self._past_stars(stepped | (reached & stars))
            if not reached:
                return False
        return bool(reached & self._end)

    def _literal(self, character: str) -> int:
        """Where the pattern has the character. Made when a text has it: a long pattern may have many."""
        mask = self._masks.get(character)
        if mask is None:
            places = self._places.get(character)
            if places is None:
                return 0
            mask = self._masks[character] = _bits(places)
        return mask

    def _past_stars(self, reached: int) -> int:
        """A star may stand for nothing. No two stars are neighbours, so that one step is enough."""
        return reached | (reached & self._stars_but_colon) << 1


def _bits(places: Sequence[int]) -> int:
    """The number with these bits; `places` ascend."""
    if not places:
        return 0
    octets = bytearray((places[-1] >> 3) + 1)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")
