"""What sealing raises about stored bytes. Misuse by our own code raises ValueError or RuntimeError instead."""

from __future__ import annotations


class SealingError(Exception):
    """Base of everything sealing raises about stored bytes: an integrity event, never the client's fault."""


class AuthenticationFailed(SealingError):
    """Stored bytes are not what was written, or not under this key: damaged, forged, moved, or cut.

    All causes look the same: the message never says more. `blob_id`, `segment` (counted from 0) and `row_uid` say
    where, for the log; None where they do not apply.
    """

    def __init__(
        self, *, blob_id: bytes | None = None, segment: int | None = None, row_uid: bytes | None = None
    ) -> None:
        super().__init__("authentication failed")
        self.blob_id = blob_id
        self.segment = segment
        self.row_uid = row_uid


class EpochsMissing(SealingError):
    """There is no key of a purpose that must have one: a damaged or a foreign database, never a reason to make one."""


class FormatError(AuthenticationFailed):
    """A format version or suite that this program does not know: written by a newer one, or damaged.

    Nothing can be authenticated then, so whoever handles AuthenticationFailed handles this; the message says more
    because the bytes it speaks of are no secret.
    """

    def __init__(self, message: str) -> None:
        super().__init__()
        self.args = (message,)
