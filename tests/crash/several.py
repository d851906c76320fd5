"""The same clients on three gateways, which share a PostgreSQL and an S3, while all of these fail.

In each round workers or a whole gateway are killed, the database restarted or its connections cut, the S3 answers 500
and 503, hangs, or cuts connections before, in or after its answer. Clients ask another gateway when one does not
answer, as a balancer has them do. A write that is answered 503 may have happened here: the answer to its commit may be
what was lost.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg

from tests.crash.clients import patient
from tests.crash.history import BUCKET, CLIENTS, OPERATIONS_OF_A_ROUND, Report, Round
from tests.crash.progress import Progress
from tests.faulty_proxy import Fault, FaultyProxy
from tests.harness import Gateway, backing_environment
from tests.moto_server import ACCESS, moto_bucket
from tests.moto_server import BUCKET as BUCKET_OF_BLOBS
from tests.postgresql import PostgreSQLServer, start_postgresql

NODES = 3
FAULTS_OF_A_ROUND = 5
FAILED_REQUESTS = 6
"""One after the other, of the S3: more than a gateway makes of one."""

_OF_THE_S3 = [fault for fault in Fault if fault is not Fault.STATUS_403]  # which is no failure, but a refusal


@contextmanager
def faulty(target: str) -> Iterator[FaultyProxy]:
    """The proxy, in a thread of its own."""
    proxy, is_ready, is_over = FaultyProxy(target), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with proxy:
            is_ready.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    is_ready.wait(30)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()


@contextmanager
def several_gateways(directory: Path) -> Iterator[tuple[list[Gateway], PostgreSQLServer, FaultyProxy]]:
    with ExitStack() as ending:
        server = start_postgresql()
        ending.callback(server.stop, signal.SIGQUIT)
        moto = ending.enter_context(moto_bucket(directory / "moto.log"))
        proxy = ending.enter_context(faulty(moto.meta.endpoint_url))
        environment = backing_environment(proxy.url, BUCKET_OF_BLOBS, **ACCESS)
        environment |= {"SEALGATE_DATABASE_OPERATION_SECONDS": "5", "SEALGATE_BACKING_ATTEMPT_SECONDS": "2"}
        first = Gateway(
            directory / "1", root="file", index=server.url, is_first_of_several=True, environment=environment
        ).init()
        gateways = [first, *(first.another(directory / str(number)) for number in range(2, NODES + 1))]
        for gateway in gateways:
            ending.callback(gateway.stop)
            gateway.start()
        yield gateways, server, proxy


async def _cut_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
    finally:
        await connection.close()


class _Faults:
    """What can go wrong, each by its name."""

    def __init__(
        self, gateways: list[Gateway], server: PostgreSQLServer, proxy: FaultyProxy, randoms: random.Random
    ) -> None:
        self._gateways = gateways
        self._server = server
        self._proxy = proxy
        self._randoms = randoms
        self.all: dict[str, Callable[[], None]] = {
            "gateways killed": self._kill_a_gateway,
            "workers killed": self._kill_a_worker,
            "restarts of the database": self._restart_the_database,
            "cuts of all its connections": lambda: asyncio.run(_cut_connections(server.url)),
            "failures of the S3": self._fail_the_s3,
        }

    def _kill_a_gateway(self) -> None:
        victim = self._randoms.choice(self._gateways)
        victim.kill_all()
        time.sleep(0.5)
        victim.start()

    def _kill_a_worker(self) -> None:
        for pid in self._randoms.choice(self._gateways).children("gateway.worker"):
            os.kill(pid, signal.SIGKILL)

    def _restart_the_database(self) -> None:
        self._server.stop()
        self._server.start()

    def _fail_the_s3(self) -> None:
        self._proxy.fail_next(self._randoms.choice(_OF_THE_S3), FAILED_REQUESTS)


def several_rounds(
    directory: Path, *, progress: Progress, seed: int, operations: int = OPERATIONS_OF_A_ROUND
) -> Report:
    """As many rounds as `progress` wants, on new gateways in `directory`; ends at the first that finds a problem."""
    report, began, randoms = Report(), time.monotonic(), random.Random(seed)
    with several_gateways(directory) as (gateways, server, proxy):
        faults = _Faults(gateways, server, proxy, randoms)
        s3 = patient(gateways[0], "s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        while progress.goes_on(report.rounds, report.problems):
            current = Round(gateways, f"round-{report.rounds}", seed + report.rounds, operations, is_503_open=True)
            with ThreadPoolExecutor(CLIENTS) as threads:
                working = [threads.submit(current.client, number) for number in range(CLIENTS)]
                for _ in range(FAULTS_OF_A_ROUND):
                    time.sleep(0.2 + randoms.random())  # a moment at random is what is asked for
                    what, fail = randoms.choice(list(faults.all.items()))
                    fail()
                    report.faults[what] += 1
                for each in working:
                    each.result(300)
            proxy.fail_next(Fault.STATUS_503, 0)
            report.problems += current.problems()
            report.operations += current.told
            report.rounds += 1
    report.seconds = time.monotonic() - began
    return report
