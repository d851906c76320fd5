"""Whether what several clients saw of one key can be told as one order of their operations (Wing and Gong 1993).

Each operation happens at one moment between its request and its answer; one without an answer at any moment after its
request, or never. The search takes the operations that may come next in turn and goes back where no order fits;
configurations that were met before are not searched again (Lowe 2017, "Testing for linearizability").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

Value = str | None
"""What the key holds; None: nothing. Each write has a value of its own."""

NEVER = float("inf")


class Kind(Enum):
    GET = auto()
    PUT = auto()
    CREATE = auto()
    """PUT if there is nothing."""
    REPLACE = auto()
    """PUT if there is `expected`."""
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class Operation:
    """`value` is what it wrote, or what GET found. `is_met`: whether its condition was; None: there was no answer."""

    kind: Kind
    began: float
    ended: float = NEVER
    value: Value = None
    expected: Value = None
    is_met: bool | None = True

    def after(self, state: Value) -> tuple[bool, Value]:
        """Whether it can have happened when the key held `state`, and what the key holds then."""
        if self.kind is Kind.GET:
            return state == self.value, state
        if self.kind is Kind.DELETE:
            return True, None
        if self.kind is Kind.PUT:
            return True, self.value
        is_met = state == self.expected  # of CREATE: None
        return self.is_met in (None, is_met), self.value if is_met else state


def is_linearizable(operations: Sequence[Operation], initial: Value = None) -> bool:
    """`operations` are in any order; one that was refused, so that nothing happened, is not among them."""
    moments = [(each.began, 0, number) for number, each in enumerate(operations)]
    moments += [(each.ended, 1, number) for number, each in enumerate(operations)]
    entries = sorted(moments)
    following = [*range(1, len(entries) + 1), 0]  # a ring; the last is its head
    preceding = [len(entries), *range(len(entries))]
    head, answer_of = len(entries), {n: at for at, (_, is_answer, n) in enumerate(entries) if is_answer}
    state, done = initial, 0
    taken: list[tuple[int, Value]] = []
    seen: set[tuple[int, Value]] = set()
    at = following[head]
    while at != head:
        _, is_answer, number = entries[at]
        operation = operations[number]
        if is_answer:
            if operation.ended == NEVER:
                return True  # all others have their place; of these, none needs one
            if not taken:
                return False
            at, state = taken.pop()
            number = entries[at][2]
            done ^= 1 << number
            for each in (answer_of[number], at):  # back into the ring, in the opposite order
                following[preceding[each]] = preceding[following[each]] = each
            at = following[at]
            continue
        fits, then = operation.after(state)
        if fits and (done | 1 << number, then) not in seen:
            seen.add((done | 1 << number, then))
            taken.append((at, state))
            state, done = then, done | 1 << number
            for each in (at, answer_of[number]):
                following[preceding[each]], preceding[following[each]] = following[each], preceding[each]
            at = following[head]
        else:
            at = following[at]
    return True


def order_problems(writes: Sequence[tuple[str, Operation]], listed: Sequence[str]) -> list[str]:
    """What is wrong with a key's versions, `listed` from the newest on, by the answered writes, each with its version:
    all are there, and no version is listed as newer than one whose writing began after it had ended."""
    places = {version: place for place, version in enumerate(listed)}
    problems = [f"version {version} is lost" for version, _ in writes if version not in places]
    there = sorted((each for each in writes if each[0] in places), key=lambda each: places[each[0]])
    earliest_end = NEVER  # of those that are listed as newer
    for version, operation in there:
        if operation.began > earliest_end:
            problems.append(f"version {version} is listed as older than one that ended before it began")
        earliest_end = min(earliest_end, operation.ended)
    return problems
