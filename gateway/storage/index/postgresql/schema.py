"""The index's schema on PostgreSQL: where its migrations are, and what it raises in place of the driver's errors."""

from __future__ import annotations

from typing import Final

from database.errors import StoreErrors
from database.schema import Migrations
from gateway.storage.errors import OutcomeUnknown, RowDamaged, StorageUnavailable

MIGRATIONS: Final = Migrations("gateway.storage.index.postgresql.migrations", "schema_migration")
ERRORS: Final = StoreErrors("index", StorageUnavailable, OutcomeUnknown, RowDamaged)
