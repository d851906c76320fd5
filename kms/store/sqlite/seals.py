"""The seals of rows: who can write the database cannot make it say of a key what no key service said.

    seal = 01 ‖ HMAC-SHA256(seal key, "sealgate/v1/key-store-row" ‖ MessagePack [table, column, column, …])

with texts as the bytes of their UTF-8.

Every connection has triggers and views of its own, in SQLite's temporary schema, which nobody can change by changing
the file. The triggers of the one that writes seal what it inserts and updates, and refuse to update a row whose seal is
wrong: it would be made good by that. Everybody reads by the views `intact_…`, which refuse such a row. What writes
names tables, what reads names views. Format: docs/formats/key-store-row.md.

Rows of `kms_key_version` whose key is SEAL_KEY_ID have no seal: one of them is the seal key itself, and the root
authenticates its record.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Never

import msgspec

from kms.api.secrets import SecretBytes
from kms.store.interface import DamagedRow, SealsNotOpen, StoreUnavailable

SEAL_KEY_ID: Final = "00000000-0000-0000-0000-000000000000"
"""The key whose version 1 is the seal key; no UUID of a KMS key is nil (RFC 9562, section 5.9)."""

MAX_DAMAGED: Final = 1000
"""Of one table, whose damaged rows are named."""

_LABEL: Final = b"sealgate/v1/key-store-row"
_VERSION: Final = b"\x01"

_encode = msgspec.msgpack.Encoder().encode

Value = int | bytes | None


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A table whose rows have seals: its view, its columns in the order of the format, and its primary key."""

    view: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    exempt: str = "0"
    """SQL for whether a row has no seal; `{row}` is how its columns are qualified."""

    def of(self, row: str) -> str:
        """The columns of `row` (NEW, OLD, or the table's name), texts as their bytes: damaged ones may be none."""
        return ", ".join(
            f"CAST({row}.{column} AS BLOB)" if column in TEXTS else f"{row}.{column}" for column in self.columns
        )

    def is_exempt(self, row: str) -> str:
        return self.exempt.format(row=row)


SEALED: Final[Mapping[str, _Sealed]] = {
    "kms_key": _Sealed(
        "intact_key",
        (
            *("sequence", "key_id", "account_id", "region", "created_us", "state", "deletion_us", "destroyed_us"),
            *("description", "manager", "key_spec", "key_usage", "origin", "multi_region", "tags", "current_version"),
            *("policy", "protection", "primary_region", "pending_window_days", "rotation_period_days"),
            "next_rotation_us",
        ),
        ("sequence",),
    ),
    "kms_key_version": _Sealed(
        "intact_version",
        (
            *("key_id", "version", "material_id", "record", "created_us", "rotated_us", "rotation_type"),
            *("valid_to_us", "description", "material_check"),
        ),
        ("key_id", "version"),
        f"({{row}}.key_id = '{SEAL_KEY_ID}')",
    ),
    "kms_alias": _Sealed(
        "intact_alias",
        ("account_id", "region", "name", "key_id", "created_us", "updated_us"),
        ("account_id", "region", "name"),
    ),
    "kms_grant": _Sealed(
        "intact_grant",
        (
            *("sequence", "grant_id", "key_id", "region", "grantee_principal", "retiring_principal"),
            *("issuing_account_id", "name", "operations", "constraints", "created_us", "token_key"),
        ),
        ("sequence",),
    ),
}

TEXTS: Final = frozenset(
    {
        *("key_id", "account_id", "region", "state", "description", "manager", "key_spec", "key_usage", "origin"),
        *("tags", "policy", "protection", "primary_region", "material_id", "rotation_type", "name", "grant_id"),
        *("grantee_principal", "retiring_principal", "issuing_account_id", "operations", "constraints"),
    }
)
"""The columns that are TEXT, in whichever table."""

