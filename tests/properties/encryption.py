"""How objects of the examples are encrypted: as they are asked for, and what whoever reads them must bring."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

SSE = "x-amz-server-side-encryption"
CUSTOMERS = {"customer A": b"a" * 32, "customer B": b"b" * 32}
"""Keys of customers by name, which stands for SSE-C where others have the name of a mode."""
BUCKET_KEY = "bucket key"
"""Stands for SSE-KMS with one."""
DSSE = "aws:kms:dsse"

MODES = ("AES256", "aws:kms", BUCKET_KEY, DSSE, "customer A")
"""Every way to encrypt an object."""

_NOTHING: Mapping[str, str] = {}


def _customer(encryption: str | None, prefix: str) -> Mapping[str, str]:
    secret = CUSTOMERS.get(encryption or "")
    if secret is None:
        return _NOTHING
    md5 = hashlib.md5(secret, usedforsecurity=False).digest()
    return {
        f"{prefix}-customer-algorithm": "AES256",
        f"{prefix}-customer-key": base64.b64encode(secret).decode(),
        f"{prefix}-customer-key-md5": base64.b64encode(md5).decode(),
    }


def asked(encryption: str | None) -> Mapping[str, str]:
    """The headers of a write; None asks for nothing."""
    if encryption == BUCKET_KEY:
        return {SSE: "aws:kms", f"{SSE}-bucket-key-enabled": "true"}
    return brought(encryption) or ({SSE: encryption} if encryption else _NOTHING)


def brought(encryption: str | None) -> Mapping[str, str]:
    """Those of a read, and of a part."""
    return _customer(encryption, SSE)


def brought_for_source(encryption: str | None) -> Mapping[str, str]:
    """Those of a copy, for what it reads."""
    return _customer(encryption, "x-amz-copy-source-server-side-encryption")
