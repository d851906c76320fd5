"""Frozen dataclasses that are made as quickly as others: for values that every request makes, and every row of a page.

The `__init__` of a frozen dataclass sets each field through `object.__setattr__`, four times the cost of storing it: a
third of what a listed row costs, a tenth of a small PUT. Here a new object is, while it is filled, of a twin class of
the same slots that is not frozen, and then becomes what it is. Who has it sees nothing of that.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quickly_made(cls: type[T]) -> type[T]:
    """A decorator above `@dataclass(frozen=True, slots=True)`, for a class without bases and without `__post_init__`.

    Raises TypeError for any other.
    """
    own: tuple[str, ...] = tuple(each.name for each in fields(cls))  # type: ignore[arg-type]
    is_plain = cls.__bases__ == (object,) and cls.__dict__.get("__slots__") == own
    if not is_plain or hasattr(cls, "__post_init__") or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"{cls.__name__} is no frozen dataclass with slots, or more than one")
    known: dict[str, Any] = {
        "become": object.__setattr__,
        "Twin": type(cls.__name__, (), {"__slots__": own}),
        "Frozen": cls,
        "MISSING": MISSING,
    }
    exec(_source(cls, known), known)  # noqa: S102  # as `dataclasses` makes its own, from names of fields alone
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = cls.__init__.__annotations__
    cls.__init__ = made  # type: ignore[method-assign]
    return cls


def _source(cls: type, known: dict[str, Any]) -> str:
    """The text of `__init__`; the defaults that it names are added to `known`."""
    parameters, body = ["self"], ["become(self, '__class__', Twin)"]
    for each in fields(cls):
        name, value = each.name, each.name
        if each.kw_only and "*" not in parameters:
            parameters.append("*")
        if each.default is not MISSING:
            known[f"default_{name}"] = each.default
            parameters.append(f"{name}=default_{name}")
        elif each.default_factory is not MISSING:
            known[f"make_{name}"] = each.default_factory
            parameters.append(f"{name}=MISSING")
            value = f"make_{name}() if {name} is MISSING else {name}"
        else:
            parameters.append(name)
        body.append(f"self.{name} = {value}")
    body.append("self.__class__ = Frozen")
    return f"def __init__({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in body)
