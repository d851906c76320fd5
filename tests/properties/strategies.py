"""Keys, prefixes and bodies, from few letters so that they meet."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

LETTERS = ("/", "a", "b", "é", "\u20ac", "\U0001f600", "\ufffd", "\x01", "\n", " ", "+", "%", "&", "~", "\x7f", "..")
"""Of one to four bytes, from both ends of the order, and what encodings stumble over."""


def names(least: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(LETTERS), min_size=least, max_size=most).map("".join)


KEYS = names(1, 5)
PREFIXES = names(0, 2)
DELIMITERS = st.sampled_from(("", "", "/", "/", "a", "é", "b/", "\U0001f600"))
PAGE_SIZES = st.integers(1, 7)

SIZES = st.sampled_from((0, 1, 7, 1000, 16_384, 16_385, 65_536, 65_537, 150_000))
"""Around what lies inline in the index, and around a segment of 64 KiB."""


def body(size: int, label: object) -> bytes:
    """`size` bytes that no other label has."""
    return hashlib.shake_128(repr(label).encode()).digest(size)
