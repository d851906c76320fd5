"""The checks of `sealgate doctor`: each looks at one thing and answers in a sentence, with what to do if it is wrong.

Nothing is changed (a backing store takes a blob for a moment): databases are opened read-only, no migration runs. The
root is asked once, which logs in to the token once: a wrong PIN counts as one failed attempt there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from database.location import is_remote, verifies_server
from database.probe import Probe
from gateway.blob_stores import open_backing_stores
from gateway.config import CONFIG_NAME, ConfigError, Settings
from gateway.configured_identities import read_configured
from gateway.database_files import DatabaseFile, database_files, troubles
from gateway.identities import damaged_identities
from gateway.identity_stores import CONNECTIONS, probe_identities
from gateway.index_stores import probe_index
from gateway.key_stores import open_keys
from gateway.kmsd import moved_token_directory, root_settings
from gateway.private_files import DEV_ENV
from gateway.sealing.errors import SealingError
from gateway.sockets import BindError, bind, unix_path_problem
from gateway.storage.blobs.io_uring import why_not
from gateway.storage.blobs.naming import is_in_files, locations_of
from gateway.storage.blobs.s3.probe import probe
from gateway.storage.errors import StorageError, StorageUnavailable
from gateway.storage.index.postgresql.schema import MIGRATIONS as INDEX_MIGRATIONS
from gateway.supervisor import supervisor_of
from iam.store.interface import StoreUnavailable
from iam.store.postgresql.sharing import SHARING as SHARED_IDENTITIES
from kms.api.errors import KMSError
from kms.daemon.root import roots_of
from kms.hsm.interface import RootError
from kms.hsm.recovery import RootState
from kms.hsm.roots import Roots
from kms.hsm.tokens import read_pin
from kms.service.core import now_us
from kms.service.row_seals import open_seals
from kms.store.interface import ROOT_CHECK_VALUE, StoreError
from kms.store.opening import probe_key_database
from kms.store.postgresql.sharing import SHARING as SHARED_KEYS
from kms.store.sqlite import SQLiteKeyStore

MINIMUM_FREE_BYTES = 1 << 30
SLOW_FSYNC_SECONDS = 0.1
"""Every acknowledged write waits for fsync; a disk takes 0.1 to 10 ms."""

CLOCK_TOLERANCE_SECONDS = 300
"""Signatures are refused at 15 minutes of difference; a clock that is wrong by a third of it deserves a word."""

RELEASED = 1_767_225_600
"""2026-01-01: no clock that is right shows less."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome; `sentence` says what is, or what is wrong and what to do."""

    check: str
    is_well: bool
    sentence: str


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which one would repair."""
    for check in (
        _permissions,
        _file_system,
        _file_writing,
        _clock,
        _sockets,
        _pin,
        _configured_identities,
        _databases,
        _index_on_postgresql,
        _identities_on_postgresql,
        _keys_on_postgresql,
        _backing_store,
        _root,
        _identity_rows,
    ):
        yield from check(settings)


def _well(check: str, sentence: str) -> Finding:
    return Finding(check, True, sentence)


def _wrong(check: str, sentence: str) -> Finding:
    return Finding(check, False, sentence)


def _permissions(settings: Settings) -> Iterator[Finding]:
    """Nothing of ours may be open to others, and all of it must be ours."""
    data = settings.data_directory
    private = [
        data,
        data / CONFIG_NAME,
        data / DEV_ENV,
        settings.audit.directory,
        *(database.path.parent for database in database_files(settings)),
    ]
    problems = []
    for path in dict.fromkeys(private):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                problems.append(f"{path} is open to others: chmod go= {path}")
            if found.st_uid != os.geteuid():
                problems.append(f"{path} belongs to another user: run as that user, or chown it")
    for problem in problems:
        yield _wrong("permissions", problem)
    if not problems:
        yield _well("permissions", f"{data} is private to this user")


def _file_system(settings: Settings) -> Iterator[Finding]:
    data = settings.data_directory
    free = shutil.disk_usage(data).free
    if free < MINIMUM_FREE_BYTES:
        yield _wrong("free space", f"{data} has {free >> 20} MiB left: make room, or uploads will be refused soon")
    else:
        yield _well("free space", f"{free / (1 << 30):.1f} GiB are free")
    try:
        seconds = _fsync_seconds(data)
    except OSError as error:
        yield _wrong("fsync", f"{data} cannot be written and synced: {error.strerror}; look at the disk and its mount")
        return
    if seconds > SLOW_FSYNC_SECONDS:
        yield _wrong("fsync", f"fsync takes {seconds * 1000:.0f} ms: every upload waits for that; use a faster disk")
    elif not settings.storage.fsync:
        yield _wrong("fsync", "storage.fsync is false: acknowledged objects are lost with the power; set it to true")
    else:
        yield _well("fsync", f"it takes {seconds * 1000:.1f} ms")


def _file_writing(settings: Settings) -> Iterator[Finding]:
    """Nothing is wrong where threads do it; but who wonders what an upload takes shall know."""
    if not any(map(is_in_files, locations_of(settings.storage.blobs))):
        return
    reason = "storage.io_uring is false"
    if settings.storage.io_uring:
        refusal = asyncio.run(why_not())
        if refusal is None:
            yield _well("blobs", "they are written by threads of the kernel (io_uring)")
            return
        reason = f"there is no io_uring here ({refusal.strerror})"
    yield _well("blobs", f"they are written by threads of the gateway, which cost more: {reason}")


def _fsync_seconds(directory: Path) -> float:
    """The faster of two, for the first may wait for what others wrote."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(2):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return min(times)


