"""Bodies that are read as a whole: documents and forms, never objects."""

from __future__ import annotations

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request


async def read_whole(request: Request, limit_bytes: int) -> bytes:
    """The body. Raises S3Error: EntityTooLarge beyond the limit, and the errors of the body's reader."""
    pieces: list[bytes] = []
    size = 0
    while piece := await request.body.read():
        size += len(piece)
        if size > limit_bytes:
            raise S3Error("EntityTooLarge", f"The body of this request has at most {limit_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
