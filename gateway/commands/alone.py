"""A data directory that nobody serves, for commands that need it so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from gateway.commands.failures import AlreadyServed
from gateway.config import Settings
from gateway.supervisor import AlreadyRunning, DirectoryLock


@contextlib.contextmanager
def stopped(settings: Settings) -> Iterator[None]:
    """Nobody serves the data directory, and nobody begins to. Raises AlreadyRunning."""
    lock = DirectoryLock(settings)
    try:
        asyncio.run(lock.acquire(0))
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """`stopped`, for a command that says no more about it. Raises AlreadyServed."""
    try:
        with stopped(settings):
            yield
    except AlreadyRunning as error:
        raise AlreadyServed(str(error)) from error
