"""Text from elsewhere on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Object keys may hold anything, and a terminal obeys some of it."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_text(count: int) -> str:
    """Bytes, as people read them."""
    value = float(count)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
