"""Signature Version 4 in the query string: presigned URLs.

Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters". The messages are S3's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn
from urllib.parse import unquote

from iam.canonical import Pairs
from iam.errors import AuthenticationError, Reason
from iam.payload_hash import UNSIGNED_PAYLOAD, check_payload_hash, is_signed_stream
from iam.requests import SignableRequest
from iam.scope import (
    ALGORITHM,
    MAX_SKEW,
    SECURITY_TOKEN,
    Authentication,
    Form,
    MalformedScope,
    Service,
    check_scope_date,
    format_iso,
    parse_credential,
    parse_timestamp,
)
from iam.sigv4 import check_signed_headers

MAX_EXPIRES_SECONDS = 7 * 24 * 3600

_EXPIRES = "X-Amz-Expires"
_REQUIRED = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
)
_TELLING = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})
_DIGITS = re.compile(r"[0-9]{1,18}")


def is_presigned(pairs: Pairs) -> bool:
    """Whether the query means to carry a version 4 signature, complete or not."""
    return any(name in _TELLING for name, _ in pairs)


def is_signed_by_version_2(pairs: Pairs) -> bool:
    """Whether the query carries the older signature (AWSAccessKeyId, Signature, Expires)."""
    names = {name for name, _ in pairs}
    return "Signature" in names and "AWSAccessKeyId" in names


def parse_presigned(request: SignableRequest, pairs: Pairs, service: Service, regions: Sequence[str]) -> Authentication:
    """Parse the X-Amz-* parameters among the canonical `pairs` of a presigned URL. Raises AuthenticationError."""
    parameters = _parameters(pairs, service)
    if parameters["X-Amz-Algorithm"] != ALGORITHM:
        _refuse_algorithm(parameters["X-Amz-Algorithm"])
    timestamp = parameters["X-Amz-Date"]
    signed_at = parse_timestamp(timestamp)
    if signed_at is None:
        _malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    try:
        scope = parse_credential(parameters["X-Amz-Credential"], service, regions)
    except MalformedScope as error:
        fields = {} if error.region is None else {"Region": error.region}
        _malformed(f"Error parsing the X-Amz-Credential parameter; {error}", fields)
    try:
        check_scope_date(scope, timestamp)
    except MalformedScope as error:
        _malformed(str(error))
    signed_headers = tuple(parameters["X-Amz-SignedHeaders"].split(";"))
    check_signed_headers(request.headers, signed_headers)
    return Authentication(
        form=Form.QUERY,
        scope=scope,
        signed_headers=signed_headers,
        signature=parameters["X-Amz-Signature"],
        timestamp=timestamp,
        signed_at=signed_at,
        payload_hash=_payload_hash(request.headers, pairs) if service.declares_payload_hash else None,
        pairs=[pair for pair in pairs if pair[0] != "X-Amz-Signature"],
        expires_seconds=_expires(parameters[_EXPIRES]) if service.has_expiring_urls else None,
        security_token=parameters.get("X-Amz-Security-Token", request.headers.get(SECURITY_TOKEN)),
    )


def _parameters(pairs: Pairs, service: Service) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("X-Amz-"):
            if name in parameters:
                _malformed(f"the parameter {name[:64]} was given more than once")
            parameters[name] = unquote(value, errors="surrogateescape")
    required = (*_REQUIRED, _EXPIRES) if service.has_expiring_urls else _REQUIRED
    if any(not parameters.get(name) for name in required):
        _malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    return parameters


def _malformed(message: str, fields: Mapping[str, str] | None = None) -> NoReturn:
    raise AuthenticationError(Reason.MALFORMED_QUERY, message, fields) from None


def _refuse_algorithm(algorithm: str) -> NoReturn:
    if algorithm.startswith("AWS4-ECDSA-P256"):
        raise AuthenticationError(
            Reason.SIGNATURE_VERSION_4A, f"Signature Version 4A is not supported. Please use {ALGORITHM}."
        )
    _malformed(f'X-Amz-Algorithm only supports "{ALGORITHM}"')


def _expires(text: str) -> int:
    if text.startswith("-") and _DIGITS.fullmatch(text[1:]):
        _malformed("X-Amz-Expires must be non-negative")
    if not _DIGITS.fullmatch(text):
        _malformed("X-Amz-Expires should be a number")
    seconds = int(text)
    if seconds > MAX_EXPIRES_SECONDS:
        _malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{MAX_EXPIRES_SECONDS} seconds"
        )
    if seconds == 0:
        _malformed("X-Amz-Expires must be at least 1 second")
    return seconds


def _payload_hash(headers: Mapping[str, str], pairs: Pairs) -> str:
    """What stands for the body in the signature; without either form of x-amz-content-sha256 nothing does.

    The header goes first: it is what the reader of the body obeys, and so it must be what was signed. As a parameter
    it is spelt in any case, as other headers that were moved into the query are.
    """
    value = headers.get("x-amz-content-sha256")
    if value is None:
        found = (text for name, text in pairs if name.lower() == "x-amz-content-sha256")
        value = unquote(next(found, UNSIGNED_PAYLOAD), errors="surrogateescape")
    value = check_payload_hash(value.strip(" \t"))
    if is_signed_stream(value):
        raise AuthenticationError(
            Reason.INVALID_CONTENT_SHA256,
            "A presigned URL has no chunk signatures.",
            {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": value},
        )
    return value


def check_validity(authentication: Authentication, now: datetime) -> None:
    """Raises AuthenticationError unless `now` lies between the URL's date and its expiry. Of S3's URLs alone."""
    assert authentication.expires_seconds is not None
    if authentication.signed_at - now > MAX_SKEW:
        raise AuthenticationError(
            Reason.NOT_YET_VALID,
            "Request is not valid yet",
            {"RequestTime": authentication.timestamp, "ServerTime": format_iso(now)},
        )
    expires_at = authentication.signed_at + timedelta(seconds=authentication.expires_seconds)
    if now > expires_at:
        raise AuthenticationError(
            Reason.EXPIRED,
            "Request has expired",
            {
                "X-Amz-Expires": str(authentication.expires_seconds),
                "Expires": format_iso(expires_at),
                "ServerTime": format_iso(now),
            },
        )
