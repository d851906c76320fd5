"""Numbered migrations of the identity database; a released one is never edited."""
