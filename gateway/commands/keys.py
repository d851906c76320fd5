"""`sealgate keys`: what a KMS key opens, and its deletion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.commands.failures import Failure, load_settings
from gateway.commands.identities import ACCOUNT, account_id
from gateway.commands.identity_store import JSON, PLACE, format_time, opened_store, told_failures
from gateway.commands.lazy import LazyGroup
from gateway.commands.progress import Progress
from gateway.commands.terminal import printable, size_text
from gateway.config import Settings
from gateway.identities import key_service, opened_index
from gateway.operations.key_usage import KeyUsage, Opened, count_usage, told_usage
from gateway.operations.sealed_rows import SealedRows
from iam.principals import Caller, root_principal
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.api.types import DescribeKey, KeyMetadata, ScheduleKeyDeletion

KEY = click.argument("key", metavar="KEY")
PURPOSE = "keys"


@click.group(
    cls=LazyGroup,
    lazy={
        "destruction-statement": "gateway.commands.destruction:destruction_statement",
        "verify-statement": "gateway.commands.verify_statement:verify_statement",
    },
)
def keys() -> None:
    """What a KMS key opens, and its deletion. KEY is an id, an ARN, or an alias."""


@keys.command("usage")
@PLACE
@KEY
@ACCOUNT
@JSON
def usage_command(place: Path, key: str, account: str | None, as_json: bool) -> None:
    """Count what KEY opens: object versions, uploads and bucket keys, by bucket and by version of its material.

    And how many versions nothing else opens: those whose data key no other key wraps, in their own rows, in those of
    copies that share their blobs, or in the blobs themselves. Every row is verified. A key that is destroyed is named
    by its ARN.
    """
    settings = load_settings(place)
    with told_failures():
        caller = root_caller(settings, key, account)
        metadata, usage = asyncio.run(_usage(settings, caller, key))
    if as_json:
        click.echo(json.dumps(_document(metadata, usage), indent=2, ensure_ascii=False))
        return
    for line in _told(metadata, usage):
        click.echo(printable(line))


@keys.command("schedule-deletion")
@PLACE
@KEY
@ACCOUNT
@click.option("--days", type=click.IntRange(7, 30), default=30, show_default=True, help="How long it can be cancelled.")
@click.option("--yes", is_flag=True, help="Do it although the key opens something.")
@JSON
def schedule_deletion_command(
    *, place: Path, key: str, account: str | None, days: int, yes: bool, as_json: bool
) -> None:
    """Have KEY destroyed after some days, as ScheduleKeyDeletion does; refused without --yes while it opens anything.

    What it opens is told, and stands in the audit trail beside the call.
    """
    settings = load_settings(place)
    with told_failures():
        caller = root_caller(settings, key, account)
        metadata, usage = asyncio.run(_usage(settings, caller, key))
        if metadata is None:
            raise Failure(f"there is no key {key}")
        if not usage.is_none and not yes:
            for line in _told(metadata, usage):
                click.echo(printable(line), err=True)
            raise Failure(f"{metadata.key_arn} opens what is told above: --yes has it destroyed all the same")
        done = asyncio.run(_schedule_deletion(settings, caller, metadata, days, usage))
    told = {"KeyArn": done.key_arn, "KeyState": done.state.value, "PendingWindowInDays": days}
    if done.deletion_us is not None:
        told["DeletionDate"] = format_time(done.deletion_us)
    click.echo(
        json.dumps({**told, "usage": told_usage(usage)}, indent=2) if as_json else "  ".join(map(str, told.values()))
    )


def root_caller(settings: Settings, key: str, account: str | None) -> Caller:
    """The root user of the key's account, for whom an installation's administrator acts."""
    parts, region = key.split(":"), None
    if len(parts) >= 6:
        region, account = parts[3], account or parts[4]
    with opened_store(settings) as store:
        return Caller(root_principal(account_id(store, account)), PURPOSE, region=region)


async def _usage(settings: Settings, caller: Caller, key: str) -> tuple[KeyMetadata | None, KeyUsage]:
    """None for a key that does not exist any more, which only an ARN can name."""
    async with key_service(settings) as kms:
        metadata = await described(kms, caller, key)
    arn = key if metadata is None else metadata.key_arn
    async with opened_index(settings, PURPOSE) as (index, service_keys):
        total = await index.count_objects_of_key(arn)
        with Progress("object versions") as progress:
            return metadata, await count_usage(
                index, SealedRows(service_keys.rows), arn, lambda done: progress.update(done, total)
            )


async def described(kms: KeyService, caller: Caller, key: str) -> KeyMetadata | None:
    try:
        return await kms.call(caller, DescribeKey(key))
    except KMSError as error:
        if error.code == "NotFoundException" and ":key/" in key:
            return None
        raise


async def _schedule_deletion(
    settings: Settings, caller: Caller, metadata: KeyMetadata, days: int, usage: KeyUsage
) -> KeyMetadata:
    async with key_service(settings) as kms:
        return await kms.call(caller, ScheduleKeyDeletion(metadata.key_arn, days, told_usage(usage)))


def _document(metadata: KeyMetadata | None, usage: KeyUsage) -> dict[str, Any]:
    return {
        "keyArn": usage.key_arn,
        "keyState": None if metadata is None else metadata.state.value,
        "total": asdict(usage.total),
        "buckets": {name: asdict(opened) for name, opened in sorted(usage.by_bucket.items())},
        "keyVersions": {str(version): asdict(opened) for version, opened in sorted(usage.by_version.items())},
        "damagedRows": usage.damaged,
    }


def _told(metadata: KeyMetadata | None, usage: KeyUsage) -> list[str]:
    total, state = usage.total, "does not exist any more" if metadata is None else f"is {metadata.state.value}"
    opened, only, sent = (size_text(count.bytes) for count in (total.versions, total.only, total.uploads))
    told = [
        f"{usage.key_arn} {state}.",
        f"It opens {total.versions.number} object versions ({opened}) in {len(usage.by_bucket)} buckets, "
        f"{total.only.number} of them ({only}) only through it; {total.uploads.number} uploads in progress with "
        f"{total.parts} parts ({sent}), and {total.bucket_keys} bucket keys.",
    ]
    if usage.damaged:
        told.append(f"{usage.damaged} rows that name it are damaged, and open nothing.")
    if not usage.is_none:
        told += ["", *_table("bucket", dict(sorted(usage.by_bucket.items())))]
        versions = {str(version): opened for version, opened in sorted(usage.by_version.items())}
        told += ["", *_table("version of its material", versions)]
    return told


_COLUMNS: tuple[tuple[str, Callable[[Opened], object]], ...] = (
    ("versions", lambda opened: opened.versions.number),
    ("size", lambda opened: size_text(opened.versions.bytes)),
    ("only", lambda opened: opened.only.number),
    ("size", lambda opened: size_text(opened.only.bytes)),
    ("uploads", lambda opened: opened.uploads.number),
    ("parts", lambda opened: opened.parts),
    ("bucket keys", lambda opened: opened.bucket_keys),
)


def _table(what: str, rows: dict[str, Opened]) -> list[str]:
    cells = [[what, *(name for name, _ in _COLUMNS)]]
    cells += [[name, *(str(value(opened)) for _, value in _COLUMNS)] for name, opened in rows.items()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for first, *others in cells:
        numbers = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *numbers]))
    return lines
