"""PolicyStatus (API_GetBucketPolicyStatus)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.xml.writer import document, flag


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    is_public: bool

    def format(self) -> bytes:
        return document("PolicyStatus", (flag("IsPublic", self.is_public),))