def _clock(settings: Settings) -> Iterator[Finding]:
    """No network is asked; but time that runs behind our own files is wrong for certain."""
    now = time.time()
    paths = [database.path for database in database_files(settings)]
    newest = max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
    if now < RELEASED:
        yield _wrong("clock", f"it shows {time.strftime('%Y-%m-%d', time.gmtime(now))}: set it, and run a time service")
    elif newest > now + CLOCK_TOLERANCE_SECONDS:
        yield _wrong("clock", "it is behind the times of our own files: set it, or clients' signatures will be refused")
    else:
        yield _well("clock", f"it shows {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))}")


def _sockets(settings: Settings) -> Iterator[Finding]:
    problem = unix_path_problem(settings.kms.socket)
    if problem is not None:
        yield _wrong("socket path", problem)
    else:
        yield _well("socket path", f"{settings.kms.socket} is short enough")
    if (process := supervisor_of(settings)) is not None:
        yield _well("addresses", f"in use by the sealgate that is running (process {process})")
        return
    for address in (settings.listen.address, settings.admin.address):
        try:
            bind(address).close()
        except BindError as error:
            yield _wrong("addresses", f"{error}: stop what uses it, or choose another address")
        else:
            yield _well("addresses", f"{address} can be listened on")


def _pin(settings: Settings) -> Iterator[Finding]:
    try:
        read_pin(settings.kms.pin_file)
    except RootError as error:
        yield _wrong("PIN", str(error))
    else:
        yield _well("PIN", f"{settings.kms.pin_file} can be read, and is private")


def _configured_identities(settings: Settings) -> Iterator[Finding]:
    if not settings.account and settings.access.root_access_keys_file is None:
        return
    try:
        configured = read_configured(settings)
    except ConfigError as error:
        yield _wrong("accounts", str(error))
    else:
        yield _well("accounts", f"{len(configured.accounts)} accounts are configured, and their files can be read")


def _databases(settings: Settings) -> Iterator[Finding]:
    for database in database_files(settings):
        yield _database(database)


def _database(database: DatabaseFile) -> Finding:
    """Whether it can be used, its integrity (SQLite's quick check), and its schema."""
    path = database.path
    if (trouble := database.trouble()) is not None:
        return _wrong("database", trouble)
    try:
        with database.open() as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        present = database.schema()
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        return _wrong("database", f"the {database.what} {path} is damaged ({verdict}): {database.remedy}")
    newest = database.newest_schema
    migration = "" if present == newest else f", to be migrated from schema {present} to {newest} at the next start"
    return _well("database", f"{path.name} is sound{migration}")


