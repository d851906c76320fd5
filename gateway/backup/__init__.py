"""One archive of all that a data directory knows, but for bodies and the root (docs/backup.md)."""
