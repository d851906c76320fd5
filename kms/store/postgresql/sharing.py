"""What the key store shares, and by which names."""

from __future__ import annotations

from typing import Final

from database.errors import StoreErrors
from database.schema import Migrations
from database.shared.sharing import Sharing
from kms.store.interface import OutcomeUnknown, StoreUnavailable
from kms.store.migration import migrations
from kms.store.sqlite.database import open_writer

ERRORS: Final = StoreErrors("key store", StoreUnavailable, OutcomeUnknown, StoreUnavailable)
MIGRATIONS: Final = Migrations("kms.store.postgresql.migrations", "kms_migration")
SHARING: Final = Sharing(
    name="kms",
    errors=ERRORS,
    migrations=MIGRATIONS,
    open_copy=open_writer,
    newest_schema=migrations()[-1][0],
    # Written by every node now and then. No decision rests on them.
    quiet=frozenset({"kms_key_usage", "kms_usage_tracking", "kms_act", "kms_job"}),
)
