"""The encryption context as bytes: one canonical form, used as associated data wherever a context is bound.

Layout: count (BE32), then for every pair, in the order of the keys' UTF-8 bytes: length of key (BE32), key, length of
value (BE32), value. Lengths come first, so that `{"a": "bc"}` and `{"ab": "c"}` differ; absent is the same as empty.
Format: docs/formats/ciphertext-blob.md, "Encryption context".
"""

from __future__ import annotations

from kms.api.errors import KMSError
from kms.api.types import EncryptionContext

MAX_CONTEXT_BYTES = 8192
"""Keys and values together; AWS KMS quotas give 8 KB for the grant and request context alike."""

EMPTY_CONTEXT = bytes(4)


def canonical_context(context: EncryptionContext) -> bytes:
    """The canonical bytes of `context`; equal for equal mappings, whatever their order, and for no others.

    Raises ValidationException for a context above MAX_CONTEXT_BYTES or one that is not Unicode text.
    """
    if not context:
        return EMPTY_CONTEXT
    try:
        pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    except UnicodeEncodeError:
        raise KMSError("ValidationException", "The encryption context is not valid Unicode text.") from None
    parts = [len(pairs).to_bytes(4, "big")]
    for key, value in pairs:
        parts += (len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value)
    canonical = b"".join(parts)
    if len(canonical) - 4 - 8 * len(pairs) > MAX_CONTEXT_BYTES:
        raise KMSError(
            "ValidationException",
            f"The encryption context is longer than {MAX_CONTEXT_BYTES} bytes.",
        )
    return canonical
