"""What the identity store shares, and by which names."""

from __future__ import annotations

from typing import Final

from database.errors import StoreErrors
from database.schema import Migrations
from database.shared.sharing import Sharing
from iam.store.database import newest_schema, open_database
from iam.store.interface import OutcomeUnknown, StoreUnavailable

ERRORS: Final = StoreErrors("identities", StoreUnavailable, OutcomeUnknown, StoreUnavailable)
MIGRATIONS: Final = Migrations("iam.store.postgresql.migrations", "identity_migration")
SHARING: Final = Sharing(
    name="identity",
    errors=ERRORS,
    migrations=MIGRATIONS,
    open_copy=open_database,
    newest_schema=newest_schema(),
)
