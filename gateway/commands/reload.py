"""`sealgate reload`: have a running gateway take up changed settings, or a new program, without failing a request."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.commands.failures import Failure, load_settings
from gateway.config import Settings
from gateway.handover import newest_outcome
from gateway.supervisor import CHECK_SECONDS, TAKEOVER_SECONDS, is_alive, supervisor_of

WAIT_SECONDS = CHECK_SECONDS + 2 * TAKEOVER_SECONDS + 30.0
POLL_SECONDS = 0.05


@click.command("reload")
@click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
def reload_command(place: Path) -> None:
    """Have the gateway that serves DATA take up its settings, and the program as it is installed now.

    New workers start beside the running ones, on the same sockets; those end with their connections (at most
    listen.retire_seconds). If the new ones do not get ready, everything goes on as before, and this fails and says why.
    """
    settings = load_settings(place)
    with _one_at_a_time(settings):
        process = supervisor_of(settings)
        if process is None:
            raise Failure(f"no sealgate serves {settings.data_directory}")
        before = newest_outcome(settings).attempt
        try:
            os.kill(process, signal.SIGHUP)
        except (ProcessLookupError, PermissionError) as error:
            raise Failure(f"process {process}, which serves, cannot be told: {error.strerror}") from error
        refusal = _outcome_after(settings, before, process)
    if refusal:
        raise Failure(f"everything goes on as before: {refusal}")
    click.echo("done: new workers serve")


def _outcome_after(settings: Settings, before: int, process: int) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while (outcome := newest_outcome(settings)).attempt == before:
        if not is_alive(str(process)):
            raise Failure("the gateway has ended")
        if time.monotonic() > deadline:
            raise Failure(f"not done within {WAIT_SECONDS:g} s; its log says what it waits for")
        time.sleep(POLL_SECONDS)
    return outcome.refusal


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Two that ask at once would take each other's outcome for theirs."""
    settings.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.run_directory / "reload.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
