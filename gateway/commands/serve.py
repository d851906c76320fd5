"""`sealgate serve`: run the gateway in the foreground."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click

from gateway import handover, logs
from gateway.backup.contents import MARK
from gateway.commands.failures import AlreadyServed, BadConfiguration, Failure, load_settings
from gateway.config import ConfigError, Settings
from gateway.configured_identities import read_configured
from gateway.database_files import DatabaseUnusable
from gateway.handover import CannotTakeOver, Handover
from gateway.private_files import rewrite_endpoint
from gateway.processes import StartFailed
from gateway.sockets import BindError
from gateway.supervisor import Addresses, AlreadyRunning, Supervisor


@click.command()
@click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--dev-env",
    is_flag=True,
    help="Write the address in use into DATA/dev.env, and print the lines to paste once ready.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Only say whether these settings could be served; asks the HSM and the databases, as doctor does.",
)
def serve(place: Path, dev_env: bool, check: bool) -> None:
    """Serve DATA, a data directory made by `sealgate init` (or a configuration file), until SIGTERM or Ctrl-C.

    Starts the key process and the workers, restarts what fails, and on SIGTERM lets requests in flight finish.
    Prints "ready" and the addresses once every worker answers. On SIGHUP (`sealgate reload`) it takes up changed
    settings and the program that is installed by then, and fails no request. Settings may be overridden by environment
    variables, SEALGATE_<SECTION>_<NAME>.
    """
    try:
        handed_on = handover.received()
    except CannotTakeOver as error:
        raise Failure(str(error)) from error
    refusal = ""
    try:
        settings = _settings_of(place, handed_on)
        if check:
            _require_servable(settings)
            return
    except Failure as error:
        if check or handed_on is None:
            raise
        # They were in order a moment ago.
        settings, refusal = handed_on.settings, error.message
    logs.configure(settings.log.level, "supervisor")

    def announce(addresses: Addresses) -> None:
        if dev_env:
            click.echo(rewrite_endpoint(settings.data_directory, addresses.endpoint_url), nl=False)
        click.echo(f"ready: {addresses.endpoint_url} (health and metrics: http://{addresses.admin})")

    try:
        asyncio.run(Supervisor(settings, announce, handed_on=handed_on, refusal=refusal).run())
    except AlreadyRunning as error:
        raise AlreadyServed(str(error)) from error
    except (DatabaseUnusable, BindError, StartFailed, OSError) as error:
        raise Failure(str(error)) from error


def _settings_of(place: Path, handed_on: Handover | None) -> Settings:
    """Settings that can be served as far as files tell, beside those that are `handed_on`. Raises Failure."""
    settings = load_settings(place)
    if (settings.data_directory / MARK).exists():
        raise Failure("a restore was cut short, and stores of two times lie beside each other: run it again")
    complaint = _complaint_of(settings)
    if complaint is not None:
        raise BadConfiguration(complaint)
    if handed_on is not None:
        try:
            handover.require_compatible(handed_on, settings)
        except CannotTakeOver as error:
            raise BadConfiguration(str(error)) from error
    return settings


def _require_servable(settings: Settings) -> None:
    """Raises Failure, with each reason why not."""
    from gateway.checks import hindrances  # noqa: PLC0415  # it opens every store there is: nothing for a supervisor

    found = list(hindrances(settings))
    if found:
        raise Failure("; ".join(found))


def _complaint_of(settings: Settings) -> str | None:
    """What is wrong with the files of configured accounts, which each worker reads again: it is better told here.

    Found out in a process of its own: the supervisor, which this one becomes, never holds a secret.
    """
    if not settings.account and settings.access.root_access_keys_file is None:
        return None
    with ProcessPoolExecutor(1, get_context("fork")) as apart:
        return apart.submit(_read_configured, settings).result()


def _read_configured(settings: Settings) -> str | None:
    try:
        read_configured(settings)
    except ConfigError as error:
        return str(error)
    return None
