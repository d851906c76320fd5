"""The Error document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.protocol.xml.reader import children, malformed, read_document, text_of
from gateway.protocol.xml.writer import document, element

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """`fields` are further elements between the message and the resource. Unlike all others it has no namespace.

    `is_wrapped`: S3 Control puts it into an ErrorResponse, which has the ids of the request in its place.
    """

    code: str
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    resource: str | None = None
    request_id: str | None = None
    host_id: str | None = None
    is_wrapped: bool = False

    def format(self) -> bytes:
        for name in self.fields:
            assert _NAME.fullmatch(name), name
        members = (
            element("Code", self.code),
            element("Message", self.message),
            *(element(name, value) for name, value in self.fields.items()),
            element("Resource", self.resource),
        )
        ids = element("RequestId", self.request_id), element("HostId", self.host_id)
        if self.is_wrapped:
            return document("ErrorResponse", ("<Error>", *members, "</Error>", *ids), namespace=None)
        return document("Error", (*members, *ids), namespace=None)

    @classmethod
    def parse(cls, body: bytes) -> ErrorDocument:
        """Read what another S3 answered. Raises S3Error MalformedXML."""
        found = {name: text_of(child) for name, child in children(read_document(body, "Error"))}
        if "Code" not in found:
            raise malformed()
        return cls(
            code=found.pop("Code"),
            message=found.pop("Message", ""),
            resource=found.pop("Resource", None),
            request_id=found.pop("RequestId", None),
            host_id=found.pop("HostId", None),
            fields=found,
        )