_KEY_ROW = """
CREATE TEMP VIEW intact_key_row AS
SELECT
    k.sequence, k.key_id, k.account_id, k.region, k.created_us, k.state, k.deletion_us, k.destroyed_us, k.description,
    k.manager, k.key_spec, k.key_usage, k.origin, k.multi_region, k.tags, k.current_version,
    (
        SELECT v.material_id FROM intact_version v WHERE v.key_id = k.key_id AND v.version = k.current_version
    ) AS material_id,
    k.policy, k.protection, k.primary_region, k.pending_window_days, k.rotation_period_days, k.next_rotation_us,
    CASE WHEN k.origin = 'EXTERNAL' THEN (
        SELECT v.valid_to_us FROM intact_version v WHERE v.key_id = k.key_id AND v.version = k.current_version
    ) END AS valid_to_us,
    CASE WHEN k.multi_region THEN (
        SELECT json_group_array(r.region) FROM intact_key r
        WHERE r.key_id = k.key_id AND r.region <> k.primary_region AND r.destroyed_us IS NULL
    ) END AS replica_regions,
    -- Only imported material waits for its rotation above the current version.
    CASE WHEN k.origin = 'EXTERNAL'
        THEN coalesce((SELECT max(n.version) FROM intact_version n WHERE n.key_id = k.key_id), 0)
        ELSE coalesce((
            SELECT v.version FROM intact_version v WHERE v.key_id = k.key_id AND v.version = k.current_version
        ), 0)
    END AS newest_version,
    -- Of imported material: when the first of the versions in use expires, and whether one of them is missing.
    CASE WHEN k.origin = 'EXTERNAL' THEN (
        SELECT min(e.valid_to_us) FROM intact_version e
        WHERE e.key_id = k.key_id AND e.version <= k.current_version AND e.record IS NOT NULL
    ) END AS material_ends_us,
    k.origin = 'EXTERNAL' AND (
        NOT EXISTS (
            SELECT 1 FROM intact_version v
            WHERE v.key_id = k.key_id AND v.version = k.current_version AND v.record IS NOT NULL
        ) OR EXISTS (
            SELECT 1 FROM intact_version m
            WHERE m.key_id = k.key_id AND m.version < k.current_version AND m.record IS NULL
        )
    ) AS lacks_material
FROM intact_key k
"""
"""A key as it is read: with its current material, and the other regions of a multi-Region key."""


class RowSeals:
    """The seal key, once it was opened, and what SQL asks of it; for the connections of one store, in any thread."""

    def __init__(self) -> None:
        self._key: SecretBytes | None = None
        self._first_key: SecretBytes | None = None
        self._is_trusting = False
        self._failure = threading.local()

    @property
    def are_open(self) -> bool:
        return self._key is not None

    def open(self, key: SecretBytes) -> None:
        """From now on rows are proven, and can be written."""
        self._key = key

    @contextmanager
    def sealing_by(self, key: SecretBytes) -> Iterator[None]:
        """Seal by this key inside, though nothing can be read yet: what is there has no seals."""
        self._first_key = key
        try:
            yield
        finally:
            self._first_key = None

    def trust(self) -> None:
        """From now on rows are read as they are, without proof, until `open`. They cannot be written."""
        self._is_trusting = True

    def seal(self, table: str, *values: Value) -> bytes:
        """Raises SealsNotOpen."""
        return _seal(self._key or self._first_key or self._not_open(), table, values)

    def is_intact(self, table: str, seal: Value, *values: Value) -> int:
        """1; raises DamagedRow, SealsNotOpen."""
        if not (self._key is None and self._is_trusting) and not self.has_right_seal(table, seal, *values):
            raise self._failed(DamagedRow(f"a row of {table} is not as a key service wrote it"))
        return 1

    def has_right_seal(self, table: str, seal: Value, *values: Value) -> int:
        """1 or 0. Raises SealsNotOpen."""
        right = _seal(self._key or self._not_open(), table, values)
        return isinstance(seal, bytes) and hmac.compare_digest(seal, right)

    def take_failure(self) -> StoreUnavailable | None:
        """Why a statement of this thread failed, if it was for a seal: SQLite only says that it did."""
        failure: StoreUnavailable | None = getattr(self._failure, "value", None)
        self._failure.value = None
        return failure

    def _not_open(self) -> Never:
        raise self._failed(SealsNotOpen())

    def _failed(self, failure: StoreUnavailable) -> StoreUnavailable:
        self._failure.value = failure
        return failure


