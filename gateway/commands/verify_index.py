"""`sealgate index verify`: the index held against itself and against the blobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gateway.commands.failures import PROBLEM, load_settings
from gateway.commands.identity_store import JSON, PLACE, told_failures
from gateway.commands.opened import opened_keys, opened_stores
from gateway.commands.progress import Progress
from gateway.commands.terminal import printable
from gateway.config import Settings
from gateway.operations.scrub.verify import IndexVerifier, VerifyReport


@click.command("verify")
@PLACE
@JSON
def verify_command(place: Path, as_json: bool) -> None:
    """Check the index of DATA, while it is served or stopped: that no row was changed behind the gateway's back.

    Every row's seal is opened, every blob's references are counted, and every blob that a row names is looked for. What
    blobs hold is not read: `sealgate scrub` does that. Exits with 1 if something is wrong.
    """
    settings = load_settings(place)
    with told_failures():
        report = asyncio.run(_verify(settings))
    if as_json:
        click.echo(json.dumps(_document(report), indent=2, ensure_ascii=False))
    else:
        for line in _told(report):
            click.echo(printable(line))
    if report.problems:
        click.get_current_context().exit(PROBLEM)


async def _verify(settings: Settings) -> VerifyReport:
    with Progress("rows") as progress:
        async with (
            opened_stores(settings) as stores,
            opened_keys(settings, stores.index, request_id="verify-index") as keys,
        ):
            verifier = IndexVerifier(
                stores.index,
                stores.blobs,
                keys.rows,
                orphan_grace_seconds=settings.storage.orphan_grace_seconds,
                progress=progress.update,
            )
            return await verifier.verify()


def _document(report: VerifyReport) -> dict[str, Any]:
    return {
        "buckets": report.buckets,
        "versions": report.versions,
        "uploads": report.uploads,
        "parts": report.parts,
        "jobs": report.jobs,
        "blobs": report.blobs,
        "unnamedBlobs": report.unnamed,
        "orphans": report.orphans,
        "referencesChecked": report.are_references_checked,
        "problems": dict(sorted(report.problems.items())),
        "examples": [{"problem": each.kind, "where": each.where} for each in report.examples],
    }


def _told(report: VerifyReport) -> Iterator[str]:
    yield (
        f"{report.versions} versions in {report.buckets} buckets, {report.parts} parts of {report.uploads} uploads, "
        f"{report.jobs} jobs and {report.blobs} blobs were looked at."
    )
    if report.orphans:
        yield f"{report.orphans} blobs in the store have no row: the sweep will delete them."
    if report.unnamed:
        yield f"{report.unnamed} blobs are kept from the sweep, though no row names them."
    if not report.are_references_checked:
        yield "References could not be counted, since not all rows can be read."
    for kind, count in sorted(report.problems.items()):
        yield f"{count} {kind}"
    for each in report.examples:
        yield f"  {each.kind}  {each.where}"
    if not report.problems:
        yield "Everything is as it should be."
