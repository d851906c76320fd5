"""The key store on PostgreSQL, for several nodes: `database.shared` has how, the schema is SQLite's.

Records come to each node's copy as they are in the database: wrapped and authenticated by the root.
"""