def _seal(key: SecretBytes, table: str, values: Sequence[Value]) -> bytes:
    return _VERSION + hmac.digest(key.reveal(), _LABEL + _encode((table, *values)), "sha256")


def read_by_seals(connection: sqlite3.Connection, seals: RowSeals) -> None:
    """Give the connection the views `intact_…`."""
    connection.create_function("is_intact", -1, seals.is_intact)
    for table, sealed in SEALED.items():
        # The row is looked up a second time to be proven. SQLite puts what a query compares a column with in the
        # column's place, everywhere in its WHERE clause, and would ask about a row that is not there.
        connection.execute(
            f"CREATE TEMP VIEW {sealed.view} AS SELECT {', '.join(f'found.{column}' for column in sealed.columns)}"  # noqa: S608
            f" FROM main.{table} found CROSS JOIN main.{table} proven"
            f" ON {' AND '.join(f'proven.{column} = found.{column}' for column in sealed.key)}"
            f" WHERE NOT {sealed.is_exempt('found')} AND is_intact('{table}', proven.seal, {sealed.of('proven')})"
        )
    connection.execute(_KEY_ROW)


def write_with_seals(connection: sqlite3.Connection, seals: RowSeals) -> None:
    """Have the connection seal what it writes, besides `read_by_seals`."""
    connection.create_function("seal_of", -1, seals.seal)
    for table, sealed in SEALED.items():
        columns = ", ".join(sealed.columns)
        for event in ("INSERT", f"UPDATE OF {columns}"):
            connection.execute(
                f"CREATE TEMP TRIGGER seal_{event[:6]}_{table} AFTER {event} ON main.{table}"  # noqa: S608 - our own
                f" WHEN NOT {sealed.is_exempt('NEW')} BEGIN UPDATE {table} SET {_seal_of(table, 'NEW')}"
                f" WHERE {' AND '.join(f'{column} = NEW.{column}' for column in sealed.key)}; END"
            )
        connection.execute(
            f"CREATE TEMP TRIGGER prove_{table} BEFORE UPDATE OF {columns} ON main.{table}"
            f" WHEN NOT {sealed.is_exempt('OLD')}"
            f" BEGIN SELECT is_intact('{table}', OLD.seal, {sealed.of('OLD')}); END"
        )


def seal_as_they_are(connection: sqlite3.Connection) -> None:
    """Seal every row of a connection that writes, whatever it says: in a transaction of the caller's."""
    for table, sealed in SEALED.items():
        connection.execute(
            f"UPDATE main.{table} SET {_seal_of(table, table)} WHERE NOT {sealed.is_exempt(table)}"  # noqa: S608
        )


def damaged_rows(connection: sqlite3.Connection, seals: RowSeals) -> list[str]:
    """The table and key of every row whose seal is wrong, up to MAX_DAMAGED of each table; on a connection for this."""
    connection.create_function("has_right_seal", -1, seals.has_right_seal)
    found = []
    for table, sealed in SEALED.items():
        key = ", ".join(f"CAST({column} AS BLOB)" for column in sealed.key)
        rows = connection.execute(
            f"SELECT {key} FROM main.{table} WHERE NOT {sealed.is_exempt(table)}"  # noqa: S608 - our own
            f" AND NOT has_right_seal('{table}', seal, {sealed.of(table)}) LIMIT {MAX_DAMAGED}"
        )
        found += [f"{table} {' '.join(value.decode(errors='replace') for value in row)}" for row in rows]
    return found


def _seal_of(table: str, row: str) -> str:
    return f"seal = seal_of('{table}', {SEALED[table].of(row)})"
