"""What is made quickly is in nothing else than other frozen dataclasses are."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from iam.quickly_made import quickly_made


@dataclass(frozen=True, slots=True)
class Plain:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, compare=False)
    fourth: bytes = field(default=b"4", repr=False, kw_only=True)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, compare=False)
    fourth: bytes = field(default=b"4", repr=False, kw_only=True)


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
    assert [getattr(quick, name) for name in Quick.__slots__] == [getattr(plain, name) for name in Plain.__slots__]
    assert (quick, hash(quick)) == (Quick(*positional, **named), hash(Quick(*positional, **named)))
    assert replace(quick, first=9) == Quick(9, quick.second, fourth=quick.fourth)
    assert pickle.loads(pickle.dumps(quick)) == quick


def test_defaults_are_made_anew() -> None:
    assert Quick(1).third is not Quick(1).third


@pytest.mark.parametrize(("positional", "named"), [((), {}), ((1, 2, 3, 4), {}), ((1,), {"fifth": 5})])
def test_it_refuses_the_same_arguments(positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    for each in (Plain, Quick):
        with pytest.raises(TypeError):
            each(*positional, **named)


def test_its_signature_is_the_same() -> None:
    told = [[parameter.kind for parameter in inspect.signature(each).parameters.values()] for each in (Plain, Quick)]
    assert told[0] == told[1]
    assert list(inspect.signature(Quick).parameters) == list(Quick.__slots__)


def test_it_is_frozen() -> None:
    quick = Quick(1)
    with pytest.raises(FrozenInstanceError):
        quick.first = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del quick.first  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Checked:
    first: int

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError(self.first)


@dataclass(frozen=True, slots=True)
class Derived(Plain):
    fifth: int = 5


@dataclass(slots=True)
class Open:
    first: int


@dataclass(frozen=True)
class Slotless:
    first: int


@pytest.mark.parametrize("unfit", [Checked, Derived, Open, Slotless])
def test_what_is_more_than_its_fields_is_refused(unfit: type) -> None:
    with pytest.raises(TypeError):
        quickly_made(unfit)
