"""A browser form on its way in: read up to its file, held against its policy, and told on as the PUT it stands for.

Whoever fills in the form is not who signed its policy; what the policy does not name, the form may not say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from gateway.protocol.content_sha256 import MAX_SINGLE_UPLOAD_BYTES, length_is_missing
from gateway.protocol.errors import S3Error
from gateway.protocol.forms.fields import FormUpload
from gateway.protocol.forms.multipart import MAX_REST_BYTES, FormReader, form_boundary
from gateway.protocol.forms.policy import FormPolicy
from gateway.protocol.messages import BodyStream, Request
from gateway.protocol.percent import encode

_KEPT_HEADERS = ("host", "origin", "referer", "user-agent")
"""What the request's own headers say about its sender; what they say about the body is the form's."""


class FormFile:
    """The file of a form as a body whose length lies in a range, in bytes, both ends included."""

    def __init__(self, body: BodyStream, low: int, high: int) -> None:
        self._body = body
        self._low = low
        self._high = high
        self._received = 0

    def check_most(self, length: int) -> None:
        """Raises S3Error EntityTooLarge if a file of `length` is too long."""
        if length > self._high:
            raise S3Error("EntityTooLarge", fields={"ProposedSize": str(length), "MaxSizeAllowed": str(self._high)})

    async def read(self) -> bytes:
        """Raises S3Error EntityTooLarge, EntityTooSmall, and what the form's reader does."""
        piece = await self._body.read()
        self._received += len(piece)
        self.check_most(self._received)
        if not piece and self._received < self._low:
            fields = {"ProposedSize": str(self._received), "MinSizeAllowed": str(self._low)}
            raise S3Error("EntityTooSmall", fields=fields)
        return piece


@dataclass(frozen=True, slots=True)
class BrowserForm:
    """A form whose fields were read. `policy` is None if it has none; `most_bytes` bounds the length of the file."""

    upload: FormUpload
    policy: FormPolicy | None
    file: FormFile
    most_bytes: int

    @classmethod
    async def read(cls, request: Request) -> BrowserForm:
        """Raises S3Error for what is no form, for one without a key, and for a policy that is none."""
        if request.content_length is None:
            raise length_is_missing(request.headers)
        reader = FormReader(request.body, form_boundary(request.headers.get("content-type", "")))
        upload = FormUpload.parse(await reader.read_form())
        text = upload.fields.get("policy")
        policy = None if text is None else FormPolicy.parse(text)
        low, high = (policy.length if policy is not None else None) or (0, MAX_SINGLE_UPLOAD_BYTES)
        file = FormFile(reader, low, min(high, MAX_SINGLE_UPLOAD_BYTES))
        return cls(upload, policy, file, max(0, request.content_length - reader.consumed_bytes))

    def check(self, bucket: str, now: datetime) -> None:
        """Raises S3Error AccessDenied for what the policy forbids, EntityTooLarge if it is certain already."""
        if self.policy is not None:
            self.policy.check(self.upload.fields, bucket, now)
        self.file.check_most(self.most_bytes - MAX_REST_BYTES)

    def as_put(self, request: Request) -> Request:
        """The request as if the file were put at its key; `content_length` only bounds the length of that."""
        path = f"{request.target_path.rstrip('/')}/{encode(self.upload.key)}"
        kept = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        headers = {**kept, **self.upload.headers}
        return replace(request, target_path=path, headers=headers, body=self.file, content_length=self.most_bytes)
