"""`sealgate bucket`: what a bucket is set to beyond what S3 has an API for, also while it is served.

The index is opened as by `sealgate simulate`: its rows are sealed, so that the root is needed, or a serving gateway.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from gateway.commands.failures import Failure, load_settings
from gateway.commands.identity_store import JSON, PLACE, format_time, tell, told_act, told_failures
from gateway.config import Settings
from gateway.identities import opened_index
from gateway.operations.bucket.configuration import alter_document
from gateway.operations.copy_sharing import CopySetting
from gateway.operations.documents import BucketDocument
from gateway.operations.sealed_rows import SealedRows
from gateway.storage.errors import NoSuchBucket
from gateway.storage.index.interface import BucketIndex
from gateway.storage.index.records import BucketRow

DEFAULT = "default"
"""As the installation says (`storage.copy`)."""


@click.group()
def bucket() -> None:
    """Show and set what S3 has no API for: how a bucket's objects are copied."""


@bucket.command("show")
@PLACE
@click.argument("name")
@JSON
def show_bucket(place: Path, name: str, as_json: bool) -> None:
    """Show whose the bucket NAME is, and how its objects are copied."""
    settings = load_settings(place)
    with told_failures():
        row, document = asyncio.run(_show(settings, name))
    copy = document.copy or f"{settings.storage.copy} ({DEFAULT})"
    told = {"Bucket": row.name, "AccountId": row.account_id, "Created": format_time(row.created_us), "Copy": copy}
    tell(told, as_json)


@bucket.command("update")
@PLACE
@click.argument("name")
@click.option(
    "--copy",
    "copy",
    required=True,
    type=click.Choice([CopySetting.SHARE.value, CopySetting.REENCRYPT.value, DEFAULT]),
    help="share: copies from and to it may share ciphertext, where the other bucket lets them, too. reencrypt: they "
    "are sealed anew under data keys of their own. default: as the setting storage.copy says.",
)
def update_bucket(place: Path, name: str, copy: str) -> None:
    """Set how objects are copied from the bucket NAME and into it.

    It holds for copies that are made from then on: what shares ciphertext already goes on doing so, until it is copied
    onto itself.
    """
    settings = load_settings(place)
    with told_failures():
        asyncio.run(_set_copy(settings, name, None if copy == DEFAULT else copy))


async def _show(settings: Settings, name: str) -> tuple[BucketRow, BucketDocument]:
    async with opened_index(settings, "bucket") as (index, keys):
        row = await _find(index, name)
        return row, SealedRows(keys.rows).open_bucket(row)


async def _set_copy(settings: Settings, name: str, copy: str | None) -> None:
    async with opened_index(settings, "bucket") as (index, keys):
        row = await _find(index, name)
        with told_act(settings, "UpdateBucket", accountId=row.account_id, bucketName=name, copy=copy or DEFAULT):
            await alter_document(
                index, SealedRows(keys.rows), row, lambda document: msgspec.structs.replace(document, copy=copy)
            )


async def _find(index: BucketIndex, name: str) -> BucketRow:
    try:
        return await index.get_bucket(name)
    except NoSuchBucket as error:
        raise Failure(f"there is no bucket {name}") from error
