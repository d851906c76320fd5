"""Where the seals of a key store's rows come from: their key is a record like any, which the root alone opens.

Whoever can write the database can take the record away, and every seal, and leave rows as a release before seals left
them. So whether there must be seals is not asked of the database, but of the root: the check value, which it made, says
so. Rows without seals are sealed as they are once, under a check value of such a release, which is replaced with it.

Blocks; the root may take its time.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from kms.api.secrets import SecretBytes
from kms.hsm.check_value import make_check_value, tells_of_seals
from kms.hsm.interface import Root
from kms.keys.wrapping import make_record, open_record
from kms.store.interface import ROOT_CHECK_VALUE, DamagedRow, KeyConflict, KeyStore

_ID: Final = UUID(int=0)
_VERSION: Final = 1
_ATTEMPTS: Final = 8
"""While other processes do the same, or the root is rotated meanwhile."""


def begin_seals(store: KeyStore, root: Root, *, now_us: int) -> None:
    """Have a new, empty store seal what will be written to it; twice is the same as once.

    Raises RootError, StoreError.
    """
    if store.seal_key_record() is None:
        store.begin_seals(make_record(root, _ID, _VERSION, created_us=now_us))
    open_seals(store, root, now_us=now_us)


def open_seals(store: KeyStore, root: Root, *, now_us: int) -> None:
    """Have the root open the store's seal key, so that rows can be proven and written.

    Rows of an earlier release get their seals. Raises DamagedRow when the seal key is gone, UnwrapFailed when its
    record was changed, other RootErrors, StoreError.
    """
    for _ in range(_ATTEMPTS):
        try:
            _open(store, root, now_us)
        except KeyConflict as error:
            conflict = error
        else:
            return
    raise conflict


def _open(store: KeyStore, root: Root, now_us: int) -> None:
    record, check_value = store.seal_key_record(), store.meta(ROOT_CHECK_VALUE)
    current = root.holding(root.identity.root_id)  # the same one, also if another takes its place meanwhile
    has_seals = check_value is None or tells_of_seals(current, check_value)
    if record is not None:
        store.open_seals(_opened(root, record))
        if check_value is not None and not has_seals:
            store.replace_check_value(check_value, make_check_value(current))
    elif has_seals:
        raise DamagedRow("the record of the seal key is gone, without which no row can be told from a forged one")
    else:
        assert check_value is not None
        record = make_record(root, _ID, _VERSION, created_us=now_us)
        store.seal_older_rows(
            record,
            _opened(root, record),
            expected_check_value=check_value,
            check_value=make_check_value(current),
        )


def _opened(root: Root, record: bytes) -> SecretBytes:
    return open_record(root, record, _ID, _VERSION)
