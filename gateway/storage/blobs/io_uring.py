"""Linux's io_uring for one event loop: system calls that may wait for a disk, made by the kernel's own threads.

A pool of threads does the same for more: each call wakes a thread, which takes Python's lock from the event loop and
gives it back twice, so that a small file cost a hundred calls of `futex`. Here calls are entries in memory that is
shared with the kernel, many begun by one system call and told of by one event. An entry may be linked to the next,
which begins after it. A sandbox may forbid all of it (as Docker's default profile does): then `Ring` raises OSError.

Source: io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register(2); layouts as in linux/io_uring.h.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import mmap
import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

ENTRIES = 256
"""Of the submission queue; twice as many may be under way, and more wait here."""

MAX_CHAIN = 8

KERNEL_THREADS = 32
"""That wait for disks at once, at most; the kernel's own measure is four times the processors."""

RETRY_SECONDS = 0.001
"""After the kernel had no memory to begin with what it was given."""

_SETUP, _ENTER, _REGISTER = 425, 426, 427
"""The same numbers on all architectures that Python calls Linux but Alpha, which answers that it knows no such call."""

_REGISTER_EVENTFD, _REGISTER_PROBE, _REGISTER_IOWQ_MAX_WORKERS = 4, 8, 19
_OFF_SQES = 0x10000000
_SINGLE_MMAP = 1
_PARAMETERS_BYTES = 120
_PROBED_OPERATIONS = 256
_IS_SUPPORTED = 1

_LINK = 4
_AT_FDCWD = -100
_DATASYNC = 1
_WRITEV, _FSYNC, _OPENAT, _CLOSE, _FADVISE, _RENAMEAT = 2, 3, 18, 19, 24, 35

_ENTRY = struct.Struct("=BBHiQQIIQHHiQQ")
"""struct io_uring_sqe: opcode, flags, ioprio, fd, off, addr, len, the operation's flags, user_data, and five unused."""

_COMPLETION = struct.Struct("=QiI")
"""struct io_uring_cqe: user_data, res, flags."""


class Operation(NamedTuple):
    """One entry of the queue, and what has to stay in memory until it is over."""

    opcode: int
    fd: int
    offset: int = 0
    address: int = 0
    length: int = 0
    flags: int = 0
    keeps: object = None


