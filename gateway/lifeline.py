"""How a child learns that its supervisor died.

The supervisor holds the write end of the child's standard input and never closes it while it lives, so the read end
reports its end however the supervisor ends, `kill -9` included. Portable, and unlike PR_SET_PDEATHSIG not bound to
the thread that started the child.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable


def watch_supervisor(loop: asyncio.AbstractEventLoop, fd: int, lost: Callable[[], None]) -> None:
    """Call `lost` once when the pipe at `fd` ends. What still comes through the pipe is ignored."""
    os.set_blocking(fd, False)

    def readable() -> None:
        try:
            if os.read(fd, 4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # a broken pipe is an ended one
        loop.remove_reader(fd)
        lost()

    loop.add_reader(fd, readable)


def read_line(fd: int, limit_bytes: int = 1 << 20) -> bytes:
    """The first line of the pipe, without its newline; not a byte more is taken. Raises EOFError if it ends before."""
    line = bytearray()
    while True:
        byte = os.read(fd, 1)
        if byte == b"\n":
            return bytes(line)
        line += byte
        if not byte or len(line) > limit_bytes:
            raise EOFError("the supervisor sent no complete order")
