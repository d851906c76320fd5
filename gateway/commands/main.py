"""The `sealgate` command and what its subcommands share."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from gateway.commands.accounts import account
from gateway.commands.audit import audit
from gateway.commands.backup import backup_command, restore_command
from gateway.commands.blob import blob
from gateway.commands.buckets import bucket
from gateway.commands.destruction import destruction_statement
from gateway.commands.doctor import doctor
from gateway.commands.hsm import hsm
from gateway.commands.identities import access_key, user
from gateway.commands.index import index_group
from gateway.commands.init import init
from gateway.commands.keys import keys
from gateway.commands.kms import kms
from gateway.commands.migrate import migrate
from gateway.commands.rewrap import jobs, rewrap
from gateway.commands.scrub import scrub
from gateway.commands.serve import serve
from gateway.commands.simulate import simulate_command
from gateway.commands.verify_index import verify_command
from gateway.commands.verify_statement import verify_statement
from gateway.commands.why import why

EPILOG = """\b
Exit status:
  0  done; for doctor: everything is well
  1  a problem was found, or the command failed; the last line says why
  2  wrong use of the command line
  3  the configuration is wrong
  4  another sealgate serves this data directory
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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


main.add_command(init)
main.add_command(serve)
main.add_command(doctor)
main.add_command(audit)
main.add_command(backup_command)
main.add_command(restore_command)
main.add_command(blob)
main.add_command(bucket)
main.add_command(hsm)
main.add_command(index_group)
index_group.add_command(verify_command)
main.add_command(kms)
main.add_command(keys)
keys.add_command(destruction_statement)
keys.add_command(verify_statement)
main.add_command(rewrap)
main.add_command(jobs)
main.add_command(scrub)
main.add_command(migrate)
main.add_command(account)
main.add_command(user)
main.add_command(access_key)
main.add_command(why)
main.add_command(simulate_command)
