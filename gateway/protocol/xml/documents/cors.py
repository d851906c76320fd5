"""CORSConfiguration: which pages of other origins may use a bucket from a browser (API_PutBucketCors).

Limits and refusals are those of the API reference ("up to 100 rules", "64 KB", "at most one * wildcard character") in
the words that AWS answers them with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.reader import Element, children, malformed, read_document, text_of
from gateway.protocol.xml.writer import document, element

MAX_BYTES = 64 << 10
MAX_RULES = 100
MAX_ID_CHARACTERS = 255
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")

_MAX_ELEMENTS = 16_384  # more than 64 KB can hold, in the form in which we write them, too
_MAX_INTEGER = 2**31 - 1
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110 §5.6.2), "*" included."""
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_VISIBLE = re.compile(r"[\x20-\x7e]*")
"""Origins are shown in headers of the answer."""


@dataclass(frozen=True, slots=True)
class CORSRule:
    """One rule. Origins and allowed headers may hold one "*" each, which stands for any text, the empty one too."""

    allowed_origins: tuple[str, ...]
    allowed_methods: tuple[str, ...]
    allowed_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    rule_id: str | None = None

    @classmethod
    def parse(cls, rule: Element) -> Self:
        """Raises S3Error MalformedXML, InvalidRequest, InvalidArgument (an ID that is too long)."""
        lists: dict[str, list[str]] = {}
        singles: dict[str, str] = {}
        for name, child in children(rule):
            if name in _LISTS:
                lists.setdefault(name, []).append(text_of(child))
            elif name in _SINGLES and name not in singles:
                singles[name] = text_of(child)
            else:
                raise malformed()
        if "AllowedOrigin" not in lists or "AllowedMethod" not in lists:
            raise malformed()
        origins, methods, headers, exposed = (tuple(lists.get(name, ())) for name in _LISTS)
        seconds = _seconds(singles["MaxAgeSeconds"]) if "MaxAgeSeconds" in singles else None
        parsed = cls(origins, methods, headers, exposed, seconds, singles.get("ID"))
        parsed._check()
        return parsed

    def format(self) -> str:
        members = (self.allowed_origins, self.allowed_methods, self.allowed_headers, self.expose_headers)
        lists = (element(name, text) for name, texts in zip(_LISTS, members, strict=True) for text in texts)
        max_age = element("MaxAgeSeconds", self.max_age_seconds)
        return f"<CORSRule>{element('ID', self.rule_id)}{''.join(lists)}{max_age}</CORSRule>"

    def _check(self) -> None:
        for origin in self.allowed_origins:
            _one_wildcard("AllowedOrigin", origin)
            if not _VISIBLE.fullmatch(origin):
                raise S3Error("InvalidRequest", f'AllowedOrigin "{origin[:256]}" contains invalid character.')
        for method in self.allowed_methods:
            if method not in METHODS:
                message = f"Found unsupported HTTP method in CORS config. Unsupported method is {method[:64]}"
                raise S3Error("InvalidRequest", message)
        for header in self.allowed_headers:
            _one_wildcard("AllowedHeader", header)
        for header in self.expose_headers:
            if "*" in header:
                message = (
                    f'ExposeHeader "{header[:256]}" contains wildcard. We currently do not support wildcard for '
                    "ExposeHeader."
                )
                raise S3Error("InvalidRequest", message)
        for header in self.allowed_headers + self.expose_headers:  # both by the name of the first, as AWS does
            if not _HEADER.fullmatch(header):
                raise S3Error("InvalidRequest", f'AllowedHeader "{header[:256]}" contains invalid character.')
        if self.rule_id is not None and len(self.rule_id) > MAX_ID_CHARACTERS:
            message = f"ID length should not exceed allowed limit of {MAX_ID_CHARACTERS}"
            raise S3Error("InvalidArgument", message, fields={"ArgumentName": "ID"})


_LISTS = ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")
"""In the order of the members of CORSRule."""
_SINGLES = ("MaxAgeSeconds", "ID")


@dataclass(frozen=True, slots=True)
class CORSConfiguration:
    """1 to 100 rules; the first that matches a request counts."""

    rules: Sequence[CORSRule]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Of at most MAX_BYTES as a client sent it. Raises S3Error MalformedXML, InvalidRequest, InvalidArgument."""
        rules: list[CORSRule] = []
        for name, child in children(read_document(body, "CORSConfiguration", max_elements=_MAX_ELEMENTS)):
            if name != "CORSRule" or len(rules) == MAX_RULES:
                raise malformed()
            rules.append(CORSRule.parse(child))
        if not rules:
            raise malformed()
        return cls(tuple(rules))

    def format(self) -> bytes:
        return document("CORSConfiguration", (rule.format() for rule in self.rules))


def _one_wildcard(name: str, text: str) -> None:
    if text.count("*") > 1:
        raise S3Error("InvalidRequest", f'{name} "{text[:256]}" can not have more than one wildcard.')


def _seconds(text: str) -> int:
    """AWS takes negative ones, too."""
    if not _INTEGER.fullmatch(text.strip()) or abs(int(text)) > _MAX_INTEGER:
        raise malformed()
    return int(text)
