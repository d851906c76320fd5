"""`sealgate blob service-key`: the key that opens what the service's key wraps, for `sealgate blob open`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import click

from gateway.commands.failures import Failure, load_settings
from gateway.commands.identity_store import PLACE, told_act, told_failures
from gateway.config import Settings
from gateway.identities import opened_index
from kms.api.secrets import SecretBytes

PURPOSE: Final = "blob service-key"


@click.command("service-key")
@PLACE
@click.option("--epoch", type=click.IntRange(1, (1 << 32) - 1), help="An older one of the keys.  [default: the newest]")
def service_key_command(place: Path, *, epoch: int | None) -> None:
    """Have the root open the service's key, while the gateway serves or is stopped, and write it to a pipe.

    It opens every object by SSE-S3, the second layer of every one by DSSE-KMS and the manifests of those by SSE-C. The
    next program is `sealgate blob open --service-key-file -`, so that the key is on no disk; a terminal gets nothing.
    The audit trail tells that it was taken out.
    """
    settings = load_settings(place)
    if sys.stdout.isatty():
        raise click.UsageError("Standard output is a terminal: pipe it into `sealgate blob open --service-key-file -`.")
    with told_failures():
        found, key = asyncio.run(_service_key(settings, epoch))
        with told_act(settings, "ExportServiceKey", epoch=str(found)):
            sys.stdout.write(f"{key.reveal().hex()}\n")
            sys.stdout.flush()


async def _service_key(settings: Settings, epoch: int | None) -> tuple[int, SecretBytes]:
    async with opened_index(settings, PURPOSE) as (_, keys):
        wanted = keys.sse_s3.current if epoch is None else epoch
        if wanted not in keys.sse_s3.keys:
            raise Failure(f"there is no epoch {wanted}; the newest is {keys.sse_s3.current}")
        return wanted, keys.sse_s3.keys[wanted]
