"""What every part of the index has."""

from __future__ import annotations

from collections.abc import Callable

from database.connection import Database


class IndexPart:
    """A group of the index's methods. `clock_us` gives Unix time in microseconds."""

    def __init__(self, database: Database, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._clock_us = clock_us
