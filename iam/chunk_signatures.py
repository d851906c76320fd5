"""Signatures of the chunks of a streamed upload, each over the one before it.

Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
Chunks" and "… Including Trailing Headers". The framing (sizes, line ends, where a signature stands) is the reader's.
"""

from __future__ import annotations

import hmac

from iam.canonical import to_wire
from iam.errors import AuthenticationError, Reason
from iam.payload_hash import EMPTY_SHA256
from iam.signing_keys import SigningKey
from iam.sigv4 import MISMATCH_MESSAGE, sign

_CHUNK = "AWS4-HMAC-SHA256-PAYLOAD"
_TRAILER = "AWS4-HMAC-SHA256-TRAILER"


class ChunkVerifier:
    """Verifies chunk after chunk, in order, the last one (of no bytes) and then the trailer included.

    A verifier that once refused refuses everything after: what follows a forged chunk proves nothing.
    """

    __slots__ = ("_context", "_previous", "_signing_key")

    def __init__(self, signing_key: SigningKey, timestamp: str, scope_text: str, seed_signature: str) -> None:
        """`seed_signature` is the verified signature of the request's head, whose time and scope the chunks share."""
        self._signing_key = signing_key
        self._context = f"{timestamp}\n{scope_text}\n"
        self._previous: str | None = seed_signature

    def __repr__(self) -> str:
        return "ChunkVerifier()"

    def verify_chunk(self, signature: str, payload_sha256_hex: str) -> None:
        """Raises AuthenticationError(SIGNATURE_MISMATCH) unless this is the next chunk's signature."""
        self._verify(signature, f"{_CHUNK}\n{self._context}{self._previous}\n{EMPTY_SHA256}\n{payload_sha256_hex}")

    def verify_trailer(self, signature: str, trailer_sha256_hex: str) -> None:
        """The same for the trailer: the hash is of its lines `name:value\\n`, x-amz-trailer-signature left out."""
        self._verify(signature, f"{_TRAILER}\n{self._context}{self._previous}\n{trailer_sha256_hex}")

    def _verify(self, signature: str, to_sign: str) -> None:
        is_intact = self._previous is not None
        expected = sign(self._signing_key, to_sign)
        self._previous = None
        if not hmac.compare_digest(expected.encode(), to_wire(signature)) or not is_intact:
            raise AuthenticationError(
                Reason.SIGNATURE_MISMATCH,
                MISMATCH_MESSAGE,
                {"StringToSign": to_sign, "SignatureProvided": signature[:256]},
            )
        self._previous = expected
