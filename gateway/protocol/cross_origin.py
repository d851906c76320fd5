"""Cross-origin requests of browsers: what a bucket's CORS rules answer them.

Amazon S3 User Guide, "Using cross-origin resource sharing" and "Testing CORS"; the protocol is the Fetch standard's
(https://fetch.spec.whatwg.org/#http-cors-protocol). Texts and order of the refusals are recorded from AWS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.cors import METHODS, CORSConfiguration, CORSRule

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110 §5.6.2)."""
_ORIGIN = re.compile(r"[\x20-\x7e]+")
"""Any origin of a browser (RFC 6454 §6.2); anything else matches no rule, and is not repeated in a header."""


@dataclass(frozen=True, slots=True)
class CrossOriginRequest:
    """What decides about a request: `method` as the browser means it, `headers` those that a preflight announces."""

    origin: str
    method: str
    headers: tuple[str, ...]

    @classmethod
    def of_preflight(cls, headers: Mapping[str, str]) -> Self:
        """Raises S3Error BadRequest for a method that no rule can allow, and for what is no list of header names.

        A preflight without origin is `origin_of`'s to refuse: it is, before the bucket is looked at.
        """
        method = headers.get("access-control-request-method", "")
        if method not in METHODS:
            raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {method[:64] or 'null'}")
        names = _names(headers.get("access-control-request-headers", ""))
        for name in names:
            if not _NAME.fullmatch(name):
                message = f'Access-Control-Request-Headers "{name[:256]}" contains invalid character.'
                raise S3Error("BadRequest", message)
        return cls(origin_of(headers) or "", method, names)

    @classmethod
    def of_actual(cls, method: str, headers: Mapping[str, str]) -> Self | None:
        """None for a request of no origin. The headers of a preflight count here, too, as they do on AWS."""
        origin = origin_of(headers)
        if origin is None:
            return None
        asked = headers.get("access-control-request-method") or method
        return cls(origin, asked, _names(headers.get("access-control-request-headers", "")))


def origin_of(headers: Mapping[str, str]) -> str | None:
    return headers.get("origin") or None


def preflight_without_origin() -> S3Error:
    return S3Error("BadRequest", "Insufficient information. Origin request header needed.")


def forbidden(message: str, headers: Mapping[str, str], resource_type: str) -> S3Error:
    """AccessForbidden as a preflight gets it."""
    method = headers.get("access-control-request-method") or "OPTIONS"
    fields = {"Method": method[:32], "ResourceType": resource_type}
    return S3Error(
        "AccessForbidden",
        f"CORSResponse: {message}",
        fields=fields,
        decided_by="CORS rules of the bucket",
        reason=f"refused: {message}",
    )


NOT_ENABLED = "CORS is not enabled for this bucket."
NO_BUCKET = "Bucket not found"
NOT_ALLOWED = (
    "This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


def answer_headers(configuration: CORSConfiguration, request: CrossOriginRequest) -> dict[str, str] | None:
    """The headers of the answer, by the first rule that allows the request; None if none does."""
    if not _ORIGIN.fullmatch(request.origin) or not all(map(_NAME.fullmatch, request.headers)):
        return None
    for rule in configuration.rules:
        pattern = _allowing_origin(rule, request)
        if pattern is not None:
            return _headers(rule, request, is_for_all=pattern == "*")
    return None


def _allowing_origin(rule: CORSRule, request: CrossOriginRequest) -> str | None:
    """The pattern of the origin, if the rule allows the request."""
    if request.method not in rule.allowed_methods:
        return None
    patterns = [pattern.lower() for pattern in rule.allowed_headers]
    if not all(any(_matches(pattern, name) for pattern in patterns) for name in request.headers):
        return None
    return next((pattern for pattern in rule.allowed_origins if _matches(pattern, request.origin)), None)


def _headers(rule: CORSRule, request: CrossOriginRequest, *, is_for_all: bool) -> dict[str, str]:
    """To all origins alike, credentials (cookies, which S3 has no use for) are not allowed: Fetch standard, 3.3.5."""
    headers = {"Access-Control-Allow-Origin": "*" if is_for_all else request.origin}
    headers["Access-Control-Allow-Methods"] = ", ".join(rule.allowed_methods)
    if request.headers:
        headers["Access-Control-Allow-Headers"] = ", ".join(request.headers)
    if rule.expose_headers:
        headers["Access-Control-Expose-Headers"] = ", ".join(rule.expose_headers)
    if rule.max_age_seconds is not None:
        headers["Access-Control-Max-Age"] = str(rule.max_age_seconds)
    if not is_for_all:
        headers["Access-Control-Allow-Credentials"] = "true"
    headers["Vary"] = _VARY
    return headers


def _matches(pattern: str, text: str) -> bool:
    before, wildcard, after = pattern.partition("*")
    if not wildcard:
        return text == pattern
    return len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)


def _names(text: str) -> tuple[str, ...]:
    """A list of header names in lower case; empty members of it count for nothing (RFC 9110 §5.6.1.2)."""
    return tuple(name for each in text.split(",") if (name := each.strip(" \t").lower()))
