"""The two queries of a listing: a plain range, and one that skips from common prefix to common prefix by itself.

A round trip costs more than some rows here. So a page begins with a plain range, and once it met a common prefix, goes
on with a recursive query: each step seeks one key, after the key before or, if that one lies in a common prefix,
after all of that. It needs the least string above the delimiter; a delimiter of 0xFF bytes alone has none and is
listed by plain ranges.

Steps ask for what is in the index alone, so that PostgreSQL need not touch the row behind it; of keys in no common
prefix the row is sought afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Final

from database.connection import Transaction
from gateway.storage.index.listing import Fetch, Listing, Row, key_after_prefix

FIRST_ROWS: Final = 16
"""Of a page with a delimiter. In a folder of many rows all but one are read in vain: with 64 that was a quarter of what
the server did for a page of a hundred such folders."""


@dataclass(frozen=True, slots=True)
class ListingQueries:
    """Parameters: $1 bucket_id, $2 first key, $3 end key, $4 limit; $5 delimiter, $6 prefix length and $7 the least
    string above the delimiter in `skipping`. A `tie` is $5 in `plain` and $8 in `skipping`. Of a row in a common prefix
    `skipping` gives the key and the tie, and NULL for all else."""

    plain: str
    skipping: str


def listing_queries(table: str, columns: str, *, tie: str | None = None, where: str = "TRUE") -> ListingQueries:
    """`tie` is the column that orders rows of one key, if there may be several; positions begin after it."""
    order = "key" if tie is None else f"key, {tie}"

    def rows(selected: str, first: str, limit: str) -> str:
        return f"""
            SELECT {selected} FROM {table} WHERE bucket_id = $1 AND {where} AND {first} AND key < $3
            ORDER BY {order} LIMIT {limit}
        """  # noqa: S608  # constants only

    next_prefix = "substring(step.key FROM 1 FOR $6::integer + step.found - 1) || $7::bytea"
    if tie is None:
        plain, first, same = "key >= $2", "key >= $2", "key = step.key"
        then = f"key >= CASE WHEN step.found > 0 THEN {next_prefix} ELSE step.key || '\\x00'::bytea END"
    else:
        plain, first, same = (
            f"(key, {tie}) > ($2, $5)",
            f"(key, {tie}) > ($2, $8)",
            f"(key, {tie}) = (step.key, step.{tie})",
        )
        then = f"""(key, {tie}) > (CASE WHEN step.found > 0 THEN {next_prefix} ELSE step.key END,
            CASE WHEN step.found > 0 THEN {{before_all}} ELSE step.{tie} END)"""
        then = then.format(before_all="-1" if tie == "vsort" else "''::bytea")
    found = "position($5::bytea IN substring({key} FROM $6::integer + 1))"
    names = [name.strip() for name in columns.split(",")]
    listed = ", ".join(f"{'step' if name in ('key', tie) else 'behind'}.{name}" for name in names)
    # The LIMIT keeps the planner from making a join of it; the condition on the step, which it checks before it seeks.
    skipping = f"""
        WITH RECURSIVE step AS (
            (SELECT start.*, {found.format(key="start.key")} AS found, 1 AS number
            FROM ({rows(order, first, "1")}) AS start)
            UNION ALL
            SELECT next.*, {found.format(key="next.key")}, step.number + 1
            FROM step, LATERAL ({rows(order, then, "1")}) AS next WHERE step.number < $4::bigint
        )
        SELECT {listed} FROM step LEFT JOIN LATERAL (
            SELECT {columns} FROM {table} WHERE bucket_id = $1 AND {where} AND {same} AND step.found = 0 LIMIT 1
        ) AS behind ON TRUE
        ORDER BY number
    """  # noqa: S608  # constants only
    return ListingQueries(rows(columns, plain, "$4"), skipping)


async def run_listing(
    transaction: Transaction,
    queries: ListingQueries,
    pages: Generator[Fetch, Sequence[Row], Listing],
    bucket_id: bytes,
    *,
    position: Callable[[Fetch], tuple[object, ...]],
    prefix: bytes,
    delimiter: bytes,
) -> Listing:
    """A page. `position` gives the first key and, where there is one, the tie."""
    try:
        fetch = next(pages)
        while True:
            key, *tie = position(fetch)
            bounds = (bucket_id, key, fetch.end, fetch.limit)
            if fetch.skips:
                skip = (delimiter, len(prefix), key_after_prefix(delimiter))
                rows = await transaction.rows(queries.skipping, *bounds, *skip, *tie)
            else:
                rows = await transaction.rows(queries.plain, *bounds, *tie)
            fetch = pages.send(rows)
    except StopIteration as stop:
        page: Listing = stop.value
        return page


def can_skip(delimiter: bytes) -> bool:
    return key_after_prefix(delimiter) is not None