def opening(path: str, flags: int, mode: int) -> Operation:
    """openat(2): the result is a descriptor."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    return Operation(_OPENAT, _AT_FDCWD, 0, ctypes.addressof(name), mode, flags, name)


def writing(fd: int, pieces: Sequence[bytes | memoryview], offset: int) -> Operation:
    """pwritev(2) of pieces that are not empty: the result is how many bytes, perhaps fewer. A view may be written to,
    too: only of such ctypes tells where they are."""
    vector = (ctypes.c_size_t * (2 * len(pieces)))()
    held: list[object] = [vector]
    for number, piece in enumerate(pieces):
        if isinstance(piece, bytes):
            held.append(piece)
            vector[2 * number] = ctypes.cast(ctypes.c_char_p(piece), ctypes.c_void_p).value or 0
        else:
            start = ctypes.c_char.from_buffer(piece)  # as long as this lives, the piece stays where it is
            held.append(start)
            vector[2 * number] = ctypes.addressof(start)
        vector[2 * number + 1] = len(piece)
    return Operation(_WRITEV, fd, offset, ctypes.addressof(vector), len(pieces), 0, held)


def syncing(fd: int, *, data_only: bool) -> Operation:
    """fsync(2), fdatasync(2)."""
    return Operation(_FSYNC, fd, flags=_DATASYNC if data_only else 0)


def letting_go(fd: int, offset: int, length: int) -> Operation:
    """posix_fadvise(2) of POSIX_FADV_DONTNEED, at which Linux begins to write back."""
    return Operation(_FADVISE, fd, offset, 0, length, os.POSIX_FADV_DONTNEED)


def renaming(old: str, new: str) -> Operation:
    """renameat(2)."""
    names = ctypes.create_string_buffer(os.fsencode(old)), ctypes.create_string_buffer(os.fsencode(new))
    old_address, new_address = (ctypes.addressof(name) for name in names)
    return Operation(_RENAMEAT, _AT_FDCWD, new_address, old_address, _AT_FDCWD & 0xFFFFFFFF, 0, names)


def closing(fd: int) -> Operation:
    """close(2)."""
    return Operation(_CLOSE, fd)


@dataclass(slots=True)
class _Chain:
    operations: Sequence[Operation]
    over: asyncio.Future[list[int]]
    results: list[int] = field(default_factory=list)
    left: int = 0


class Ring:
    """A ring of the running event loop, used by its thread alone. Raises OSError where there is none to be had."""

    def __init__(self) -> None:
        self._call = _system_call()
        parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
        self._fd = self._checked(self._call(_SETUP, ENTRIES, ctypes.addressof(parameters), 0, 0, 0, 0))
        self._event = -1
        self._memory: list[mmap.mmap] = []
        try:
            self._map(parameters.raw)
            self._require_operations()
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._register(_REGISTER_EVENTFD, ctypes.c_int(self._event), 1)
            with suppress(OSError):  # older than Linux 5.15
                self._register(_REGISTER_IOWQ_MAX_WORKERS, (ctypes.c_uint32 * 2)(KERNEL_THREADS, 0), 2)
        except BaseException:
            self._release()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._event, self._reap)
        self._chains: dict[int, _Chain] = {}
        self._waiting: deque[_Chain] = deque()
        self._next_chain = 0
        self._under_way = 0
        self._queued = 0
        self._is_submitting = False
        self._idle: asyncio.Future[None] | None = None
        self.failure: OSError | None = None
        """Why it does nothing any more; what was under way has failed by it."""

    def start(self, *operations: Operation) -> asyncio.Future[list[int]]:
        """Begin with the first, with each other once the one before is over.

        To come are the results: what the system call would have returned, or minus its errno. Behind a write that
        failed or fell short nothing is begun, and is -ECANCELED; behind a failed call of another kind Linux goes on (it
        does so at least behind fsync and renameat, in 6.x), so only what does no harm then may stand there. Cancelling
        the future cancels nothing else. Raises OSError if the ring has failed.
        """
        if self.failure is not None:
            raise self.failure
        assert 0 < len(operations) <= MAX_CHAIN
        chain = _Chain(operations, self._loop.create_future(), [0] * len(operations), len(operations))
        self._waiting.append(chain)
        self._submit_soon()
        return chain.over

    async def close(self) -> None:
        """Wait for what is under way, and give the ring back. Idempotent."""
        if self._fd < 0:
            return
        if (self._chains or self._waiting) and self.failure is None:
            self._idle = self._loop.create_future()
            await self._idle
        self._loop.remove_reader(self._event)
        self._release()

    def _submit_soon(self) -> None:
        """With what others begin in this turn of the loop."""
        if not self._is_submitting:
            self._is_submitting = True
            self._loop.call_soon(self._submit)

    def _submit(self) -> None:
        self._is_submitting = False
        while self._waiting and self._has_room_for(self._waiting[0]):
            self._queue(self._waiting.popleft())
        if not self._queued or self.failure is not None:
            return
        begun = self._call(_ENTER, self._fd, self._queued, 0, 0, 0, 0)
        if begun >= 0:
            self._queued -= begun
        elif ctypes.get_errno() not in (errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.ENOMEM):
            self._fail(OSError(ctypes.get_errno(), f"io_uring_enter: {os.strerror(ctypes.get_errno())}"))
            return
        if self._queued:
            self._is_submitting = True
            self._loop.call_later(RETRY_SECONDS, self._submit)

    def _has_room_for(self, chain: _Chain) -> bool:
        size = len(chain.operations)
        fits: bool = self._queued + size <= self._entries and self._under_way + size <= self._completions
        return fits

    def _queue(self, chain: _Chain) -> None:
        name = self._next_chain
        self._next_chain += 1
        self._chains[name] = chain
        tail = self._words[self._tail_at]
        last = len(chain.operations) - 1
        for number, each in enumerate(chain.operations):
            user_data = name * MAX_CHAIN + number
            flags = _LINK if number < last else 0
            place = (tail + number & self._mask) * _ENTRY.size
            opcode, fd, offset, address, length, operation_flags, _ = each
            _ENTRY.pack_into(
                self._queue_memory, place, opcode, flags, 0, fd, offset, address, length, operation_flags, user_data,
                0, 0, 0, 0, 0,
            )  # fmt: skip
        # The kernel reads the tail within the system call that follows, in this thread: no barrier is needed.
        self._words[self._tail_at] = tail + last + 1 & 0xFFFFFFFF
        self._queued += last + 1
        self._under_way += last + 1

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._event)  # a system call: what was written before the event is seen after it
        head, tail = self._words[self._head_at], self._words[self._completed_at]
        while head != tail:
            place = self._completions_at + (head & self._completions_mask) * _COMPLETION.size
            user_data, result, _ = _COMPLETION.unpack_from(self._ring_memory, place)
            head = head + 1 & 0xFFFFFFFF
            self._note(user_data // MAX_CHAIN, user_data % MAX_CHAIN, result)
        self._words[self._head_at] = head
        if self._waiting:
            self._submit_soon()
        if self._idle is not None and not (self._chains or self._waiting) and not self._idle.done():
            self._idle.set_result(None)

    def _note(self, name: int, number: int, result: int) -> None:
        self._under_way -= 1
        chain = self._chains[name]
        chain.results[number] = result
        chain.left -= 1
        if not chain.left:
            del self._chains[name]
            if not chain.over.done():
                chain.over.set_result(chain.results)

    def _fail(self, failure: OSError) -> None:
        """The kernel takes nothing any more: what it was to do may have been done, or not."""
        log.error("blobs are written by threads from now on: %s", failure)
        self.failure = failure
        for chain in (*self._chains.values(), *self._waiting):
            if not chain.over.done():
                chain.over.set_exception(failure)
        self._waiting.clear()  # but not what may be under way, whose memory the kernel may still use

    def _map(self, parameters: bytes) -> None:
        entries, completions, _, _, _, features = struct.unpack_from("=6I", parameters)
        _, tail, mask, _, _, _, array = struct.unpack_from("=7I", parameters, 40)
        head, completed, completions_mask, _, _, at = struct.unpack_from("=6I", parameters, 80)
        if not features & _SINGLE_MMAP:
            raise OSError(errno.ENOSYS, "io_uring of a Linux before 5.4")
        size = max(array + entries * 4, at + completions * _COMPLETION.size)
        self._ring_memory = mmap.mmap(self._fd, size, mmap.MAP_SHARED)
        self._memory.append(self._ring_memory)
        self._queue_memory = mmap.mmap(self._fd, entries * _ENTRY.size, mmap.MAP_SHARED, offset=_OFF_SQES)
        self._memory.append(self._queue_memory)
        self._words = memoryview(self._ring_memory).cast("I")
        self._entries, self._completions = entries, completions
        self._tail_at, self._mask = tail // 4, self._words[mask // 4]
        self._head_at, self._completed_at = head // 4, completed // 4
        self._completions_mask, self._completions_at = self._words[completions_mask // 4], at
        for number in range(entries):
            self._words[array // 4 + number] = number

    def _require_operations(self) -> None:
        probe = ctypes.create_string_buffer(16 + 8 * _PROBED_OPERATIONS)
        self._register(_REGISTER_PROBE, probe, _PROBED_OPERATIONS)
        for opcode in (_WRITEV, _FSYNC, _OPENAT, _CLOSE, _FADVISE, _RENAMEAT):
            _, _, flags = struct.unpack_from("=BBH", probe.raw, 16 + 8 * opcode)
            if not flags & _IS_SUPPORTED:
                raise OSError(errno.ENOSYS, f"io_uring does not know operation {opcode}")

    def _register(self, what: int, argument: Any, count: int) -> None:
        self._checked(self._call(_REGISTER, self._fd, what, ctypes.addressof(argument), count, 0, 0))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    def _release(self) -> None:
        if self._memory:
            self._words.release()
        for memory in self._memory:
            memory.close()
        for fd in (self._event, self._fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._event = -1


async def why_not() -> OSError | None:
    """Why there is no ring to be had, if there is none."""
    try:
        ring = Ring()
    except OSError as error:
        return error
    await ring.close()
    return None


def _system_call() -> Callable[..., int]:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    # Nothing here waits, so the lock of the interpreter is kept: to take it again could mean to wait.
    call = ctypes.PyDLL(None, use_errno=True).syscall
    call.argtypes = [ctypes.c_long] * 7
    call.restype = ctypes.c_long
    return call
