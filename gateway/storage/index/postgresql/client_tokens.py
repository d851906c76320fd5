"""Client tokens of requests that took effect. Functions for use inside a transaction, and for reading."""

from __future__ import annotations

from typing import Final

from database.connection import Database, Transaction
from gateway.storage.errors import Conflict
from gateway.storage.index.records import ClientToken

REMEMBERED_US: Final = 24 * 3600 * 1_000_000
"""SDKs repeat a request for minutes at most."""

_FORGOTTEN_AT_ONCE: Final = 100
"""More than one request adds, so that the table shrinks; few enough for a transaction that others wait for."""

_USED = "SELECT request FROM client_token WHERE bucket_id = $1 AND token = $2 AND used_us > $3"
# Whoever uses a token that another transaction uses waits here for its end, and finds the row, or not.
_USE = """
    INSERT INTO client_token AS present (bucket_id, token, request, used_us) VALUES ($1, $2, $3, $4)
    ON CONFLICT (bucket_id, token) DO UPDATE SET request = excluded.request, used_us = excluded.used_us
    WHERE present.used_us <= $5
"""
_FORGET = """
    DELETE FROM client_token WHERE (bucket_id, token) IN (
        SELECT bucket_id, token FROM client_token WHERE used_us <= $1 ORDER BY used_us LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""


async def request_of_token(database: Database, bucket_id: bytes, token: str, now_us: int) -> bytes | None:
    if "\0" in token:
        return None  # TEXT cannot hold it, so no row has it
    found = await database.row(_USED, bucket_id, token, now_us - REMEMBERED_US)
    return None if found is None else bytes(found[0])


async def use_token(transaction: Transaction, bucket_id: bytes, token: ClientToken, now_us: int) -> None:
    """Remember it. Raises Conflict for a token that was used meanwhile."""
    forgotten_us = now_us - REMEMBERED_US
    await transaction.change(_FORGET, forgotten_us, _FORGOTTEN_AT_ONCE)
    if not await transaction.change(_USE, bucket_id, token.token, token.request, now_us, forgotten_us):
        raise Conflict("the client token was used meanwhile")
