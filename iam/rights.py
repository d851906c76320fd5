"""What an operation may ask for: actions, each on a kind of resource. They stand beside the tables of operations."""

from __future__ import annotations

from dataclasses import dataclass

ANY = "*"
"""The kind of what concerns no single resource."""


@dataclass(frozen=True, slots=True)
class Right:
    """One action on one resource.

    `on` is the kind of that resource as the Service Authorization Reference names it (`bucket`, `object`, `key`,
    `user`). `of` tells it apart where the operation touches several of a kind, or another than the one that it is
    about; `when` is what makes an operation ask that does not ask always. Without an optional right the operation is
    done all the same, and less is told.
    """

    action: str
    on: str
    of: str = ""
    when: str = ""
    is_optional: bool = False