def _index_on_postgresql(settings: Settings) -> Iterator[Finding]:
    """Is it there, does it keep what it acknowledged, and can nobody listen."""
    url, schema = settings.storage.index, settings.database.schema
    if url == "sqlite":
        return
    try:
        found = asyncio.run(probe_index(settings))
    except StorageUnavailable as error:
        yield _wrong("index", f"{error}; look at storage.index, [database] and the server")
        return
    newest = len(INDEX_MIGRATIONS.all())
    problems = _server_problems(found, url)
    if found.schema > newest:
        problems.append(f"schema {schema} was written by a newer Sealgate (schema {found.schema}): use that one")
    connections = settings.database.connections + (CONNECTIONS if settings.storage.identities == "postgresql" else 0)
    if settings.worker_count * connections > found.max_connections:
        problems.append("its max_connections is lower than what the workers may open: raise it, or lower ours")
    for problem in problems:
        yield _wrong("index", f"PostgreSQL {found.version}: {problem}")
    if not problems:
        migration = "" if found.schema == newest else f", to be migrated from schema {found.schema} to {newest}"
        yield _well("index", f"schema {schema} on PostgreSQL {found.version} can be reached{migration}")


def _identities_on_postgresql(settings: Settings) -> Iterator[Finding]:
    """Whether this program knows what is there. The server itself is the index's, too."""
    if settings.storage.identities == "sqlite":
        return
    schema = settings.database.schema
    try:
        found = asyncio.run(probe_identities(settings))
    except StoreUnavailable as error:
        yield _wrong("identities", f"{error}; look at storage.index, [database] and the server")
        return
    if found.format > SHARED_IDENTITIES.newest_schema:
        yield _wrong("identities", f"schema {schema} was written by a newer Sealgate: use that one")
    elif not found.format:
        yield _wrong("identities", f"schema {schema} holds none: name the one that was made with this data directory")
    else:
        migration = "" if found.format == SHARED_IDENTITIES.newest_schema else ", to be migrated at the next start"
        yield _well("identities", f"they are in schema {schema} of the index's database{migration}")


def _keys_on_postgresql(settings: Settings) -> Iterator[Finding]:
    database = settings.key_database
    if database is None:
        return
    try:
        found = asyncio.run(probe_key_database(database))
    except StoreError as error:
        yield _wrong("keys", f"{error}; look at kms.store, [database] and the server")
        return
    problems = _server_problems(found, database.url)
    if not found.format:
        problems.append(f"schema {database.schema} holds no keys: name the one that `sealgate init` made")
    elif found.format > SHARED_KEYS.newest_schema:
        problems.append(f"schema {database.schema} was written by a newer Sealgate: use that one")
    for problem in problems:
        yield _wrong("keys", f"PostgreSQL {found.version}: {problem}")
    if not problems:
        migration = "" if found.format == SHARED_KEYS.newest_schema else ", to be migrated at the next start"
        yield _well("keys", f"schema {database.schema} on PostgreSQL {found.version} can be reached{migration}")


def _server_problems(found: Probe, url: str) -> list[str]:
    """Does it keep what it acknowledged, and can nobody listen."""
    problems = []
    if found.encoding != "UTF8":
        problems.append(f"its encoding is {found.encoding}: make a database of encoding UTF8")
    if not found.is_durable:
        problems.append("fsync or full_page_writes is off: what is acknowledged is lost with its power; switch them on")
    if is_remote(url) and not found.is_encrypted:
        problems.append("the connection is not encrypted: set sslmode=verify-full, and sslrootcert")
    elif is_remote(url) and not verifies_server(url):
        problems.append("nobody verifies that it is the server: set sslmode=verify-full, and sslrootcert")
    return problems


def _backing_store(settings: Settings) -> Iterator[Finding]:
    """The one thing that is written anywhere: a blob, which is deleted again."""
    for location, problem in asyncio.run(_probe_backing_stores(settings)):
        if problem is None:
            yield _well("backing store", f"{location} takes blobs, and never overwrites one")
        else:
            yield _wrong("backing store", f"{location}: {problem}")


async def _probe_backing_stores(settings: Settings) -> list[tuple[str, str | None]]:
    problems: list[tuple[str, str | None]] = []
    for location, store in open_backing_stores(settings, "doctor"):
        try:
            problem = await probe(store)
        except StorageUnavailable as error:
            problem = f"{error}; look at storage.blobs, [backing], [mirror] and the credentials in the environment"
        finally:
            await store.close()
        problems.append((location, problem))
    return problems


def _root(settings: Settings) -> Iterator[Finding]:
    """Open the root as kmsd does, and compare its check value."""
    if (tokens := moved_token_directory(settings)) is not None:
        yield _wrong("root", f"the data directory was moved, and its tokens to {tokens}: start the gateway once")
        return
    store = _key_store(settings)
    if isinstance(store, Finding):
        yield store
        return
    root = roots_of(root_settings(settings), store, settings.keys_path.parent)
    try:
        status = root.probe()
        if status.state is RootState.READY:
            yield _well("root", f"{status.detail}, and is the one this data directory was made with")
            yield from _key_rows(store, root)
        else:
            yield _wrong("root", f"{status.detail}; until the root answers, the gateway stays sealed")
    finally:
        root.close()
        store.close()


