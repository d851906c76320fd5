"""Browser forms: the multipart body, what its fields ask for, and its policy."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from gateway.protocol.errors import S3Error
from gateway.protocol.forms.fields import FormUpload
from gateway.protocol.forms.multipart import MAX_FIELDS_BYTES, Form, FormReader, form_boundary
from gateway.protocol.forms.policy import FormPolicy
from gateway.protocol.names import InvalidName, parse_object_key
from tests.fuzz.inputs import Pieces, finished, first_line, headers_of, outcome_of, refused, text_of
from tests.fuzz.target import target

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


@target("form", b"multipart/form-data; boundary=", b"boundary", b"\r\n--boundary\r\n", b"\r\n--boundary--", b"--",
        b'Content-Disposition: form-data; name="key"\r\n\r\n', b'name="file"; filename="', b"${filename}",
        b"\\", b"%22",
        b'name="tagging"\r\n\r\n', b"<Tagging><TagSet></TagSet></Tagging>", b'name="success_action_redirect"\r\n\r\n',
        b"http://[", b"https://example.com/?a=b#c", b'name="x-amz-meta-a"\r\n\r\n',
        b'name="success_action_status"\r\n\r\n201')  # fmt: skip
def form(data: bytes) -> str:
    """Whatever the pieces in which a form arrives, its fields and its file are the same, or the refusal is.

    What stands before the file is bounded. First line: the Content-Type header.
    """
    line, body = first_line(data)
    try:
        boundary = form_boundary(line)
    except S3Error as error:
        return refused(error, len(data))
    sizes = ((len(body) or 1,), (1,), (1 + sum(body[:5]) % 61,)) if len(body) < 2048 else ((len(body),), (997,))
    results = {_read(body, boundary, each) for each in sizes}
    assert len(results) == 1, results
    outcome, fields, filename, _ = results.pop()
    if outcome != "ok":
        return outcome
    return outcome_of(lambda: _check_upload(Form(dict(fields), filename)), data)


def _read(body: bytes, boundary: bytes, sizes: tuple[int, ...]) -> tuple[str, tuple[tuple[str, str], ...], str, bytes]:
    reader = FormReader(Pieces(body, sizes), boundary)
    file = bytearray()
    try:
        found = finished(reader.read_form())
        assert 0 <= reader.consumed_bytes <= MAX_FIELDS_BYTES + 4
        while piece := finished(reader.read()):
            file += piece
    except S3Error as error:
        return refused(error, len(body)), (), "", b""
    assert len(file) <= len(body)
    return "ok", tuple(sorted(found.fields.items())), found.filename, bytes(file)


def _check_upload(read: Form) -> None:
    upload = FormUpload.parse(read)
    assert upload.status in (200, 201, 204) and upload.key
    for name in upload.headers:
        assert name.isascii() and name == name.lower() and name.strip()
    try:
        parse_object_key(upload.key)
    except InvalidName:
        return  # refused before there is anything to redirect to
    url = upload.redirect_url("bucket", '"etag"')
    assert url is None or (url.isascii() and url.isprintable() and url.startswith(("http://", "https://")))


@target("form-policy", b"eyJleHBpcmF0aW9uIjoi", b"=", b'{"expiration":"2030-01-01T00:00:00.000Z","conditions":[', b"]}",
        b'{"bucket":"bucket"}', b'["starts-with","$key",""]', b'["eq","$acl","private"]',
        b'["content-length-range",1,10]',
        b'"10"', b"true", b"[[[[", b'"9999-12-31T23:59:59Z"', b'"\\ud800"',
        b'["starts-with","$Content-Type","a,b"]')  # fmt: skip
def form_policy(data: bytes) -> str:
    """A policy is refused by S3Error, or decides about any form.

    The form's fields as header lines, an empty line, and the policy: Base64, or the JSON that is put into it.
    """
    block, _, written = data.partition(b"\n\n")
    fields = headers_of(block)

    def parse() -> None:
        text = text_of(written)
        if written[:1] in (b"{", b"["):
            text = base64.b64encode(written).decode()
        parsed = FormPolicy.parse(text)
        assert parsed.length is None or all(0 <= bound <= 10**18 for bound in parsed.length)
        assert parsed.expiration.tzinfo is UTC
        parsed.check(fields, "bucket", _NOW)
        assert parsed.expiration > _NOW

    return outcome_of(parse, data)
