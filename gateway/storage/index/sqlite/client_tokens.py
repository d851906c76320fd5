"""Client tokens of requests that took effect. Functions for use inside a transaction, and for reading."""

from __future__ import annotations

import sqlite3
from typing import Final

from gateway.storage.errors import Conflict
from gateway.storage.index.records import ClientToken
from gateway.storage.index.sqlite.connection import Database

REMEMBERED_US: Final = 24 * 3600 * 1_000_000
"""SDKs repeat a request for minutes at most."""

_FORGOTTEN_AT_ONCE = 100
"""More than one request adds, so that the table shrinks; few enough for a transaction that others wait for."""

_USED = "SELECT request FROM client_token WHERE bucket_id = ? AND token = ? AND used_us > ?"
_USE = """
    INSERT INTO client_token (bucket_id, token, request, used_us) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_FORGET = """
    DELETE FROM client_token WHERE token_no IN (SELECT token_no FROM client_token WHERE used_us <= ? LIMIT ?)
"""


def request_of_token(database: Database, bucket_id: bytes, token: str, now_us: int) -> bytes | None:
    found = database.row(_USED, (bucket_id, token, now_us - REMEMBERED_US))
    return None if found is None else bytes(found[0])


def use_token(connection: sqlite3.Connection, bucket_id: bytes, token: ClientToken, now_us: int) -> None:
    """Remember it. Raises Conflict for a token that was used meanwhile."""
    connection.execute(_FORGET, (now_us - REMEMBERED_US, _FORGOTTEN_AT_ONCE))
    connection.execute(
        "DELETE FROM client_token WHERE bucket_id = ? AND token = ? AND used_us <= ?",
        (bucket_id, token.token, now_us - REMEMBERED_US),
    )
    if not connection.execute(_USE, (bucket_id, token.token, token.request, now_us)).rowcount:
        raise Conflict("the client token was used meanwhile")
