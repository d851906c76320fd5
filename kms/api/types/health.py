"""How the key service is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HealthState(StrEnum):
    READY = "ready"
    DEGRADED = "degraded"
    """The HSM was lost while running: keys on lease go on until their lease ends."""
    SEALED = "sealed"
    """The root was never available since start: nothing can be opened yet."""


@dataclass(frozen=True, slots=True)
class Health:
    state: HealthState
    detail: str
    retry_after_seconds: int = 0
