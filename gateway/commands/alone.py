"""A data directory that nobody serves, for commands that need it so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from gateway.commands.failures import AlreadyServed
from gateway.config import Settings
from gateway.supervisor import AlreadyRunning, DirectoryLock


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """The data directory, for as long as nothing may serve it. Raises AlreadyServed."""
    lock = DirectoryLock(settings)
    try:
        asyncio.run(lock.acquire(0))
        yield
    except AlreadyRunning as error:
        raise AlreadyServed(str(error)) from error
    finally:
        lock.release()
