"""The two queries of a listing: a plain range, and one that skips from common prefix to common prefix by itself.

A round trip costs more than some rows here. So a page with a delimiter begins with a recursive query: each step seeks
one key, after the key before or, if that one lies in a common prefix, after all of that. Where some keys in a row lie
in none, this looks like a folder of objects, and the same query goes on with a plain range. Skipping needs the least
string above the delimiter; a delimiter of 0xFF bytes alone has none and is listed by plain ranges.

Steps ask for what is in the index alone, so that PostgreSQL need not touch the row behind it; of keys in no common
prefix the row is sought afterwards. Nor do steps tell the index where the listing ends, but look at what they found:
PostgreSQL compares all that a leaf has beyond the place looked for, and each condition costs its time for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Final

from database.connection import Transaction
from gateway.storage.index.listing import Answer, Fetch, Listing, Row, key_after_prefix

PLAIN_STEPS: Final = 4
"""So many steps in a row that met no common prefix are the last ones. A step costs three times a row of a range."""

PLAIN_ROWS: Final = 60
"""Follow those steps. If a common prefix is among them, the rows after its first one were read in vain."""


@dataclass(frozen=True, slots=True)
class ListingQueries:
    """Parameters: $1 bucket_id, $2 first key, $3 end key, $4 limit; $5 delimiter, $6 prefix length and $7 the least
    string above the delimiter in `skipping`. A `tie` is $5 in `plain` and $8 in `skipping`.

    Of a row in a common prefix that a step met `skipping` gives the key and the tie, and NULL for all else. After all
    columns it has the step's number, NULL in the plain range that follows steps.
    """

    plain: str
    skipping: str


def listing_queries(table: str, columns: str, *, tie: str | None = None, where: str = "TRUE") -> ListingQueries:
    """`tie` is the column that orders rows of one key, if there may be several; positions begin after it."""
    order = "key" if tie is None else f"key, {tie}"

    def rows(selected: str, condition: str, limit: str) -> str:
        return f"""
            SELECT {selected} FROM {table} WHERE bucket_id = $1 AND {where} AND {condition}
            ORDER BY {order} LIMIT {limit}
        """  # noqa: S608  # constants only

    def seek(first: str) -> str:
        return rows(f"{order}, position($5::bytea IN substring(key FROM $6::integer + 1)) AS found", first, "1")

    next_prefix = "substring(step.key FROM 1 FOR $6::integer + step.found - 1) || $7::bytea"
    if tie is None:
        plain, first, same, after = "key >= $2", "key >= $2", "key = step.key", "key > step.key"
        then = f"key >= CASE WHEN step.found > 0 THEN {next_prefix} ELSE step.key || '\\x00'::bytea END"
    else:
        plain, first = f"(key, {tie}) > ($2, $5)", f"(key, {tie}) > ($2, $8)"
        same, after = f"(key, {tie}) = (step.key, step.{tie})", f"(key, {tie}) > (step.key, step.{tie})"
        before_all = "-1" if tie == "vsort" else "''::bytea"
        then = f"""(key, {tie}) > (CASE WHEN step.found > 0 THEN {next_prefix} ELSE step.key END,
            CASE WHEN step.found > 0 THEN {before_all} ELSE step.{tie} END)"""
    names = [name.strip() for name in columns.split(",")]
    listed = ", ".join(f"{'step' if name in ('key', tie) else 'behind'}.{name}" for name in names)
    # The LIMIT keeps the planner from making a join of it; the condition on the step, which it checks before it seeks.
    skipping = f"""
        WITH RECURSIVE step AS (
            (SELECT start.*, 1 AS number, CASE WHEN start.found > 0 THEN 0 ELSE 1 END AS plain
            FROM ({seek(first)}) AS start)
            UNION ALL
            SELECT next.*, step.number + 1, CASE WHEN next.found > 0 THEN 0 ELSE step.plain + 1 END
            FROM step, LATERAL ({seek(then)}) AS next
            WHERE step.number < $4::bigint AND step.plain < {PLAIN_STEPS} AND step.key < $3
        )
        SELECT {listed}, number FROM step LEFT JOIN LATERAL (
            SELECT {columns} FROM {table} WHERE bucket_id = $1 AND {where} AND {same} AND step.found = 0 LIMIT 1
        ) AS behind ON TRUE
        WHERE step.key < $3
        UNION ALL
        SELECT more.*, NULL FROM step, LATERAL (
            {rows(columns, f"{after} AND key < $3", f"LEAST($4::bigint - step.number, {PLAIN_ROWS})")}
        ) AS more
        WHERE step.plain = {PLAIN_STEPS}
        ORDER BY number, {order}
    """  # noqa: S608  # constants only
    return ListingQueries(rows(columns, f"{plain} AND key < $3", "$4"), skipping)


async def run_listing(
    transaction: Transaction,
    queries: ListingQueries,
    pages: Generator[Fetch, Answer, Listing],
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
                found = await transaction.rows(queries.skipping, *bounds, *skip, *tie)
                answer = Answer([row[:-1] for row in found], len(found) < _wanted(found, fetch.limit))
            else:
                rows = await transaction.rows(queries.plain, *bounds, *tie)
                answer = Answer(rows, len(rows) < fetch.limit)
            fetch = pages.send(answer)
    except StopIteration as stop:
        page: Listing = stop.value
        return page


def _wanted(found: Sequence[Row], limit: int) -> int:
    """How many rows `skipping` gives, which found these, unless there are no more."""
    steps = len(found)
    while steps and found[steps - 1][-1] is None:
        steps -= 1
    return limit if steps == len(found) else min(limit, steps + PLAIN_ROWS)


def can_skip(delimiter: bytes) -> bool:
    return key_after_prefix(delimiter) is not None
