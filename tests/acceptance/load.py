"""Clients that ask without pause while a test changes something, and what they were answered, by when they asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.acceptance.raw import Answer
from tests.harness import wait_until

Round = Callable[[], Sequence[Answer]]
"""What one client does again and again: a request of each kind, one after the other."""


class Load:
    """Answers in the order in which they came, of each client apart."""

    def __init__(self, clients: Sequence[Round]) -> None:
        self._clients = clients
        self._stopping = threading.Event()
        self._running: list[Future[None]] = []
        self._rounds: list[list[Sequence[Answer]]] = [[] for _ in clients]

    def _work(self, client: int) -> None:
        while not self._stopping.is_set():
            self._rounds[client].append(self._clients[client]())

    def start(self, threads: ThreadPoolExecutor) -> None:
        self._running = [threads.submit(self._work, number) for number in range(len(self._clients))]

    def stop(self) -> None:
        self._stopping.set()

    def check(self, seconds: float = 0) -> None:
        """Raise what ended a client early, or after `stop` at all."""
        for each in self._running:
            if seconds or each.done():
                each.result(seconds)

    @property
    def answers(self) -> list[Answer]:
        return [answer for rounds in self._rounds for round_ in rounds.copy() for answer in round_]

    def since(self, moment: float, rounds: int = 2) -> list[Answer]:
        """Answers to requests that began after `moment`, once every client has done so many whole rounds after it."""

        def are_done() -> bool:
            self.check()
            return all(sum(done[0].began > moment for done in each.copy()) >= rounds for each in self._rounds)

        wait_until(are_done, f"{rounds} rounds of every client were answered", 60)
        return [answer for answer in self.answers if answer.began > moment]


@contextmanager
def load(clients: Sequence[Round]) -> Iterator[Load]:
    """Each client in a thread of its own until the block ends. What failed in one is raised then."""
    made = Load(clients)
    with ThreadPoolExecutor(len(clients)) as threads:
        made.start(threads)
        try:
            yield made
        finally:
            made.stop()
        made.check(30)
