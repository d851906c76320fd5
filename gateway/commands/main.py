"""The `sealgate` command and what its subcommands share."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

import click

from gateway.commands.lazy import LazyGroup

COMMANDS: Final = {
    name: f"gateway.commands.{place}"
    for name, place in {
        "access-key": "identities:access_key",
        "account": "accounts:account",
        "audit": "audit:audit",
        "backup": "backup:backup_command",
        "blob": "blob:blob",
        "bucket": "buckets:bucket",
        "doctor": "doctor:doctor",
        "hsm": "hsm:hsm",
        "index": "index:index_group",
        "init": "init:init",
        "jobs": "rewrap:jobs",
        "keys": "keys:keys",
        "kms": "kms:kms",
        "migrate": "migrate:migrate",
        "reload": "reload:reload_command",
        "restore": "backup:restore_command",
        "rewrap": "rewrap:rewrap",
        "scrub": "scrub:scrub",
        "serve": "serve:serve",
        "simulate": "simulate:simulate_command",
        "user": "identities:user",
        "why": "why:why",
    }.items()
}

EPILOG = """\b
Exit status:
  0  done; for doctor: everything is well
  1  a problem was found, or the command failed; the last line says why
  2  wrong use of the command line
  3  the configuration is wrong
  4  another sealgate serves this data directory
"""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Sealgate: an S3-compatible gateway that encrypts every object, with a key service rooted in an HSM.

    \b
    A first run:
      sealgate init ./data
      sealgate serve ./data
      . ./data/dev.env && aws s3 mb s3://first
    """


@main.command("version")
def show_version() -> None:
    """Print the version."""
    try:
        click.echo(f"sealgate {version('sealgate')}")
    except PackageNotFoundError:
        click.echo("sealgate (run from a source tree that is not installed)")
