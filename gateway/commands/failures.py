"""Failures that a command tells its user in a sentence, with an exit status that scripts can use."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.config import CONFIG_NAME, ConfigError, Settings, load

PROBLEM = 1


class Failure(click.ClickException):
    """Ends the command with `exit_code`; the message goes to standard error."""

    exit_code = PROBLEM


class BadConfiguration(Failure):
    exit_code = 3


class AlreadyServed(Failure):
    exit_code = 4


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """Keeps from the terminal what libraries log below an error, as the command tells its user in its own words."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def load_settings(place: Path) -> Settings:
    """Settings of a data directory, or of a configuration file. Raises Failure."""
    path = place / CONFIG_NAME if place.is_dir() else place
    if not path.exists():
        raise BadConfiguration(f"there is no {path}: `sealgate init {place}` makes a data directory")
    try:
        return load(path)
    except ConfigError as error:
        raise BadConfiguration(str(error)) from error


def default_place() -> Path:
    """The data directory of a command that was told none. Raises click.UsageError."""
    for place in (Path(), Path("data")):
        if (place / CONFIG_NAME).exists():
            return place
    raise click.UsageError("name a data directory: DATA")
