"""Signature Version 4 in the Authorization header: parsing, string to sign, verification.

Sources: IAM User Guide, "AWS Signature Version 4 for API requests"; Amazon S3 API Reference, "Authenticating Requests:
Using the Authorization Header". The URL form is in `iam.presign`, chunk signatures in `iam.chunk_signatures`; which of
them a request uses, and whose key it is, in `iam.authenticator`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from itertools import filterfalse
from typing import NoReturn

from iam.canonical import Pairs, canonical_request, to_wire
from iam.errors import AuthenticationError, Reason
from iam.payload_hash import check_payload_hash
from iam.requests import SignableRequest
from iam.scope import (
    ALGORITHM,
    S3,
    SECURITY_TOKEN,
    Authentication,
    CredentialScope,
    Form,
    MalformedScope,
    Service,
    check_scope_date,
    format_iso,
    format_timestamp,
    parse_credential,
    parse_timestamp,
)
from iam.signing_keys import SigningKey

MISMATCH_MESSAGE = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)

_SIGNED_BY_NATURE = frozenset({"x-amz-content-sha256"})
"""S3 signs its value as the payload hash of the canonical request, the others sign the hash of the body itself."""


MAX_CLAIMS = 4096
MAX_CLAIM_CHARACTERS = 1024
"""Of each: a dozen signed headers take a third of it."""

_Claimed = tuple[CredentialScope, tuple[str, ...], frozenset[str]]


def parse_authorization_header(
    request: SignableRequest, pairs: Pairs, service: Service, regions: Sequence[str], claims: Claims
) -> Authentication:
    """Parse the Authorization header and what else of the head the signature needs.

    Blanks after the commas are optional and the date may stand in `Date`: esdk-obs-python sends both forms.
    Raises AuthenticationError.
    """
    headers = request.headers
    authorization = headers["authorization"]
    claim, _, signature = authorization.rpartition("Signature=")
    known = claims.find(claim, service) if signature.isalnum() else None
    try:
        if known is None:
            components = _components(authorization)
            signature = components["Signature"]
            scope = parse_credential(components["Credential"], service, regions)
            signed_headers = tuple(components["SignedHeaders"].split(";"))
            signed = frozenset(signed_headers)
        else:
            scope, signed_headers, signed = known
        timestamp, signed_at = request_time(headers)
        check_scope_date(scope, timestamp)
    except MalformedScope as error:
        if error.elsewhere is not None:
            _malformed(str(error), reason=Reason.WRONG_SCOPE, elsewhere=error.elsewhere)
        if error.region is None:
            _malformed(str(error))
        _malformed(str(error), {"Region": error.region}, Reason.WRONG_REGION)
    check_signed_headers(headers, signed)
    return Authentication(
        form=Form.HEADER,
        scope=scope,
        signed_headers=signed_headers,
        signature=signature,
        timestamp=timestamp,
        signed_at=signed_at,
        payload_hash=_declared_payload_hash(headers) if service.declares_payload_hash else None,
        pairs=pairs,
        security_token=headers.get(SECURITY_TOKEN),
        new_claim=claim if known is None and claim.endswith((", ", ",")) and signature.isalnum() else None,
    )


class Claims:
    """What Authorization headers claim before their signatures: whose access key, which day, which headers.

    A client says the same in each request of a day, so that it is parsed once. Only claims whose signatures were good
    come here, and all that one says is checked as if it were parsed: it is a shorter way to the same words.
    """

    def __init__(self, capacity: int = MAX_CLAIMS) -> None:
        self._capacity = capacity
        self._known: dict[str, tuple[Service, _Claimed]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, claim: str, service: Service) -> _Claimed | None:
        """Scope and signed headers, as a tuple and as a set; None for what must be parsed."""
        known = self._known.get(claim)
        return known[1] if known is not None and known[0] is service else None

    def keep(self, claim: str, service: Service, authentication: Authentication) -> None:
        """`claim` is what stands before a signature that was verified."""
        if len(claim) > MAX_CLAIM_CHARACTERS:
            return
        if len(self._known) >= self._capacity:
            self._known.clear()
        signed_headers = authentication.signed_headers
        self._known[claim] = service, (authentication.scope, signed_headers, frozenset(signed_headers))


def _components(authorization: str) -> dict[str, str]:
    algorithm, _, rest = authorization.strip(" \t").partition(" ")
    if algorithm != ALGORITHM:
        _refuse_scheme(algorithm)
    components = {}
    for component in rest.split(","):
        name, equals, value = component.strip(" \t").partition("=")
        if not equals or not value or name in components:
            _malformed(f'the authorization component "{component.strip()[:256]}" is malformed.')
        components[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in components:
            _malformed(f"the authorization header requires {name}.")
    return components


def _malformed(
    detail: str,
    fields: Mapping[str, str] | None = None,
    reason: Reason = Reason.MALFORMED_AUTHORIZATION,
    elsewhere: str | None = None,
) -> NoReturn:
    message = f"The authorization header is malformed; {detail}"
    raise AuthenticationError(reason, message, fields, elsewhere=elsewhere) from None


def _refuse_scheme(scheme: str) -> NoReturn:
    if scheme == "AWS":
        raise signature_version_2()
    if scheme.startswith("AWS4-ECDSA-P256"):
        raise AuthenticationError(
            Reason.SIGNATURE_VERSION_4A, f"Signature Version 4A is not supported. Please use {ALGORITHM}."
        )
    # The scheme's name only: with a header that is not what it should be, the rest may be a password or a token.
    raise AuthenticationError(
        Reason.UNSUPPORTED_AUTHORIZATION,
        "Unsupported Authorization Type",
        {"ArgumentName": "Authorization", "ArgumentValue": scheme[:64]},
    )


def signature_version_2() -> AuthenticationError:
    """The refusal of the older signatures, in S3's words for regions that never had them."""
    return AuthenticationError(
        Reason.SIGNATURE_VERSION_2,
        f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.",
    )


