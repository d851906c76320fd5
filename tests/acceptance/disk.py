"""Looking for secrets in files, byte by byte, in every form in which they are likely to lie there."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

PREFIX_BYTES = 8


def forms(secret: bytes) -> Iterator[bytes]:
    """`secret` raw, as hexadecimal of either case, and in Base64 wherever in a longer text it begins.

    Base64 depends on the neighbours at both ends of a secret in the midst of others: those digits are left out.
    """
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        first, last = -(-8 * shift // 6), 8 * (shift + len(secret)) // 6
        yield text[first:last]
        yield text[first:last].replace(b"+", b"-").replace(b"/", b"_")


class Search:
    """Secrets by name, looked for together: one pass over the bytes, however many there are."""

    def __init__(self, secrets: Iterable[tuple[str, bytes]]) -> None:
        self._by_prefix: dict[bytes, list[tuple[str, bytes]]] = {}
        for name, secret in secrets:
            assert len(secret) >= 12, f"{name}: a shorter one may occur by chance"
            for form in forms(secret):
                self._by_prefix.setdefault(form[:PREFIX_BYTES], []).append((name, form))

    def in_bytes(self, data: bytes) -> set[str]:
        """Names of the secrets that occur in `data`."""
        by_prefix = self._by_prefix
        ends = range(PREFIX_BYTES, len(data) + 1)
        places = [end - PREFIX_BYTES for end in ends if data[end - PREFIX_BYTES : end] in by_prefix]
        return {
            name
            for place in places
            for name, form in by_prefix[data[place : place + PREFIX_BYTES]]
            if data.startswith(form, place)
        }

    def in_files(self, directory: Path) -> dict[str, set[str]]:
        """Which secrets occur in which file below `directory`, in its contents or its name."""
        found = {}
        for path in directory.rglob("*"):
            name = str(path.relative_to(directory))
            if names := self.in_bytes(name.encode()) | (self.in_bytes(path.read_bytes()) if path.is_file() else set()):
                found[name] = names
        return found
