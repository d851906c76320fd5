"""`sealgate hsm`: work on the token that holds the root."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import click

from gateway.commands.failures import PROBLEM, Failure, load_settings, quiet_logs
from gateway.commands.rotate_root import remove_old_roots, rotate_root
from kms.hsm.driver import DEFAULT, Driver, format_driver, read_driver
from kms.hsm.interface import RootError
from kms.hsm.probe import Probed, probe
from kms.hsm.provision import SOFTHSM_ENVIRONMENT
from kms.hsm.tokens import read_pin
from kms.hsm.uri import parse_uri

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def hsm() -> None:
    """Work on the PKCS#11 token that holds the root."""


@hsm.command("probe")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Probe the token of this data directory.")
@click.option("--uri", default="", help="Or the token of this PKCS#11 URI (RFC 7512), with module-path.")
@click.option("--pin-file", type=_FILE, help="A file of mode 0600 with the token's PIN, if the URI has no pin-source.")
@click.option("--driver", "driver_file", type=_FILE, help="A driver profile to start from: how to load the module.")
@click.option(
    "--write",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the driver profile that fits to this file, which must not exist.",
)
@quiet_logs()
def probe_command(
    *, data: Path | None, uri: str, pin_file: Path | None, driver_file: Path | None, output: Path | None
) -> None:
    """Perform every operation the KMS could ask of a token, and say which work, how fast, and what is missing.

    Makes session objects only, which are gone afterwards, and logs in once: a wrong PIN is not repeated. Takes some
    seconds, most of them for RSA keys. Exits with 1 if the token cannot hold a root.
    """
    if (data is None) == (not uri):
        raise click.UsageError("give either --data or --uri")
    try:
        found = _of_data(data) if data is not None else _of_uri(uri, pin_file, driver_file)
        probed = found()
        _tell(probed)
        if output is not None and probed.driver is not None:
            with output.open("x", encoding="utf-8") as file:
                file.write(f"# Made by sealgate hsm probe for token {probed.token}.\n{format_driver(probed.driver)}")
    except RootError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error
    if probed.driver is None:
        click.get_current_context().exit(PROBLEM)


def _of_data(data: Path) -> Callable[[], Probed]:
    kms = load_settings(data).kms
    if kms.root != "pkcs11":
        raise Failure("the root of this data directory is a file, not a token")
    if kms.softhsm_conf is not None:
        os.environ[SOFTHSM_ENVIRONMENT] = str(kms.softhsm_conf)
    return lambda: probe(parse_uri(kms.uri), read_pin(kms.pin_file), _driver(kms.driver_file))


def _of_uri(text: str, pin_file: Path | None, driver_file: Path | None) -> Callable[[], Probed]:
    uri = parse_uri(text)
    pin_source = pin_file or uri.pin_source
    if pin_source is None:
        raise Failure("neither --pin-file nor pin-source in the URI says where the PIN is")
    return lambda: probe(uri, read_pin(pin_source), _driver(driver_file))


def _driver(path: Path | None) -> Driver:
    return DEFAULT if path is None else read_driver(path)


def _tell(probed: Probed) -> None:
    click.echo(f"token {probed.token}")
    for group, findings in groupby(probed.findings, lambda finding: finding.group):
        click.echo(f"\n{group}")
        for finding in findings:
            mark = "works" if finding.works else click.style("no   ", fg="red")
            rate = "" if finding.rate is None else f"{finding.rate:,.0f}/s"
            click.echo(f"  {finding.name:<34}{mark}  {rate:>10}  {finding.detail}".rstrip())
    click.echo()
    if probed.driver is None:
        click.echo("This token cannot hold a root: no wrapping profile works.", err=True)
        return
    click.echo(f"Best wrapping profile: {probed.driver.wrapping}.")
    click.echo(f"Missing: {', '.join(probed.missing) or 'nothing'}.")


hsm.add_command(rotate_root)
hsm.add_command(remove_old_roots)
