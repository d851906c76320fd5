"""Identities on PostgreSQL, for any number of gateways: rows of the schema of SQLite that nodes share."""
