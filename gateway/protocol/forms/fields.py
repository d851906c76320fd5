"""What the fields of a browser form ask for: a key, and what a PUT would have said in its headers.

Amazon S3 API Reference, "HTML Form Declaration".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.forms.multipart import Form
from gateway.protocol.tags import OBJECT_TAGS, TAGGING
from gateway.protocol.xml.documents.tagging import Tagging

FILENAME = "${filename}"

_AS_HEADERS = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-md5",
        "content-type",
        "expires",
    }
)
_OF_THE_FORM = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-trailer",
    }
)
"""x-amz-* fields that say who signed the form, or would speak of a body that is none of this one's."""

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""What can be the name of a header (RFC 9110 §5.6.2), in lower case."""

_URL = re.compile(r"[!-~]+")

_STATUSES = {"200": 200, "201": 201}


@dataclass(frozen=True, slots=True)
class FormUpload:
    """`fields` are as the policy sees them, with the key complete; `headers` as a PUT of the object would have them.

    `redirect` is where a success sends the browser, else `status` answers it: 200, 201 (with a document) or 204.
    """

    key: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    redirect: str | None
    status: int

    @classmethod
    def parse(cls, form: Form) -> Self:
        """Raises S3Error InvalidArgument, and what `Tagging.parse` does."""
        key = form.fields.get("key", "").replace(FILENAME, _last_part(form.filename))
        if not key:
            raise missing_field("key")
        fields = {**form.fields, "key": key}
        headers = {name: value for name, value in fields.items() if _is_header(name)}
        if "acl" in fields:
            headers["x-amz-acl"] = fields["acl"]
        if "tagging" in fields:  # a document, where a PUT has a header
            tagging = Tagging.parse(fields["tagging"].encode("utf-8", "surrogateescape"), OBJECT_TAGS)
            headers[TAGGING] = urlencode(tagging.tags)
        redirect = fields.get("success_action_redirect", fields.get("redirect"))
        return cls(key, fields, headers, redirect or None, _STATUSES.get(fields.get("success_action_status", ""), 204))

    def redirect_url(self, bucket: str, etag: str) -> str | None:
        """Where to send the browser, with what became of the upload; `etag` with its quotes. None for nowhere.

        Something that is no URL is nowhere, too, as S3 has it.
        """
        if self.redirect is None:
            return None
        try:
            parts = urlsplit(self.redirect)
        except ValueError:
            return None
        if parts.scheme not in ("http", "https") or not parts.netloc or not _URL.fullmatch(self.redirect):
            return None
        told = [*parse_qsl(parts.query, keep_blank_values=True), ("bucket", bucket), ("key", self.key), ("etag", etag)]
        return urlunsplit(parts._replace(query=urlencode(told)))


def missing_field(name: str) -> S3Error:
    message = (
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )
    return invalid_argument(name, "", message)


def _is_header(name: str) -> bool:
    if name in _AS_HEADERS:
        return True
    if not name.startswith("x-amz-") or name in _OF_THE_FORM:
        return False
    if not _FIELD_NAME.fullmatch(name):
        raise invalid_argument(ascii(name)[:256], "", "The field stands for a header and is no header name.")
    return True


def _last_part(filename: str) -> str:
    """Some browsers send the path: S3 takes what follows the last slash or backslash."""
    return re.split(r"[/\\]", filename)[-1]
