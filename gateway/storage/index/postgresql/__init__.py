"""The index on a database that speaks PostgreSQL's protocol: any number of gateways.

How it works. Every process has a pool of connections (`connection.py`). A write is one transaction of isolation READ
COMMITTED, which locks what it decides upon before it reads it (`locks.py`): so it sees what the one before it has left,
and preconditions hold until the commit. A transaction that the database gave up for the sake of another one
(serialisation failures, deadlocks) or that lost its connection before the commit is run again. Each statement stands as
text beside the method that runs it.
"""
