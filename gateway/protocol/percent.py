"""Percent-encoding as S3 uses it: in the request target, in queries, in copy sources, and in listings."""

from __future__ import annotations

import re
import string
from urllib.parse import quote, unquote_to_bytes

from gateway.protocol.errors import S3Error

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
UNRESERVED = (string.ascii_letters + string.digits + "/_.~-").encode()
"""What `encode` leaves as it is."""

_NOTHING_TO_ENCODE = re.compile(r"[A-Za-z0-9/_.~-]*")


def decode(text: str) -> str:
    """Decode percent-escapes once; "+" is itself.

    `text` is as received: bytes beyond ASCII that the client did not escape are expected as UTF-8 text, or as
    surrogate escapes where they were none. Raises S3Error InvalidURI for a broken escape and for what is not UTF-8.
    """
    if text.isascii() and "%" not in text:
        return text
    if _BROKEN_ESCAPE.search(text):
        raise S3Error("InvalidURI")
    try:
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode()
    except UnicodeError:
        raise S3Error("InvalidURI") from None


def decode_form(text: str) -> str:
    """The same with "+" for a space, as in queries."""
    return decode(text.replace("+", " "))


def encode(text: str) -> str:
    """Encode for `encoding-type=url`: everything but unreserved characters and "/".

    A space becomes %20, which both ways of decoding that clients use read back rightly.
    """
    return text if _NOTHING_TO_ENCODE.fullmatch(text) else quote(text, safe="/")
