"""What is made quickly is in nothing else than other frozen dataclasses are."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import pytest

from iam.quickly_made import quickly_made, replaced


@dataclass(frozen=True, slots=True)
class Plain:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, compare=False)
    fourth: bytes = field(default=b"4", repr=False)

    @property
    def double(self) -> int:
        return 2 * self.first

    @classmethod
    def zero(cls) -> Self:
        return cls(0)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, compare=False)
    fourth: bytes = field(default=b"4", repr=False)

    @property
    def double(self) -> int:
        return 2 * self.first

    @classmethod
    def zero(cls) -> Self:
        return cls(0)


NAMES = [each.name for each in fields(Plain)]
CALLS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((1,), {}),
    ((1, "b"), {}),
    ((1, "b", [3]), {"fourth": b""}),
    ((), {"first": 0, "fourth": b"x"}),
)


@pytest.mark.parametrize(("positional", "named"), CALLS)
def test_it_is_made_of_the_same_arguments(positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    plain, quick = Plain(*positional, **named), Quick(*positional, **named)
    assert type(quick) is Quick
    assert repr(quick) == repr(plain).replace("Plain", "Quick")
    assert [getattr(quick, name) for name in NAMES] == [getattr(plain, name) for name in NAMES]
    assert (quick, hash(quick)) == (Quick(*positional, **named), hash(Quick(*positional, **named)))
    assert replace(quick, first=9) == replaced(quick, first=9) == Quick(9, quick.second, fourth=quick.fourth)
    assert replaced(quick, fourth=b"").third is quick.third
    assert pickle.loads(pickle.dumps(quick)) == quick


def test_defaults_are_made_anew() -> None:
    assert Quick(1).third is not Quick(1).third


@pytest.mark.parametrize(("positional", "named"), [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"fifth": 5})])
def test_it_refuses_the_same_arguments(positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    for each in (Plain, Quick):
        with pytest.raises(TypeError):
            each(*positional, **named)


def test_its_signature_is_the_same() -> None:
    told = [[parameter.kind for parameter in inspect.signature(each).parameters.values()] for each in (Plain, Quick)]
    assert told[0] == told[1]
    assert list(inspect.signature(Quick).parameters) == NAMES == [each.name for each in fields(Quick)]


def test_what_else_its_class_has_stays() -> None:
    assert (Quick.zero(), Quick(3).double) == (Quick(0), 6)
    assert (Quick.__module__, Quick.__qualname__) == (__name__, "Quick")


def test_what_does_not_compare_does_not() -> None:
    assert (Quick(1, third=[1]), hash(Quick(1, third=[1]))) == (Quick(1), hash(Quick(1)))
    assert Quick(1) != Quick(2)


def test_it_is_frozen() -> None:
    quick = Quick(1)
    with pytest.raises(AttributeError):
        quick.first = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del quick.first  # type: ignore[misc]


@quickly_made
@dataclass(slots=True, kw_only=True)
class Named:
    first: int
    second: str = "two"


def test_one_that_is_not_frozen_can_be_changed_and_not_hashed() -> None:
    named = Named(first=1)
    named.first = 2
    assert named == Named(first=2)
    with pytest.raises(TypeError):
        hash(named)
    with pytest.raises(TypeError):
        Named(1)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Checked:
    first: int

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError(self.first)


@dataclass(frozen=True, slots=True)
class Derived(Plain):
    fifth: int = 5


@dataclass(frozen=True, slots=True)
class Mixed:
    first: int
    second: int = field(default=2, kw_only=True)


@dataclass(frozen=True)
class Slotless:
    first: int


@pytest.mark.parametrize("unfit", [Checked, Derived, Mixed, Slotless])
def test_what_is_more_than_its_fields_is_refused(unfit: type) -> None:
    with pytest.raises(TypeError):
        quickly_made(unfit)
