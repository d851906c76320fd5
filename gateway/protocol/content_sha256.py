"""The `x-amz-content-sha256` header: how a request's body is signed and framed.

Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.protocol.errors import S3Error, invalid_argument, not_implemented
from iam.quickly_made import quickly_made

MAX_SINGLE_UPLOAD_BYTES = 5 << 30
"""What one PutObject or UploadPart may carry."""

HEADER = "x-amz-content-sha256"
_HASH = re.compile(r"[0-9a-fA-F]{64}")


class PayloadKind(Enum):
    HASH = "hash"
    UNSIGNED = "UNSIGNED-PAYLOAD"
    STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"


_KINDS = {kind.value: kind for kind in PayloadKind if kind is not PayloadKind.HASH}
_OF_NOTHING = hashlib.sha256()
_ECDSA = ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER")


@quickly_made
@dataclass(frozen=True, slots=True)
class ContentSHA256:
    """`digest` is the declared SHA-256 of the body, 32 bytes, for HASH; None for the other kinds."""

    kind: PayloadKind
    digest: bytes | None = None

    @classmethod
    def parse(cls, value: str) -> ContentSHA256:
        """Raises S3Error InvalidArgument; NotImplemented for the asymmetric signatures of SigV4A."""
        known = _PARSED.get(value)
        if known is not None:
            return known
        if _HASH.fullmatch(value):
            return cls(PayloadKind.HASH, bytes.fromhex(value))
        if value in _ECDSA:
            raise not_implemented(HEADER)
        allowed = ", ".join([*_KINDS, *_ECDSA])
        raise invalid_argument(HEADER, value, f"{HEADER} must be {allowed} or a valid sha256 value.")

    @property
    def is_streaming(self) -> bool:
        """The body is framed as aws-chunked."""
        return self.kind not in (PayloadKind.HASH, PayloadKind.UNSIGNED)

    @property
    def is_signed_stream(self) -> bool:
        """Every chunk carries a signature."""
        return self.kind in (PayloadKind.STREAMING_SIGNED, PayloadKind.STREAMING_SIGNED_TRAILER)

    @property
    def has_trailer(self) -> bool:
        return self.kind in (PayloadKind.STREAMING_UNSIGNED_TRAILER, PayloadKind.STREAMING_SIGNED_TRAILER)

    def verify(self, digest: Callable[[], bytes]) -> None:
        """Compare the declared hash with the body's, which `digest` gives and which is only asked for where declared.

        Raises S3Error XAmzContentSHA256Mismatch.
        """
        if self.digest is None:
            return
        computed = digest()
        if not hmac.compare_digest(computed, self.digest):
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                fields={
                    "ClientComputedContentSHA256": self.digest.hex(),
                    "S3ComputedContentSHA256": computed.hex(),
                },
            )


_PARSED = {
    **{word: ContentSHA256(kind) for word, kind in _KINDS.items()},
    _OF_NOTHING.hexdigest(): ContentSHA256(PayloadKind.HASH, _OF_NOTHING.digest()),
}
"""What most requests have that are no uploads, or that do not hash theirs."""


UNSIGNED_PAYLOAD = ContentSHA256(PayloadKind.UNSIGNED)
"""What holds where a request says nothing: presigned URLs."""


def anonymous_content_sha256(headers: Mapping[str, str]) -> ContentSHA256:
    """What an unsigned request says about its body, which may be nothing.

    Raises S3Error as `parse`, and InvalidRequest for chunks that are signed while the request is not.
    """
    value = headers.get(HEADER)
    if value is None:
        return UNSIGNED_PAYLOAD
    content = ContentSHA256.parse(value)
    if content.is_signed_stream:
        raise S3Error("InvalidRequest", f"{HEADER} announces signed chunks, and the request is not signed.")
    return content


def trailer_names(headers: Mapping[str, str], content_sha256: ContentSHA256) -> tuple[str, ...]:
    """The trailers that `x-amz-trailer` announces, lower-case.

    Raises S3Error InvalidRequest where trailers are announced for a body that has none, MalformedTrailerError where a
    signed body must have them and none are.
    """
    announced = headers.get("x-amz-trailer", "")
    names = tuple(name.strip().lower() for name in announced.split(",") if name.strip())
    if names and not content_sha256.has_trailer:
        raise S3Error("InvalidRequest", f"x-amz-trailer needs a value of {HEADER} that ends in -TRAILER.")
    if not names and content_sha256.kind is PayloadKind.STREAMING_SIGNED_TRAILER:
        raise S3Error("MalformedTrailerError")
    return names


def payload_length(headers: Mapping[str, str], content_sha256: ContentSHA256, content_length: int | None) -> int:
    """How many bytes of payload an upload announces: Content-Length, or for aws-chunked bodies the decoded length.

    Raises S3Error MissingContentLength, NotImplemented, InvalidArgument, or EntityTooLarge beyond 5 GiB.
    """
    length = content_length
    if content_sha256.is_streaming:
        length = _decoded_length(headers)
    if length is None:
        raise length_is_missing(headers)
    if length > MAX_SINGLE_UPLOAD_BYTES:
        fields = {"ProposedSize": str(length), "MaxSizeAllowed": str(MAX_SINGLE_UPLOAD_BYTES)}
        raise S3Error("EntityTooLarge", fields=fields)
    return length


def length_is_missing(headers: Mapping[str, str]) -> S3Error:
    """For a body of unknown length: S3 blames the Transfer-Encoding that took the place of Content-Length."""
    if "transfer-encoding" in headers:
        return not_implemented("Transfer-Encoding")
    return S3Error("MissingContentLength")


def _decoded_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-amz-decoded-content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise invalid_argument("x-amz-decoded-content-length", text)
    return int(text)
