"""All that work on stored objects needs, for commands: beside a gateway that serves, or without one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click

from gateway.blob_stores import open_blob_store
from gateway.bucket_key_store import open_bucket_keys
from gateway.commands.terminal import printable
from gateway.config import Settings
from gateway.identities import key_service
from gateway.index_stores import open_index
from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.data_keys import DataKeys
from gateway.service_keys import open_service_keys
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.interface import Index
from kms.api.service import KeyService
from kms.epoch import SharedEpoch


@dataclass(frozen=True, slots=True)
class OpenedStores:
    """`owner` is unique among running processes."""

    index: Index
    blobs: BlobStore
    owner: str


@dataclass(frozen=True, slots=True)
class OpenedKeys:
    kms: KeyService
    rows: SealedRows
    data_keys: DataKeys


@contextlib.asynccontextmanager
async def opened_stores(settings: Settings) -> AsyncIterator[OpenedStores]:
    """Index and blobs, which takes no key. Raises StorageUnavailable."""
    instance = f"command-{os.getpid()}"
    async with contextlib.AsyncExitStack() as ending:
        index = await open_index(settings)
        ending.push_async_callback(index.close)
        blobs = open_blob_store(settings, instance)
        ending.push_async_callback(blobs.close)
        yield OpenedStores(index, blobs, f"{instance}-{time.time_ns()}")


@contextlib.asynccontextmanager
async def opened_keys(settings: Settings, index: Index, *, request_id: str) -> AsyncIterator[OpenedKeys]:
    """The KMS, and what opens rows and data keys; `request_id` names the command in the audit trail.

    Raises what `open_service_keys` raises, RootError, StoreError, OSError.
    """
    async with contextlib.AsyncExitStack() as ending:
        kms = await ending.enter_async_context(key_service(settings))
        keys = await open_service_keys(kms, index, request_id=request_id)
        rows = SealedRows(keys.rows)
        epoch = SharedEpoch.open_reader(settings.epoch_path)
        ending.callback(epoch.close)
        bucket_keys = open_bucket_keys(
            settings.kms, kms, index, rows, epoch=lambda: epoch.value, integrity_event=print_integrity_event
        )
        ending.callback(bucket_keys.close)
        yield OpenedKeys(kms, rows, DataKeys(kms, keys.sse_s3, bucket_keys))


def print_integrity_event(kind: str, detail: str) -> None:
    """On standard error, at once: what a command then says of it in its report is less."""
    click.echo(printable(f"integrity event: {kind} {detail}"), err=True)
