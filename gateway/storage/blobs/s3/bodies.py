"""Small bodies of requests, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator


class Document:
    """See Body."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sha256 = hashlib.sha256(data).hexdigest()

    @property
    def length(self) -> int:
        return len(self._data)

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        yield self._data
