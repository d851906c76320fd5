"""What listings share: continuation tokens, and rows as entries of a listing."""

from __future__ import annotations

import base64
import binascii

from gateway.operations.context import Call
from gateway.operations.documents import ObjectDocument
from gateway.protocol.errors import S3Error
from gateway.sealing.errors import AuthenticationFailed


def encode_token(call: Call, listing: bytes, position: bytes) -> str:
    """An opaque token for `position`; `listing` (a bucket id, say) is what it is good for."""
    return base64.urlsafe_b64encode(call.services.rows.seal_token(listing, position)).decode()


def decode_token(call: Call, listing: bytes, token: str) -> bytes:
    """The position in a token that this gateway made for this listing. Raises S3Error InvalidArgument."""
    try:
        return call.services.rows.open_token(listing, base64.urlsafe_b64decode(token.encode()))
    except (AuthenticationFailed, binascii.Error, UnicodeEncodeError, ValueError):
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            fields={"ArgumentName": "continuation-token"},
        ) from None


def checksum_algorithms(document: ObjectDocument) -> tuple[str, ...]:
    return tuple(document.checksums)
