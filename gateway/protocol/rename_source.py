"""The headers of RenameObject: which object is renamed, and the client's name for the request."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.percent import decode_form

SOURCE = "x-amz-rename-source"
CLIENT_TOKEN = "x-amz-client-token"  # noqa: S105 - the name of a header
_TOKEN = re.compile(r"[!-~]{1,64}")


def source_keys(headers: Mapping[str, str], bucket: str) -> tuple[str, ...]:
    """The keys that `x-amz-rename-source` may mean, the likeliest first.

    AWS's examples name a key alone, and elsewhere a bucket before it: so it is the key of that name if there is one,
    and else what follows the bucket's name. Raises S3Error InvalidRequest without the header, InvalidArgument.
    """
    value = headers.get(SOURCE)
    if value is None:
        raise S3Error("InvalidRequest", f"Missing required header for this request: {SOURCE}")
    try:
        text = decode_form(value)
    except S3Error:
        raise invalid_argument(SOURCE, value, "Invalid rename source encoding.") from None
    named = text.removeprefix("/").removeprefix(f"{bucket}/")
    qualified = (named,) if text.removeprefix("/").startswith(f"{bucket}/") and named else ()
    if not text:
        raise invalid_argument(SOURCE, value, "The rename source names no object.")
    return (text, *qualified)


def client_token(headers: Mapping[str, str]) -> str | None:
    """API_RenameObject: at most 64 characters of ASCII 33 to 126. Raises S3Error InvalidArgument."""
    value = headers.get(CLIENT_TOKEN)
    if value is not None and not _TOKEN.fullmatch(value):
        raise invalid_argument(CLIENT_TOKEN, value, "A client token has 1 to 64 characters of ASCII 33 to 126.")
    return value
