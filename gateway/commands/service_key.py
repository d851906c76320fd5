"""`sealgate blob service-key`: the key that opens what the service's key wraps, for `sealgate blob open`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click

from gateway.commands.failures import Failure, load_settings
from gateway.commands.identity_store import PLACE, told_act, told_failures
from gateway.config import Settings
from gateway.identities import opened_index
from gateway.private_files import write_private
from kms.api.secrets import SecretBytes

PURPOSE: Final = "blob service-key"


@click.command("service-key")
@PLACE
@click.option("--epoch", type=click.IntRange(1, (1 << 32) - 1), help="An older one of the keys.  [default: the newest]")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="A new file, which only its owner may read."
)
def service_key_command(place: Path, *, epoch: int | None, output: Path) -> None:
    """Have the root open the service's key, while the gateway serves or is stopped, and write it to a file.

    It opens every object by SSE-S3, the second layer of every one by DSSE-KMS and the manifests of those by SSE-C:
    remove the file as soon as the objects are open. The audit trail tells that it was taken out.
    """
    settings = load_settings(place)
    with told_failures():
        if output.exists() or output.is_symlink():
            raise Failure(f"{output} exists already")
        found, key = asyncio.run(_service_key(settings, epoch))
        with told_act(settings, "ExportServiceKey", epoch=str(found)):
            write_private(output, f"{key.reveal().hex()}\n")
    click.echo(f"The service's key of epoch {found} is in {output}: remove it after use.", err=True)


async def _service_key(settings: Settings, epoch: int | None) -> tuple[int, SecretBytes]:
    async with opened_index(settings, PURPOSE) as (_, keys):
        wanted = keys.sse_s3.current if epoch is None else epoch
        if wanted not in keys.sse_s3.keys:
            raise Failure(f"there is no epoch {wanted}; the newest is {keys.sse_s3.current}")
        return wanted, keys.sse_s3.keys[wanted]
