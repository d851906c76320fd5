"""Which errors speak of the database and of the way to it, and which are faults of this program.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

_DAMAGED: Final = frozenset({"XX001", "XX002"})
"""data_corrupted, index_corrupted."""

_REPEATABLE: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: nothing was changed, and the same transaction may succeed."""

_UNKNOWN_COMPLETION: Final = "40003"

# Classes: connection, authorization, rollback, resources, limits of the server, operator intervention, system error,
# configuration, internal error. Codes: the database, the schema or a table is missing, a privilege, a lock that was
# not to be had, a standby, a transaction that idled too long.
_UNAVAILABLE_CLASSES: Final = frozenset({"08", "28", "40", "53", "54", "57", "58", "F0", "XX"})
_UNAVAILABLE: Final = frozenset({"3D000", "3F000", "42P01", "42501", "55P03", "25006", "25P03"})


def code_of(error: BaseException) -> str:
    """The SQLSTATE, "" for what the server did not say."""
    return str(getattr(error, "sqlstate", None) or "")


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection broke or was closed by either side, or could not be made."""
    if isinstance(error, (OSError, asyncpg.InternalClientError)):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, asyncpg.DataError)  # "connection is closed", "pool is closing"
    return code_of(error)[:2] == "08" or code_of(error) in {"57P01", "57P02", "57P03"}


def is_repeatable(error: BaseException) -> bool:
    """Whether the same transaction may be tried again: it was rolled back, or never reached its COMMIT."""
    return code_of(error) in _REPEATABLE or is_connection_lost(error)


def is_commit_unknown(error: BaseException) -> bool:
    """Of an error in COMMIT: whether the transaction may have happened."""
    return is_connection_lost(error) or isinstance(error, TimeoutError) or code_of(error) == _UNKNOWN_COMPLETION


@dataclass(frozen=True, slots=True)
class StoreErrors:
    """What a store raises in place of the driver's errors. `what` is what its messages begin with.

    `unavailable`: nothing was changed, and trying again later may help. `unknown`: the database was lost in a commit,
    which may have happened. `damaged`: the database says that what it holds is.
    """

    what: str
    unavailable: type[Exception]
    unknown: type[Exception]
    damaged: type[Exception]

    def translated(self, error: Exception) -> Exception:
        """`error` itself, or what it amounts to, the cause kept for the log."""
        code = code_of(error)
        made: Exception
        if code in _DAMAGED:
            made = self.damaged(f"{self.what}: {type(error).__name__} {code}: {getattr(error, 'message', None)}")
        elif is_connection_lost(error) or code[:2] in _UNAVAILABLE_CLASSES or code in _UNAVAILABLE:
            told = getattr(error, "message", None) or error
            made = self.unavailable(f"{self.what}: {type(error).__name__} {code}: {told}")
        else:
            return error
        made.__cause__ = error
        return made

    def refused(self, error: Exception) -> Exception:
        """What opening raises: whatever the database says against it, it is not available."""
        known = self.translated(error)
        if known is not error or not isinstance(error, (asyncpg.PostgresError, ValueError)):
            return known
        return self.unavailable(f"{self.what}: {type(error).__name__}: {error}")
