"""Secret access keys as a type of their own, so that none can be printed by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Bytes that never show themselves: blank `repr`, no `str`, constant-time equality, no hash, no pickle.

    Call `reveal()` at the one place that needs the bytes.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")
