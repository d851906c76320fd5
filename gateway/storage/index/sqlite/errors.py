"""Which of SQLite's errors speak of the database or of what is in it, and which are faults of this program."""

from __future__ import annotations

import sqlite3

from gateway.storage.errors import OutcomeUnknown, RowDamaged, StorageUnavailable

# SQLite's primary result codes (https://www.sqlite.org/rescode.html) that speak of the machine, not of the statement.
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


def is_unavailable(error: BaseException) -> bool:
    """Whether `error` says that the database cannot serve; the low byte of an extended code is the primary one."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _UNAVAILABLE


def translated(error: Exception) -> Exception:
    """`error` itself, or the StorageUnavailable or RowDamaged that it amounts to, the cause kept for the log."""
    if _is_no_text(error):
        damaged = RowDamaged(f"index: {error}")
        damaged.__cause__ = error
        return damaged
    if not is_unavailable(error):
        return error
    unavailable = StorageUnavailable(f"index: {getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}: {error}")
    unavailable.__cause__ = error
    return unavailable


def translated_in_commit(error: Exception) -> Exception:
    """As `translated`, of an error of COMMIT, after which nobody knows whether a crash would bring the writes back."""
    found = StorageUnavailable("index: out of memory") if isinstance(error, MemoryError) else translated(error)
    if not isinstance(found, StorageUnavailable) or is_busy(error):
        return found
    unknown = OutcomeUnknown(str(found))
    unknown.__cause__ = error
    return unknown


def is_busy(error: BaseException) -> bool:
    """Whether another connection has the lock: nothing was written then."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_no_text(error: Exception) -> bool:
    """Whether a TEXT column held bytes that are no UTF-8: the module's own error, which has no code of SQLite's."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode to UTF-8")
