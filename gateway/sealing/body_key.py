"""What the blobs of one object version, or of one multipart upload, are sealed under."""

from __future__ import annotations

from dataclasses import dataclass, field

from iam.quickly_made import quickly_made
from kms.api.secrets import SecretBytes


@quickly_made
@dataclass(frozen=True, slots=True)
class BodyKey:
    """32 bytes; and as many of another key, independent of the first, where blobs have a second layer (DSSE-KMS)."""

    first: SecretBytes = field(repr=False)
    second: SecretBytes | None = field(default=None, repr=False)
