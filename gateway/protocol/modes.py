"""How an object is encrypted, as values that rows, footers and headers share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from iam.quickly_made import quickly_made


class Mode(IntEnum):
    """Who wraps the data key. Stored in rows and footers: numbers never change meaning."""

    SSE_S3 = 1
    SSE_KMS = 2
    SSE_KMS_BUCKET_KEY = 3
    DSSE_KMS = 4
    SSE_C = 5


class BlobKind(IntEnum):
    """What a blob holds, named in its footer."""

    OBJECT = 1
    PART = 2
    MANIFEST = 3


@quickly_made
@dataclass(frozen=True, slots=True)
class Wrap:
    """A wrapped data key and who can open it. `key_arn` and `key_version` are None where no KMS key is named."""

    mode: Mode
    wrapped: bytes
    key_arn: str | None = None
    key_version: int | None = None
