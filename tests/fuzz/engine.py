"""Mutations: simple, deterministic for a seed, and guided by what a target says became of an input.

Not a coverage-guided fuzzer; `tests.fuzz.__main__` uses one where it is installed. This one needs nothing, so that the
suite runs it everywhere.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.target import MAX_INPUT_BYTES, Target, bounded_time

MAX_POOL = 512
SHRINK_ATTEMPTS = 400

_NUMBER = re.compile(rb"[0-9]+")
_NUMBERS = (b"0", b"1", b"-1", b"00", b"255", b"256", b"1000", b"1001", b"10000", b"10001", b"2147483647",
            b"2147483648",
            b"4294967296", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"9" * 40,
            b"1e9", b"0x10", b"1.5", b"NaN", "٣".encode(), "²".encode())  # fmt: skip
_PIECES = (b"", b"\0", b"\r\n", b"\n", b"\r", b"\t", b" ", b"%", b"%00", b"%2F", b"%ff", b"%zz", b"+", b"&", b"=", b"?",
           b"/", b"//", b"..", b";", b",", b":", b'"', b"'", b"\\", b"*", b"${", b"}", b"<", b">", b"&amp;", b"&#0;",
           b"]]>", b"<!--", b"[", b"]", b"{", b"null", b"true", b"\\u0000", b"\\ud800", b"\xff", b"\xc3\x28",
           b"\xed\xa0\x80", "é".encode(), "\u2028".encode(), "\U0010ffff".encode(), b"\x7f", b"\x80")  # fmt: skip


@dataclass(frozen=True)
class Found:
    """An input that breaks a target, shrunk, and how."""

    target: str
    data: bytes
    error: BaseException


def run_one(target: Target, data: bytes) -> str:
    """What became of `data`; raises what the target lets out, and TookTooLong."""
    with bounded_time():
        return target.run(data)


def fuzz(target: Target, *, seconds: float, seed: int, told: Callable[[int, int], None] | None = None) -> Found | None:
    """Try mutations of the corpus for so long; the first input that breaks the target, or None.

    Inputs whose outcome is new join the pool that mutations start from. `told` hears of progress (inputs, outcomes).
    """
    choose = random.Random(f"{target.name} {seed}")
    pool = target.corpus()
    seen: set[str] = set()
    tried = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        data = mutated(choose, pool, target.words)
        tried += 1
        try:
            outcome = run_one(target, data)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Found(target.name, shrunk(target, data, type(error)), error)
        if outcome not in seen:
            seen.add(outcome)
            if len(pool) < MAX_POOL:
                pool.append(data)
        if told is not None and tried % 1000 == 0:
            told(tried, len(seen))
    if told is not None:
        told(tried, len(seen))
    return None


def mutated(choose: random.Random, pool: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """One of the pool, changed in one to six places."""
    data = bytearray(choose.choice(pool)) if pool else bytearray()
    for _ in range(choose.choice((1, 1, 1, 2, 2, 3, 4, 6))):
        choose.choice(_MUTATIONS)(choose, data, pool, words)
    return bytes(data[:MAX_INPUT_BYTES])


def shrunk(target: Target, data: bytes, kind: type[BaseException]) -> bytes:
    """A shorter input that breaks the target in the same way."""
    attempts = 0
    step = max(len(data) // 2, 1)
    while step:
        at = 0
        while at < len(data) and attempts < SHRINK_ATTEMPTS:
            attempts += 1
            shorter = data[:at] + data[at + step :]
            if _breaks(target, shorter, kind):
                data = shorter
            else:
                at += step
        step //= 2
    return data


def _breaks(target: Target, data: bytes, kind: type[BaseException]) -> bool:
    try:
        run_one(target, data)
    except BaseException as error:
        return type(error) is kind
    return False


Mutation = Callable[[random.Random, bytearray, list[bytes], tuple[bytes, ...]], None]


def _span(choose: random.Random, data: bytearray) -> tuple[int, int]:
    start = choose.randrange(len(data) + 1)
    return start, min(start + choose.choice((1, 1, 2, 4, 8, 16, 64, 256)), len(data))


def _set_byte(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    if data:
        data[choose.randrange(len(data))] = choose.randrange(256)


def _flip_bit(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    if data:
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)


def _delete(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    start, end = _span(choose, data)
    del data[start:end]


def _duplicate(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    start, end = _span(choose, data)
    data[start:start] = data[start:end]


def _repeat(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    start, end = _span(choose, data)
    room = MAX_INPUT_BYTES // max(end - start, 1)
    data[start:start] = data[start:end] * min(choose.choice((8, 64, 512, 4096)), room)


def _insert_bytes(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    at = choose.randrange(len(data) + 1)
    data[at:at] = choose.randbytes(choose.choice((1, 1, 2, 8)))


def _insert_piece(choose: random.Random, data: bytearray, _pool: list[bytes], words: tuple[bytes, ...]) -> None:
    at = choose.randrange(len(data) + 1)
    data[at:at] = choose.choice(words if words and choose.random() < 0.5 else _PIECES)


def _replace_by_piece(choose: random.Random, data: bytearray, _pool: list[bytes], words: tuple[bytes, ...]) -> None:
    start, end = _span(choose, data)
    data[start:end] = choose.choice(words if words and choose.random() < 0.5 else _PIECES)


def _replace_number(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    spans = [found.span() for found in _NUMBER.finditer(bytes(data))]
    if spans:
        start, end = choose.choice(spans)
        data[start:end] = choose.choice(_NUMBERS)


def _replace_word(choose: random.Random, data: bytearray, _pool: list[bytes], words: tuple[bytes, ...]) -> None:
    """One of the words that is there, for another one."""
    there = [word for word in words if word and word in data]
    if there:
        old = choose.choice(there)
        at = data.find(old, choose.randrange(len(data)))
        at = data.find(old) if at < 0 else at
        data[at : at + len(old)] = choose.choice(words)


def _splice(choose: random.Random, data: bytearray, pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    if pool:
        other = bytearray(choose.choice(pool))
        start, end = _span(choose, other)
        at = choose.randrange(len(data) + 1)
        data[at : at + choose.choice((0, end - start))] = other[start:end]


def _cut(choose: random.Random, data: bytearray, _pool: list[bytes], _words: tuple[bytes, ...]) -> None:
    del data[choose.randrange(len(data) + 1) :]


_MUTATIONS: tuple[Mutation, ...] = (
    _set_byte,
    _flip_bit,
    _delete,
    _delete,
    _duplicate,
    _repeat,
    _insert_bytes,
    _insert_piece,
    _insert_piece,
    _replace_by_piece,
    _replace_number,
    _replace_number,
    _replace_word,
    _splice,
    _splice,
    _cut,
)
