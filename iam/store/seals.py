"""What of the identity database has seals (database/row_seals.py): who can write it cannot make it give anybody a right
that nobody gave. Format: docs/formats/identity-row.md."""

from __future__ import annotations

from typing import Final

from database.row_seals import RowSeals, SealedSchema, SealedTable
from iam.store.interface import DamagedRow, SealsNotOpen

_TABLES: Final = {
    "account": SealedTable(
        "intact_account",
        (
            *("account_id", "canonical_id", "display_name", "created_us", "email", "is_active", "is_management"),
            *("public_access_block", "alias"),
        ),
        ("account_id",),
    ),
    "account_request": SealedTable(
        "intact_account_request",
        ("request_id", "account_name", "requested_us", "account_id", "failure"),
        ("request_id",),
    ),
    "access_key": SealedTable(
        "intact_access_key",
        ("access_key_id", "account_id", "sealed_secret", "is_active", "created_us", "user_id", "is_configured"),
        ("access_key_id",),
    ),
    "entity": SealedTable(
        "intact_entity",
        ("entity_id", "kind", "account_id", "name", "path", "created_us", "tags", "boundary_arn"),
        ("entity_id",),
    ),
    "role": SealedTable(
        "intact_role",
        ("role_id", "trust_policy", "description", "max_session_seconds", "used_us", "used_region"),
        ("role_id",),
    ),
    "membership": SealedTable("intact_membership", ("group_id", "user_id"), ("group_id", "user_id")),
    "inline_policy": SealedTable("intact_inline_policy", ("entity_id", "name", "document"), ("entity_id", "name")),
    "attachment": SealedTable("intact_attachment", ("entity_id", "policy_arn"), ("entity_id", "policy_arn")),
    "policy": SealedTable(
        "intact_policy",
        (
            *("policy_id", "account_id", "name", "path", "description", "created_us", "updated_us"),
            *("default_version", "last_version", "tags"),
        ),
        ("policy_id",),
    ),
    "policy_version": SealedTable(
        "intact_policy_version", ("policy_id", "number", "document", "created_us"), ("policy_id", "number")
    ),
    "oidc_provider": SealedTable(
        "intact_oidc_provider",
        ("account_id", "name", "url", "created_us", "client_ids", "thumbprints", "tags"),
        ("account_id", "name"),
    ),
}

_TEXTS: Final = frozenset(
    {
        *("account_id", "canonical_id", "display_name", "email", "public_access_block", "alias", "request_id"),
        *("account_name", "failure", "access_key_id", "user_id", "entity_id", "kind", "name", "path", "tags"),
        *("boundary_arn", "role_id", "trust_policy", "description", "used_region", "group_id", "document"),
        *("policy_arn", "policy_id", "url", "client_ids", "thumbprints"),
    }
)

SEALED: Final = SealedSchema(b"sealgate/v1/identity-row", _TABLES, _TEXTS)


def new_seals() -> RowSeals:
    """For one store; not open yet."""
    return RowSeals(
        SEALED,
        damaged=lambda row: DamagedRow(f"the row {row} of the identity database is not as a gateway wrote it"),
        not_open=SealsNotOpen,
    )
