"""The first contents of a key store: which root its records belong to, and the gateway's own key.

For `sealgate init`, which runs before any key process. Blocks.
"""

from __future__ import annotations

from pathlib import Path

from kms.hsm.interface import Root
from kms.service.core import now_us
from kms.service.predefined import make_service_key
from kms.service.row_seals import begin_seals
from kms.store.interface import ROOT_CHECK_VALUE, StoreError
from kms.store.opening import KeyDatabase, open_key_store


class AnotherRoot(StoreError):
    """The store was made with another root: its records would be lost if this one took its place."""


def initialise_key_store(
    path: Path, root: Root, *, region: str, check_value: bytes, database: KeyDatabase | None = None
) -> None:
    """Make the key store at `path`, or in `database`: remember the root's `check_value`, make the service key.

    Twice is the same as once. Raises RootError, StoreError, and AnotherRoot, which leaves the store as it was.
    """
    store = open_key_store(path, database)
    try:
        where = path if database is None else f"in schema {database.schema} of the database"
        if store.meta(ROOT_CHECK_VALUE) not in {None, check_value}:
            raise AnotherRoot(f"the key store {where} belongs to another root, whose keys this one cannot open")
        store.set_meta(ROOT_CHECK_VALUE, check_value)
        begin_seals(store, root, now_us=now_us())
        make_service_key(store, root, region=region, created_us=now_us())
    finally:
        store.close()
