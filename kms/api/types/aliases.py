"""Aliases: CreateAlias, UpdateAlias, DeleteAlias, ListAliases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class Alias:
    """`target_key_id` is None for an AWS-managed alias whose key was not made yet."""

    name: str
    arn: str
    target_key_id: str | None
    created_us: int | None
    updated_us: int | None


@dataclass(frozen=True, slots=True)
class AliasPage:
    aliases: tuple[Alias, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class CreateAlias(Request[None]):
    is_idempotent: ClassVar[bool] = False
    name: str
    target_key_id: str


@dataclass(frozen=True, slots=True)
class UpdateAlias(Request[None]):
    name: str
    target_key_id: str


@dataclass(frozen=True, slots=True)
class DeleteAlias(Request[None]):
    is_idempotent: ClassVar[bool] = False
    name: str


@dataclass(frozen=True, slots=True)
class ListAliases(Request[AliasPage]):
    """Aliases in the order of their names, of one key if `key_id` is given; `limit` is 1..100."""

    key_id: str | None = None
    limit: int = 50
    marker: str | None = None
