"""A load generator light enough not to be what is measured: requests made beforehand, plain sockets, one loop.

It sends what it was given as it stands, over kept-alive connections, one request under way on each, and reads answers
no further than to know where they end. Its own CPU time is not the server's, and is not counted.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

RECEIVE_BYTES = 1 << 20
STALL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request, ready to be sent: `head` with a small body behind it, then `body` so many times.

    `status` is the one expected; anything else ends the run, since figures of refusals are not those of answers.
    """

    head: bytes
    body: bytes = b""
    repeat: int = 0
    is_head: bool = False
    status: int = 200


@dataclass(slots=True)
class Run:
    """What one run took: seconds in all, and of each request until its first byte and its last, in order of ending."""

    seconds: float
    first_byte: list[float] = field(repr=False)
    whole: list[float] = field(repr=False)
    received_bytes: int = 0
    sent_bytes: int = 0

    @property
    def count(self) -> int:
        return len(self.whole)


class Refused(RuntimeError):
    """Not answered as expected: figures of refusals would be those of something else."""


def drive(address: tuple[str, int], requests: Sequence[Prepared], connections: int) -> Run:
    """Send all `requests`, as many under way as there are connections.

    A server that closes after an answer is connected to anew, within the time of the next request. Raises Refused for
    an answer of another status, when one breaks off, or when nothing arrives for STALL_SECONDS.
    """
    run = Run(0.0, [], [])
    todo = iter(requests)
    buffer = memoryview(bytearray(RECEIVE_BYTES))
    lanes = [_Lane(address, run, buffer) for _ in range(min(connections, len(requests)))]
    poll = select.epoll()
    by_fd = {lane.fileno: lane for lane in lanes}
    began = time.perf_counter()
    try:
        for lane in lanes:
            poll.register(lane.fileno, lane.begin(todo))
        while by_fd:
            events = poll.poll(STALL_SECONDS)
            if not events:
                raise Refused(f"no answer within {STALL_SECONDS} s")
            for fd, event in events:
                lane = by_fd[fd]
                before = lane.waits_for
                after = lane.advance(event, todo)
                if lane.fileno != fd:  # connected anew: the old one left the poll when it was closed
                    del by_fd[fd]
                    if after:
                        by_fd[lane.fileno] = lane
                        poll.register(lane.fileno, after)
                elif not after:
                    poll.unregister(fd)
                    del by_fd[fd]
                elif after != before:
                    poll.modify(fd, after)
        run.seconds = time.perf_counter() - began
    finally:
        poll.close()
        for lane in lanes:
            lane.close()
    return run


class _Lane:
    """One connection and the request under way on it."""

    def __init__(self, address: tuple[str, int], run: Run, buffer: memoryview) -> None:
        """`buffer` is shared: what was received is done with before another lane receives."""
        self._run = run
        self._buffer = buffer
        self._address = address
        self._connect()

    def _connect(self) -> None:
        self._closes = False
        self._has_answered = False
        self._socket = socket.create_connection(self._address, 30.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)

    @property
    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def begin(self, todo: Iterator[Prepared]) -> int:
        """Take the next request and send what goes out at once. The events to wait for, 0 when all are done."""
        request = next(todo, None)
        self.waits_for = 0
        if request is None:
            return 0
        self._request = request
        self._pending = memoryview(request.head)
        self._repeats = request.repeat
        self._head = b""
        self._left: int | None = None
        self._is_chunked = False
        self._tail = b""
        self._first = 0.0
        self._began = time.perf_counter()
        if self._closes:
            self._reconnect()
        return self._send()

    def _reconnect(self) -> None:
        """Before the old one is closed, so that the new one has another number."""
        old = self._socket
        self._connect()
        old.close()

    def advance(self, event: int, todo: Iterator[Prepared]) -> int:
        if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and self._is_answered():
            now = time.perf_counter()
            self._run.first_byte.append(self._first - self._began)
            self._run.whole.append(now - self._began)
            return self.begin(todo)
        if event & select.EPOLLOUT:
            return self._send()
        return self.waits_for

    def _send(self) -> int:
        self.waits_for = select.EPOLLIN
        while self._pending or self._repeats:
            if not self._pending:
                self._repeats -= 1
                self._pending = memoryview(self._request.body)
            try:
                sent = self._socket.send(self._pending)
            except BlockingIOError:
                self.waits_for |= select.EPOLLOUT
                break
            self._run.sent_bytes += sent
            self._pending = self._pending[sent:]
        return self.waits_for

    def _is_answered(self) -> bool:
        """Read what is there; True when the answer is whole."""
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            size = 0
        if not size:
            if self._has_answered and not self._head and not self._request.repeat:
                # Closed after the last answer without having said so.
                self._reconnect()
                self._pending = memoryview(self._request.head)
                self.waits_for = self._send()
                return False
            raise Refused(f"the connection ended after {self._head[:200]!r}")
        self._run.received_bytes += size
        self._first = self._first or time.perf_counter()
        if self._left is None and not self._is_chunked:
            return self._understand(bytes(self._buffer[:size]))
        if self._is_chunked:
            return self._chunk(bytes(self._buffer[max(0, size - 5) : size]))
        self._left -= size
        return self._left <= 0

    def _understand(self, data: bytes) -> bool:
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return False
        status = int(head[9:12])
        if status == 100:
            self._head, self._first = b"", 0.0
            return bool(body) and self._understand(body)
        if status != self._request.status:
            asked = self._request.head.partition(b"\r\n")[0].decode(errors="replace")
            raise Refused(f"{asked}: {status}, not {self._request.status}: {body[:1000]!r}")
        lower = head.lower()
        self._has_answered = True
        self._closes = b"\r\nconnection: close" in lower or lower.startswith(b"http/1.0")
        if self._request.is_head or status in (204, 304):
            return True
        if b"transfer-encoding: chunked" in lower:
            self._is_chunked = True
            return self._chunk(body)
        self._left = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0]) - len(body)
        return self._left <= 0

    def _chunk(self, data: bytes) -> bool:
        """Whether the last chunk came; told from the end of what was read, which bodies here never look like."""
        self._tail = (self._tail + data)[-5:]
        return self._tail == b"0\r\n\r\n"
