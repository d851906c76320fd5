"""What a test tells the fault-injecting module, and what it reads from it: one mapped file, laid out as in `faults.c`.

A file is one module in one process. Everything is eight bytes, written whole; a rule's `action` is written last, so
that the module never sees half a rule.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections import Counter
from enum import IntEnum
from pathlib import Path

from tests.hsm_faults.build import SOURCE

MODULE_ENVIRONMENT = "HSM_FAULTS_MODULE"
CONTROL_ENVIRONMENT = "HSM_FAULTS_CONTROL"

ANY = "any"
"""In place of a function's name: the calls of all functions, counted together."""

EVERY = -1
"""As `times`: every call from there on."""

FUNCTIONS = tuple(re.findall(r"^    X\((C_\w+),", SOURCE.read_text(), re.MULTILINE))

_TRACE_LENGTH = 8192
_RULE = struct.Struct("=Q2q3Q")
_CALLS, _SKIP, _TIMES, _ACTION, _CODE, _DELAY = (8 * field for field in range(6))
_SESSIONS_LOST, _DEVICE_REMOVED, _RELEASED, _HANGING, _TRACED = (8 * field for field in range(5))
_RULES = 40
_TRACE = _RULES + _RULE.size * (1 + len(FUNCTIONS))
CONTROL_SIZE = _TRACE + 2 * _TRACE_LENGTH


class _Action(IntEnum):
    NOTHING = 0
    FAIL = 1
    FAIL_AFTER = 2
    HANG = 3
    CRASH = 4


class Faults:
    """The control file at `path`, made if it is not there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(CONTROL_SIZE))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), CONTROL_SIZE)

    def environment(self, real_module: Path) -> dict[str, str]:
        """What the process that loads the module needs."""
        return {MODULE_ENVIRONMENT: str(real_module), CONTROL_ENVIRONMENT: str(self.path)}

    # What goes wrong

    def fail(self, function: str, code: int, *, skip: int = 0, times: int = 1, after: bool = False) -> None:
        """Answer `code` to the next `times` calls after `skip` more; with `after` the call takes effect nonetheless."""
        self._rule(function, _Action.FAIL_AFTER if after else _Action.FAIL, code, skip, times)

    def hang(self, function: str, *, skip: int = 0, times: int = 1) -> None:
        """Calls wait for `release`, and then are forwarded."""
        self._rule(function, _Action.HANG, 0, skip, times)

    def crash(self, function: str, *, skip: int = 0) -> None:
        """Abort the process in the call."""
        self._rule(function, _Action.CRASH, 0, skip, 1)

    def delay(self, function: str, milliseconds: float) -> None:
        """Every call takes so much longer."""
        self._write(self._at(function) + _DELAY, int(milliseconds * 1000))

    def lose_sessions(self) -> None:
        """CKR_SESSION_HANDLE_INVALID to all that takes a session, until somebody logs in or initialises anew."""
        self._write(_SESSIONS_LOST, 1)

    def remove_device(self, *, for_good: bool = False) -> None:
        """CKR_DEVICE_REMOVED to everything, until C_Initialize or, for good, until `put_back`."""
        self._write(_DEVICE_REMOVED, 2 if for_good else 1)

    def put_back(self) -> None:
        self._write(_DEVICE_REMOVED, 0)

    def release(self) -> None:
        """Let all calls go on that hang now."""
        self._write(_RELEASED, self._read(_RELEASED) + 1)

    def heal(self) -> None:
        """Nothing goes wrong any more, and what hangs goes on; counts stay."""
        for name in (ANY, *FUNCTIONS):
            self._rule(name, _Action.NOTHING, 0, 0, 0)
            self.delay(name, 0)
        self._write(_SESSIONS_LOST, 0)
        self.put_back()
        self.release()

    # What was called

    def calls(self, function: str = ANY) -> int:
        """Calls so far, whatever became of them."""
        return self._read(_TRACED) if function == ANY else self._read(self._at(function) + _CALLS)

    def counts(self) -> Counter[str]:
        return Counter({name: count for name in FUNCTIONS if (count := self.calls(name))})

    def trace(self, since: int = 0) -> list[str]:
        """The names of the functions called since `calls()` was `since`, in order."""
        end = self.calls()
        assert end - since <= _TRACE_LENGTH, "more was called than is remembered"
        numbers = struct.unpack_from(f"={_TRACE_LENGTH}H", self._memory, _TRACE)
        return [FUNCTIONS[numbers[step % _TRACE_LENGTH]] for step in range(since, end)]

    @property
    def hanging(self) -> int:
        """Calls that hang just now."""
        return self._read(_HANGING)

    @property
    def is_used_up(self) -> bool:
        """Whether every rule with a limit has acted as often as it was to."""
        names = (ANY, *FUNCTIONS)
        return all(
            self._read(self._at(name) + _TIMES) == 0 or not self._read(self._at(name) + _ACTION) for name in names
        )

    def close(self) -> None:
        self._memory.close()

    def _rule(self, function: str, action: _Action, code: int, skip: int, times: int) -> None:
        at = self._at(function)
        self._write(at + _ACTION, _Action.NOTHING)
        for field, value in ((_SKIP, skip), (_TIMES, times), (_CODE, code), (_ACTION, int(action))):
            self._write(at + field, value)

    def _at(self, function: str) -> int:
        return _RULES if function == ANY else _RULES + _RULE.size * (1 + FUNCTIONS.index(function))

    def _read(self, offset: int) -> int:
        value: int = struct.unpack_from("=q", self._memory, offset)[0]
        return value

    def _write(self, offset: int, value: int) -> None:
        struct.pack_into("=q", self._memory, offset, value)
