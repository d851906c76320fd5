"""Migrations: numbered files, applied in order, recorded in the database, never edited after release."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


class NewerSchema(Exception):
    """A newer version of this program was there; nothing was changed. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str


@lru_cache(8)
def migrations_of(package: str) -> tuple[Migration, ...]:
    """All migrations of an engine that this program knows, in order, numbered from 1 without gaps."""
    files = sorted((f for f in resources.files(package).iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    found = tuple(Migration(int(f.name[:4]), f.name.removesuffix(".sql"), f.read_text()) for f in files)
    assert [m.number for m in found] == list(range(1, len(found) + 1))
    return found


def pending(migrations: tuple[Migration, ...], applied: int) -> tuple[Migration, ...]:
    """Those after number `applied`. Raises NewerSchema."""
    if applied > len(migrations):
        raise NewerSchema(
            f"the database has schema {applied}, this program knows up to {len(migrations)}; use the newer program"
        )
    return migrations[applied:]
