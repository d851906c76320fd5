"""What every store on PostgreSQL shares: where the server is, connections, transactions, deadlines, migrations.

It knows nothing of what is stored, and imports nothing of ours. A store says by `StoreErrors` what it raises in place
of the driver's errors. Each has a pool, numbered migrations and a table of those that were applied of its own.
"""
