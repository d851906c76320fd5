"""What of the key store has seals (database/row_seals.py): who can write it cannot make it say of a key what no key
service said. Format: docs/formats/key-store-row.md.

Rows of `kms_key_version` whose key is SEAL_KEY_ID have no seal: one of them is the seal key itself, and the root
authenticates its record.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from database.row_seals import RowSeals, SealedSchema, SealedTable, read_by_seals
from kms.store.interface import DamagedRow, SealsNotOpen

SEAL_KEY_ID: Final = "00000000-0000-0000-0000-000000000000"
"""The key whose version 1 is the seal key; no UUID of a KMS key is nil (RFC 9562, section 5.9)."""

_TABLES: Final = {
    "kms_key": SealedTable(
        "intact_key",
        (
            *("sequence", "key_id", "account_id", "region", "created_us", "state", "deletion_us", "destroyed_us"),
            *("description", "manager", "key_spec", "key_usage", "origin", "multi_region", "tags", "current_version"),
            *("policy", "protection", "primary_region", "pending_window_days", "rotation_period_days"),
            "next_rotation_us",
        ),
        ("sequence",),
    ),
    "kms_key_version": SealedTable(
        "intact_version",
        (
            *("key_id", "version", "material_id", "record", "created_us", "rotated_us", "rotation_type"),
            *("valid_to_us", "description", "material_check"),
        ),
        ("key_id", "version"),
        f"({{row}}.key_id = '{SEAL_KEY_ID}')",
    ),
    "kms_alias": SealedTable(
        "intact_alias",
        ("account_id", "region", "name", "key_id", "created_us", "updated_us"),
        ("account_id", "region", "name"),
    ),
    "kms_grant": SealedTable(
        "intact_grant",
        (
            *("sequence", "grant_id", "key_id", "region", "grantee_principal", "retiring_principal"),
            *("issuing_account_id", "name", "operations", "constraints", "created_us", "token_key"),
        ),
        ("sequence",),
    ),
}

_TEXTS: Final = frozenset(
    {
        *("key_id", "account_id", "region", "state", "description", "manager", "key_spec", "key_usage", "origin"),
        *("tags", "policy", "protection", "primary_region", "material_id", "rotation_type", "name", "grant_id"),
        *("grantee_principal", "retiring_principal", "issuing_account_id", "operations", "constraints"),
    }
)
SEALED: Final = SealedSchema(b"sealgate/v1/key-store-row", _TABLES, _TEXTS)

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


def new_seals() -> RowSeals:
    """For one store; not open yet."""
    return RowSeals(
        SEALED,
        damaged=lambda row: DamagedRow(f"the row {row} is not as a key service wrote it"),
        not_open=SealsNotOpen,
    )


def read_keys_by_seals(connection: sqlite3.Connection, seals: RowSeals) -> None:
    """Give the connection the views `intact_…`, and `intact_key_row`."""
    read_by_seals(connection, seals)
    connection.execute(_KEY_ROW)
