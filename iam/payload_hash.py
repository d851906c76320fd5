"""What may stand in x-amz-content-sha256, as far as signatures care.

Amazon S3 API Reference, "Signature Calculations for the Authorization Header", x-amz-content-sha256. What the values
mean for the body is the reader's of the body.
"""

from __future__ import annotations

import re

from iam.errors import AuthenticationError, Reason

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes."""

_KINDS = frozenset({UNSIGNED_PAYLOAD, STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER})
_SIGNED_STREAMS = frozenset({STREAMING_SIGNED, STREAMING_SIGNED_TRAILER})
_SIGV4A_PREFIX = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def check_payload_hash(value: str) -> str:
    """The value itself if it is a SHA-256 in hex or a kind that S3 knows.

    Raises AuthenticationError: SIGNATURE_VERSION_4A for the streams signed with it, else INVALID_CONTENT_SHA256.
    """
    if value in _KINDS or _HEX_SHA256.fullmatch(value):
        return value
    fields = {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": value[:256]}
    if value.startswith(_SIGV4A_PREFIX):
        raise AuthenticationError(
            Reason.SIGNATURE_VERSION_4A,
            "Signature Version 4A is not supported. Please use AWS4-HMAC-SHA256.",
            fields,
        )
    raise AuthenticationError(
        Reason.INVALID_CONTENT_SHA256,
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        fields,
    )


def is_signed_stream(value: str) -> bool:
    """Whether every chunk of the body carries a signature of its own."""
    return value in _SIGNED_STREAMS
