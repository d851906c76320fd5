"""What a fuzz target is, and the bounds that hold for every one of them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

CORPUS = Path(__file__).parent / "corpus"

MAX_INPUT_BYTES = 16_384
"""Of what is tried. A request's head has at most as much; larger bodies repeat what smaller ones show."""

CPU_SECONDS = 2.0
"""For one input. The slowest legal one takes some milliseconds."""

MAX_REFUSAL_BYTES = 65_536
"""Of a refusal as text, beside what it quotes of the input: a refused signature quotes all of the head, in hex too."""

QUOTED_TIMES = 24


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes and returns a short word for what became of them (`ok`, an error's code).

    It lets out AssertionError where its invariant, the docstring, does not hold, and any other exception where the
    parser raised what it does not document. `words` are what inputs are made of, for mutations.
    """

    name: str
    run: Callable[[bytes], str]
    words: tuple[bytes, ...] = ()

    @property
    def invariant(self) -> str:
        return (self.run.__doc__ or "").strip()

    def corpus(self) -> list[bytes]:
        """The inputs in the tree, in order of their names."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())]


TARGETS: dict[str, Target] = {}
"""By name; filled by importing `tests.fuzz.targets`."""


def target(name: str, *words: bytes) -> Callable[[Callable[[bytes], str]], Callable[[bytes], str]]:
    """Make a function a target."""

    def register(run: Callable[[bytes], str]) -> Callable[[bytes], str]:
        assert run.__doc__, f"{name} states no invariant"
        assert name not in TARGETS
        TARGETS[name] = Target(name, run, words)
        return run

    return register


class TookTooLong(BaseException):
    """One input took more than CPU_SECONDS. No `except Exception` of the code that is tried can hide it."""


@contextmanager
def bounded_time() -> Iterator[None]:
    """Raises TookTooLong after CPU_SECONDS of this process's own time, however busy the machine is."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {CPU_SECONDS} s of CPU")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check_bounded(told: int, input_bytes: int) -> None:
    """A refusal of `told` bytes quotes at most so much of an input of `input_bytes`."""
    assert told <= MAX_REFUSAL_BYTES + QUOTED_TIMES * input_bytes, f"{told} bytes about {input_bytes}"
