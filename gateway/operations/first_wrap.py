"""Who else opens an object: the wrap that its data key was first written with, which blobs' footers hold for ever.

A copy that shares blobs, and an object whose encryption was updated, have another wrap in their row. Whoever has the
blobs themselves, and the first key, can still open them: what a key opens, and what its end makes unreadable, depends
on it.
"""

from __future__ import annotations

from gateway.operations.documents import ObjectDocument
from gateway.protocol.modes import Wrap

SERVICE_KEY = "AES256"
"""In place of a KMS key's ARN: the service's own key (SSE-S3), or a customer's, which is wrapped anew never."""


def first_key_after(source: Wrap, document: ObjectDocument, wrap: Wrap) -> str | None:
    """What the document of a row with `wrap` says, whose data key was `source`'s so far."""
    first = first_key(source, document)
    return None if first == key_of(wrap) else first


def first_key(wrap: Wrap, document: ObjectDocument) -> str:
    """The ARN of the KMS key that opens the footers of the object's blobs, or SERVICE_KEY."""
    return document.first_key or key_of(wrap)


def key_of(wrap: Wrap) -> str:
    return wrap.key_arn or SERVICE_KEY
