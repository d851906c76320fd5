"""The targets, a module for each family. Importing this fills `tests.fuzz.target.TARGETS`."""

from tests.fuzz.targets import (
    documents,
    forms,
    headers,
    identities,
    kms,
    policies,
    settings,
    signatures,
    stored,
    uploads,
)

__all__ = [
    "documents",
    "forms",
    "headers",
    "identities",
    "kms",
    "policies",
    "settings",
    "signatures",
    "stored",
    "uploads",
]
