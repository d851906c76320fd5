"""GetKeyLastUsage."""

from __future__ import annotations

from dataclasses import dataclass

from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class KeyLastUsage:
    """When a key was last used for a cryptographic operation that succeeded; `operation` None: never since tracking."""

    key_id: str
    created_us: int
    tracked_since_us: int
    operation: str | None = None
    used_us: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class GetKeyLastUsage(Request[KeyLastUsage]):
    key_id: str
