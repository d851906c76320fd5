"""Byte ranges: the Range header of GetObject and HeadObject, and the range of UploadPartCopy (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.protocol.errors import S3Error, invalid_argument

_RANGE = re.compile(r"bytes=([0-9]{0,64})-([0-9]{0,64})", re.IGNORECASE)
_COPY_RANGE = re.compile(r"bytes=([0-9]{1,64})-([0-9]{1,64})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to but not including `end` of a body, counted from 0; never empty."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def format_content_range(self, size: int) -> str:
        """The Content-Range header for a body of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def parse_range(value: str | None, size: int) -> ByteRange | None:
    """Which part of a body of `size` bytes a Range header asks for.

    None means the whole body: no header, a malformed one, another unit than bytes, or several ranges; S3 ignores all of
    these. Raises S3Error InvalidRange where the range is well-formed and outside of the body.
    """
    match = _RANGE.fullmatch(value.strip()) if value else None
    if match is None or value is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        start, end = max(size - int(last), 0), size
    else:
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise S3Error("InvalidRange", fields={"RangeRequested": value[:256], "ActualObjectSize": str(size)})
    return ByteRange(start, end)


def parse_copy_range(value: str | None, size: int) -> ByteRange | None:
    """`x-amz-copy-source-range` over a source of `size` bytes; None: the whole source.

    Strict, unlike Range: both ends must be there and inside of the source. Raises S3Error InvalidArgument, and
    InvalidRequest where even the first byte is outside.
    """
    if value is None:
        return None
    match = _COPY_RANGE.fullmatch(value)
    start, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if last < start:
        raise invalid_argument(
            "x-amz-copy-source-range",
            value,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
        )
    if start >= size:
        raise S3Error("InvalidRequest", "The specified copy range is invalid for the source object size")
    if last >= size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument("x-amz-copy-source-range", value, message)
    return ByteRange(start, last + 1)
