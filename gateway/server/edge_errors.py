"""The few errors that the edge itself answers, before anybody knows which operation is meant."""

from __future__ import annotations

from xml.sax.saxutils import escape

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response


def error_response(error: S3Error, request_id: str, host_id: str) -> Response:
    """`error` as S3's XML error document."""
    members = {"Code": error.code, "Message": error.message, **error.fields}
    members |= {"RequestId": request_id, "HostId": host_id}
    body = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'
    return Response(error.status, {"Content-Type": "application/xml", **error.headers}, document.encode("utf-8"))