def _key_rows(store: SQLiteKeyStore, root: Roots) -> Iterator[Finding]:
    """Whether every row of the key store is as a key service wrote it. One of an earlier release is left as it is."""
    if store.seal_key_record() is None:
        return
    try:
        open_seals(store, root, now_us=now_us())
        damaged = store.prove_rows()
    except (RootError, StoreError) as error:
        yield _wrong("key store", f"its rows cannot be proven: {error}")
        return
    if damaged:
        yield _wrong("key store", f"rows are not as a key service wrote them: {', '.join(damaged)}; restore a backup")
    else:
        yield _well("key store", "every row is as a key service wrote it")


def _identity_rows(settings: Settings) -> Iterator[Finding]:
    """Whether every row of the identity database is as a gateway wrote it. Older stores are left as they are.

    The gateway that serves opens the key. A key service of our own would write the audit trail and the key store.
    """
    if supervisor_of(settings) is None:
        return
    try:
        if troubles(database_files(settings)) or any(_migrations(settings)):
            return
        damaged = asyncio.run(damaged_identities(settings))
    except (sqlite3.Error, StorageError, SealingError, KMSError, RootError, StoreError, StoreUnavailable) as error:
        yield _wrong("identities", f"their rows cannot be proven: {error}")
        return
    if damaged:
        yield _wrong("identities", f"rows are not as a gateway wrote them: {', '.join(damaged)}; restore a backup")
    elif damaged is not None:
        yield _well("identities", "every row is as a gateway wrote it")


def _key_store(settings: Settings) -> SQLiteKeyStore | Finding:
    """The key store, or why its root cannot be told. An older store is left as it is."""
    try:
        if not _is_of_this_schema(settings):
            return _wrong("root", "it can be checked once the key store is of this release's schema: start the gateway")
        store = open_keys(settings)
        with contextlib.ExitStack() as closing:
            closing.callback(store.close)
            if store.meta(ROOT_CHECK_VALUE) is None:
                return _wrong(
                    "root", "the key store knows no root: `sealgate init` was not finished; make a new data directory"
                )
            closing.pop_all()
    except (sqlite3.Error, StoreError) as error:
        return _wrong("root", f"it cannot be checked without the key store ({error})")
    return store


def hindrances(settings: Settings) -> Iterator[str]:
    """Why this program should not begin to serve beside another one: each in a sentence.

    The root must answer, and no store be migrated beneath a program that may not know its new schema.
    """
    if found := troubles(database_files(settings)):
        yield from found
        return
    try:
        yield from _migrations(settings)
    except (sqlite3.Error, StorageUnavailable, StoreUnavailable, StoreError) as error:
        yield f"a store cannot be read: {error}"
        return
    for finding in (*_pin(settings), *_root(settings)):
        if not finding.is_well:
            yield f"{finding.check}: {finding.sentence}"


def _migrations(settings: Settings) -> Iterator[str]:
    """Raises as what it asks does."""
    databases = database_files(settings)
    present = {database.path.name: (database.schema(), database.newest_schema) for database in databases}
    if settings.storage.index != "sqlite":
        index = asyncio.run(probe_index(settings))
        present["the index on PostgreSQL"] = index.schema, len(INDEX_MIGRATIONS.all())
    if settings.storage.identities != "sqlite":
        present["identities on PostgreSQL"] = (
            asyncio.run(probe_identities(settings)).format,
            SHARED_IDENTITIES.newest_schema,
        )
    if (keys := settings.key_database) is not None:
        present["keys on PostgreSQL"] = asyncio.run(probe_key_database(keys)).format, SHARED_KEYS.newest_schema
    for name, (schema, newest) in present.items():
        if schema != newest:
            yield (
                f"{name} has schema {schema}, and this release's is {newest}: stop the gateway, and start this release"
            )


def _is_of_this_schema(settings: Settings) -> bool:
    """Raises sqlite3.Error, StoreError."""
    if settings.key_database is not None:
        return asyncio.run(probe_key_database(settings.key_database)).format == SHARED_KEYS.newest_schema
    database = database_files(settings)[0]
    return database.schema() == database.newest_schema
