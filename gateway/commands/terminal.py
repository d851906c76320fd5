"""Text from elsewhere on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Object keys may hold anything, and a terminal obeys some of it."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
