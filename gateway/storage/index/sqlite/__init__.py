"""The index on SQLite: one machine, any number of worker processes.

How it works. Every process has one connection for reading, used in the event loop (a point read takes some 20 µs,
less than a hop to a thread and back), and one for writing, used by one writer thread that commits in groups
(`writer.py`). SQLite in WAL mode lets readers go on beside a writer; writers of several processes queue at a
lock file (`write_lock.py`). Each statement stands as text beside the method that runs it.
"""

from gateway.storage.index.sqlite.index import SQLiteIndex, open_sqlite_index

__all__ = ["SQLiteIndex", "open_sqlite_index"]
