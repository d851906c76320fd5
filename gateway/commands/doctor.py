"""`sealgate doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.checks import examine
from gateway.commands.failures import PROBLEM, load_settings, quiet_logs


@click.command()
@click.argument("place", metavar="DATA", type=click.Path(exists=True, path_type=Path))
@quiet_logs()
def doctor(place: Path) -> None:
    """Check DATA: configuration, permissions, disk, clock, addresses, PIN, databases and the root.

    Changes nothing, and may run beside a serving gateway. Says one sentence for each check, and exits with 1 if any
    of them found a problem (3 if the configuration cannot be read at all).
    """
    settings = load_settings(place)
    click.echo("ok       configuration: every setting is understood")
    problems = 0
    for finding in examine(settings):
        problems += not finding.is_well
        mark = "ok     " if finding.is_well else click.style("PROBLEM", fg="red")
        click.echo(f"{mark}  {finding.check}: {finding.sentence}")
    if problems:
        click.echo(f"{problems} problem{'s' if problems > 1 else ''} found.", err=True)
        click.get_current_context().exit(PROBLEM)
