"""The few errors that the edge itself answers, before anybody knows which operation is meant."""

from __future__ import annotations

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.error import ErrorDocument


def error_response(error: S3Error, request_id: str, host_id: str) -> Response:
    """`error` as S3's XML error document."""
    document = ErrorDocument(error.code, error.message, error.fields, request_id=request_id, host_id=host_id)
    return Response(error.status, {"Content-Type": "application/xml", **error.headers}, document.format())
