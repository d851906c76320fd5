"""The index on PostgreSQL: the conformance suite, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.storage.index.interface import Index
from gateway.storage.index.postgresql import PostgreSQLIndex, open_postgresql_index
from tests.conformance.index import Clock, IndexSuite
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

_SCHEMA = "conformance"
_TABLES = ("object_version", "object_parts", "blob", "multipart_upload", "bucket", "key_epoch", "job", "client_token")


async def open_empty_index(clock: Clock) -> PostgreSQLIndex:
    """Making the schema anew for every test, or truncating tables, would take longer than the tests."""
    index = await open_postgresql_index(shared_postgresql().url, schema=_SCHEMA, durable=False, clock_us=clock)
    await index._database.write(lambda t: t.run(";".join(f"DELETE FROM {table}" for table in (*_TABLES, "bucket_key"))))
    return index


class TestPostgreSQLIndex(IndexSuite):
    MANY_PARTS = 2_000

    @pytest.fixture
    async def index(self, clock: Clock) -> AsyncIterator[Index]:
        index = await open_empty_index(clock)
        yield index
        await index.close()
