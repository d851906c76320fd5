"""What tests of a gateway in process set and look at beneath its API: copies that share, and what a sweep leaves."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec

from gateway.operations.bucket.configuration import alter_document
from gateway.storage.sweep import Sweeper
from tests.gateway.gateway_in_process import InProcessGateway

LATER_US = 10 * 86_400 * 1_000_000
"""After every grace period of a sweep."""


def index_path(gateway: InProcessGateway) -> Path:
    return gateway.blobs_directory.with_name("index.sqlite")


async def let_copies_share(gateway: InProcessGateway, bucket: str, shares: bool) -> None:
    """As `sealgate bucket update --copy` does."""
    says = "share" if shares else "reencrypt"
    row = await gateway.index.get_bucket(bucket)
    await alter_document(
        gateway.index, gateway.services.rows, row, lambda document: msgspec.structs.replace(document, copy=says)
    )


async def check_nothing_is_left(gateway: InProcessGateway, *, may_have_orphans: bool = False) -> None:
    """A sweep once all is deleted leaves neither rows nor bytes, and nothing was damaged on the way.

    Orphans are blobs in files that never had a row.
    """
    now_us = time.time_ns() // 1000 + LATER_US
    sweeper = Sweeper(gateway.index, gateway.services.blobs, "test", clock_us=lambda: now_us)
    assert (await sweeper.sweep()).orphans == 0 or may_have_orphans
    assert [path for path in gateway.blobs_directory.rglob("*") if path.is_file()] == []
    with closing(sqlite3.connect(index_path(gateway))) as index:
        for table in ("blob", "inline_blob", "object_version", "object_parts", "multipart_upload", "multipart_part"):
            assert index.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert gateway.events == []
