"""Rows that nodes share: PostgreSQL keeps them and orders their changes, and every node has a copy in SQLite.

For stores that every request asks, in whatever thread, and which must not wait for a network then. A store says by
`Sharing` what is its own. Its schema, constraints and migrations are SQLite's, the only ones there are: PostgreSQL
holds each row as a document (`rows.py`), so that what one engine refuses the other does.

A change is one transaction on both. It locks the one row that counts changes, so that one node at a time decides;
brings the copy up to date; is made on the copy as on a store of its own; and what rows it left there go to PostgreSQL,
whose commit is the change. Only then is the copy's transaction committed. A crash in between leaves a copy that is
behind.

Every process follows (`replica.py`): it asks for the number of the last change each second, and when the database
notifies of one, or somebody did not find what may be new. A process that has not had that answer for STALE_SECONDS
serves nobody: what was taken away on one node is gone everywhere by then. What a copy cannot catch up with (a new one,
a database that was restored from a backup, too many changes) is read anew as a whole.
"""
