"""The files of a trail: their names, their lines, and where the chain ends.

audit-0000000000000001.jsonl    named by the number of its first line
audit.pem                       the public keys that signed checkpoints
audit-….jsonl.cut-<offset>      what a repair cut off, as it was found
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kms.audit.lines import GENESIS, MAX_LINE_BYTES, Head, MalformedLine, line_hash, parse_place

PUBLIC_KEYS_NAME: Final = "audit.pem"
_NAME = re.compile(r"audit-(\d{16})\.jsonl")


class TrailDamaged(Exception):
    """The files are not what a trail leaves behind, and no line can be added to them; an operator must look."""


def file_name(first_seq: int) -> str:
    return f"audit-{first_seq:016}.jsonl"


def first_seq_of(path: Path) -> int:
    """The number of a file's first line, by its name. Raises ValueError."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name} is no file of a trail")
    return int(match[1])


def trail_files(directory: Path) -> list[Path]:
    """The files of a trail in the order of their lines. Raises OSError."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def lines_of(path: Path) -> Iterator[bytes]:
    """Lines as they lie there: with their newline, except for a torn last one. A line is cut at MAX_LINE_BYTES."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            yield line


@dataclass(frozen=True, slots=True)
class End:
    """Where the chain ends in a file: after line `head`, at byte `offset`; 0 if not even the first line is whole."""

    head: Head
    offset: int


def find_end(path: Path) -> End:
    """Follow the chain from the first line of a file to the last one that is whole and follows the one before.

    The first line must have the number of the file's name; whether it follows the file before is for a verifier.
    """
    head, offset = GENESIS, 0
    for line in lines_of(path):
        if not line.endswith(b"\n"):
            break
        try:
            seq, previous = parse_place(line[:-1])
        except MalformedLine:
            break
        follows = seq == first_seq_of(path) if offset == 0 else (seq, previous) == (head.seq + 1, head.hash)
        if not follows:
            break
        head, offset = Head(seq, line_hash(line[:-1])), offset + len(line)
    return End(head, offset)


def write_all(descriptor: int, data: bytes) -> None:
    """write(2) until everything is written. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