def told_time(headers: Mapping[str, str]) -> str | None:
    """The time of a request as its client wrote it; x-amz-date goes before Date, as the documentation has it."""
    text = headers.get("x-amz-date") or headers.get("date")
    return None if text is None else text.strip(" \t")


def request_time(headers: Mapping[str, str]) -> tuple[str, datetime]:
    """Timestamp and time of the request.

    Raises AuthenticationError(MISSING_DATE).
    """
    text = told_time(headers)
    if text is None:
        raise _no_date("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    moment = parse_timestamp(text)
    if moment is not None:
        return text, moment
    moment = _http_date_or_none(text)
    if moment is None:
        raise _no_date(f"Date must be in ISO-8601 'basic format'. Got '{text[:64]}'.")
    return format_timestamp(moment), moment


def _no_date(elsewhere: str) -> AuthenticationError:
    message = "AWS authentication requires a valid Date or x-amz-date header"
    return AuthenticationError(Reason.MISSING_DATE, message, elsewhere=elsewhere)


def parse_time(text: str) -> datetime | None:
    """The time in a header, which is a timestamp or what HTTP calls a date (RFC 9110 §5.6.7); None if it is neither."""
    return parse_timestamp(text) or _http_date_or_none(text)


def _http_date_or_none(text: str) -> datetime | None:
    if len(text) > 64:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _declared_payload_hash(headers: Mapping[str, str]) -> str:
    value = headers.get("x-amz-content-sha256")
    if value is None:
        raise AuthenticationError(
            Reason.MISSING_CONTENT_SHA256, "Missing required header for this request: x-amz-content-sha256"
        )
    return check_payload_hash(value.strip(" \t"))


def check_signed_headers(headers: Mapping[str, str], signed_headers: Iterable[str]) -> None:
    """Refuse a request with an unsigned Host or x-amz-* header: whoever carries it could have added the header.

    Raises AuthenticationError(HEADERS_NOT_SIGNED), naming them.
    """
    signed = frozenset(signed_headers)
    unsigned = [
        name
        for name in filterfalse(signed.__contains__, headers)
        if name.startswith("x-amz-") and name not in _SIGNED_BY_NATURE
    ]
    if "host" not in signed:
        unsigned.insert(0, "host")
    if unsigned:
        raise AuthenticationError(
            Reason.HEADERS_NOT_SIGNED,
            "There were headers present in the request which were not signed",
            {"HeadersNotSigned": ", ".join(unsigned)},
        )


def check_skew(signed_at: datetime, told: str, now: datetime, service: Service = S3) -> None:
    """Raises AuthenticationError(REQUEST_TIME_TOO_SKEWED) when the two are further apart than the service allows.

    `told` is the time as the client wrote it.
    """
    limit = service.max_skew
    if abs(now - signed_at) > limit:
        raise AuthenticationError(
            Reason.REQUEST_TIME_TOO_SKEWED,
            "The difference between the request time and the current time is too large.",
            {
                "RequestTime": told,
                "ServerTime": format_iso(now),
                "MaxAllowedSkewMilliseconds": str(int(limit.total_seconds() * 1000)),
            },
            elsewhere=_skew_elsewhere(signed_at, now, limit),
        )


def _skew_elsewhere(signed_at: datetime, now: datetime, limit: timedelta) -> str:
    """What the services other than S3 say, recorded from STS and KMS. SDKs read the server's time from it."""
    signed, server, minutes = format_timestamp(signed_at), format_timestamp(now), int(limit.total_seconds() // 60)
    if signed_at < now:
        earliest = format_timestamp(now - limit)
        return f"Signature expired: {signed} is now earlier than {earliest} ({server} - {minutes} min.)"
    latest = format_timestamp(now + limit)
    return f"Signature not yet current: {signed} is still later than {latest} ({server} + {minutes} min.)"


def string_to_sign(scope: CredentialScope, timestamp: str, canonical: str) -> str:
    """The string to sign over a canonical request."""
    return f"{ALGORITHM}\n{timestamp}\n{scope.text}\n{sha256(to_wire(canonical)).hexdigest()}"


def sign(signing_key: SigningKey, text: str) -> str:
    """The signature of a string to sign, 64 lower-case hex digits."""
    return signing_key.sign(to_wire(text)).hex()


def verify(
    request: SignableRequest,
    authentication: Authentication,
    service: Service,
    signing_key: SigningKey,
    payload_hash: str,
) -> None:
    """Hold the signature against the request, in constant time.

    Raises AuthenticationError(SIGNATURE_MISMATCH), whose fields quote what was hashed, as S3's answer does.
    """
    canonical = canonical_request(
        method=request.method,
        path=service.canonical_path(request.target_path),
        pairs=authentication.pairs,
        headers=request.headers,
        signed_headers=authentication.signed_headers,
        payload_hash=payload_hash,
    )
    to_sign = string_to_sign(authentication.scope, authentication.timestamp, canonical)
    expected = sign(signing_key, to_sign)
    if not hmac.compare_digest(expected.encode(), to_wire(authentication.signature)):
        raise _mismatch(authentication, to_sign, canonical)


def _mismatch(authentication: Authentication, to_sign: str, canonical: str) -> AuthenticationError:
    fields = {
        "AWSAccessKeyId": authentication.scope.access_key_id,
        "StringToSign": to_sign,
        "SignatureProvided": authentication.signature,
        "StringToSignBytes": to_wire(to_sign).hex(" "),
        "CanonicalRequest": canonical,
        "CanonicalRequestBytes": to_wire(canonical).hex(" "),
    }
    return AuthenticationError(Reason.SIGNATURE_MISMATCH, MISMATCH_MESSAGE, fields)
