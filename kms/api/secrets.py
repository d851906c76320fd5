"""Key material as a type of its own, so that it cannot be printed by accident."""

from __future__ import annotations

import hmac


class SecretBytes:
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
        return "SecretBytes()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretBytes) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> str:
        raise TypeError("secret bytes are not pickled")
