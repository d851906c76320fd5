"""Answers of the AWS JSON 1.1 protocol."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from kms.api.errors import KMSError, KMSUnavailable
from kms.face.documents import Document

CONTENT_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class FaceResponse:
    """Status, headers and whole body of an answer. The body may hold plaintext, so that `repr` leaves it out."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"FaceResponse(status={self.status}, body of {len(self.body)} bytes)"


def success(document: Document | None, request_id: str) -> FaceResponse:
    """200; operations without an answer have an empty body, as AWS's have."""
    body = b"" if document is None else msgspec.json.encode(document)
    return FaceResponse(200, _headers(request_id), body)


def failure(error: KMSError, request_id: str) -> FaceResponse:
    """What a KMSError looks like outside; while the KMS is away, Retry-After says when to come again."""
    headers = _headers(request_id)
    if isinstance(error, KMSUnavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return refusal(error.status, error.code, error.message, request_id, headers)


def refusal(
    status: int, code: str, message: str, request_id: str, headers: dict[str, str] | None = None
) -> FaceResponse:
    """An error by its code; for those that are not the key service's own, such as a refused signature."""
    headers = _headers(request_id) if headers is None else headers
    headers["x-amzn-ErrorType"] = code
    return FaceResponse(status, headers, msgspec.json.encode({"__type": code, "message": message}))


def _headers(request_id: str) -> dict[str, str]:
    # KMS's answers carry keys and plaintext: AWS marks them all as not to be cached.
    return {
        "Content-Type": CONTENT_TYPE,
        "x-amzn-RequestId": request_id,
        "Cache-Control": "no-cache, no-store, must-revalidate, private",
    }
