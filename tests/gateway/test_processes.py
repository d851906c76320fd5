from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import pytest

from gateway import processes
from gateway.processes import Child, Command, StartFailed

WAIT_SECONDS = 60.0

PATIENT = """
import os, sys
sys.stdin.readline(); print("ready", flush=True)
while os.read(0, 100): pass
"""
STUBBORN = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.readline(); print("ready", flush=True)
while os.read(0, 100): pass
"""
RETIRING = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit())
sys.stdin.readline(); print("ready", flush=True)
while True: signal.pause()
"""


def command(program: str, **environment: str) -> Command:
    return Command("child", (sys.executable, "-c", program), b"the order\n", (), {**os.environ, **environment})


async def soon(wait: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        await wait()


async def ended(child: Child, pid: int) -> None:
    while child.pid == pid:
        await asyncio.sleep(0.005)


async def test_child_gets_its_order_and_reports_ready() -> None:
    program = "import sys; assert sys.stdin.readline() == 'the order\\n'; print('ready', flush=True); sys.stdin.read()"
    child = Child(command(program), lambda pid: None)
    running = asyncio.create_task(child.run())
    await soon(child.is_ready.wait)
    await child.stop(WAIT_SECONDS)
    await soon(lambda: running)
    assert (child.pid, child.restarts) == (None, 0)


async def test_killed_child_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    dead: list[int] = []
    child = Child(command(PATIENT), dead.append)
    running = asyncio.create_task(child.run())
    await soon(child.is_ready.wait)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await soon(lambda: ended(child, first))
    await soon(child.is_ready.wait)
    assert child.pid not in (None, first)
    assert dead == [first]
    assert "child was ended by SIGKILL: starting it again" in caplog.text
    await child.stop(WAIT_SECONDS)
    await soon(lambda: running)


async def test_child_that_never_gets_ready_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE_SECONDS", 0.001)
    child = Child(command("raise SystemExit(7)"), lambda pid: None)
    with pytest.raises(StartFailed, match="child does not start: it ended with status 7, 3 times"):
        await soon(child.run)


async def test_program_that_is_not_there_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE_SECONDS", 0.001)
    child = Child(Command("child", ("/nowhere/at/all",), b"", (), {}), lambda pid: None)
    with pytest.raises(StartFailed, match="cannot be started"):
        await soon(child.run)


async def test_child_that_ignores_sigterm_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    child = Child(command(STUBBORN), lambda pid: None)
    running = asyncio.create_task(child.run())
    await soon(child.is_ready.wait)
    await child.stop(0.05)
    await soon(lambda: running)
    assert "killing it" in caplog.text


async def test_retired_child_ends_by_itself_and_is_not_started_again() -> None:
    child = Child(command(RETIRING), lambda pid: None)
    running = asyncio.create_task(child.run())
    await soon(child.is_ready.wait)
    child.retire()
    await soon(lambda: running)
    assert (child.pid, child.restarts) == (None, 0)


async def test_child_that_stands_by_did_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE_SECONDS", 0.001)
    child = Child(command("print('standing by', flush=True)"), lambda pid: None, attempts=1)
    running = asyncio.create_task(child.run())

    async def restarting() -> None:
        while child.restarts < 2:
            await asyncio.sleep(0.005)

    await soon(restarting)
    await child.stop(WAIT_SECONDS)
    await soon(lambda: running)


async def test_running_child_is_taken_over_with_its_pipes(caplog: pytest.LogCaptureFixture) -> None:
    """As after exec: the process goes on, and is watched, stopped and started again as one's own."""
    started = Child(command(PATIENT), lambda pid: None)
    running = asyncio.create_task(started.run())
    await soon(started.is_ready.wait)
    handed = started.handed_on()
    assert handed is not None
    assert handed.is_ready
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    taken = Child(command(PATIENT), lambda pid: None, taken_over=handed)
    running = asyncio.create_task(taken.run())
    await soon(taken.is_ready.wait)
    assert taken.pid == handed.pid
    os.kill(handed.pid, signal.SIGKILL)
    await soon(lambda: ended(taken, handed.pid))
    await soon(taken.is_ready.wait)
    assert "starting it again" in caplog.text
    await taken.stop(WAIT_SECONDS)
    await soon(lambda: running)


async def test_retired_child_is_taken_over_until_it_ends() -> None:
    started = Child(command(RETIRING), lambda pid: None)
    running = asyncio.create_task(started.run())
    await soon(started.is_ready.wait)
    handed = started.handed_on()
    assert handed is not None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    taken = Child(command(RETIRING), lambda pid: None, taken_over=handed)
    taken.retire()
    running = asyncio.create_task(taken.run())
    await soon(taken.is_ready.wait)
    # The signal came before it was handed on, as a rule, and is not sent again.
    assert taken.handed_on() == handed
    os.kill(handed.pid, signal.SIGUSR1)
    await soon(lambda: running)
    assert (taken.pid, taken.restarts) == (None, 0)


async def test_stop_between_two_lives_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE_SECONDS", 1000.0)
    child = Child(command("pass"), lambda pid: None)
    running = asyncio.create_task(child.run())

    async def restarting() -> None:
        while not child.restarts:
            await asyncio.sleep(0.005)

    await soon(restarting)
    await child.stop(WAIT_SECONDS)
    await soon(lambda: running)


def test_command_shows_no_environment() -> None:
    assert "hidden" not in repr(command("", SECRET="hidden"))
