"""Answers that are XML documents."""

from __future__ import annotations

from typing import Protocol

from gateway.protocol.messages import Response


class Document(Protocol):
    def format(self) -> bytes:
        """The whole XML document, with its declaration."""
        ...


def xml_response(document: Document, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(status, {"Content-Type": "application/xml", **(headers or {})}, document.format())
