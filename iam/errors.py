"""Why a request could not be attributed to a principal: one exception, one enumeration of reasons.

S3 and KMS name the same refusals differently: `s3_code` gives S3's code (gateway renders it with `fields` as XML
elements), `kms.face.authentication` has the KMS's. Sources: Amazon S3 API Reference, "Error responses" and
"Authenticating Requests (AWS Signature Version 4)"; AWS KMS API Reference, "Common Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """The reasons for which authentication is refused."""

    MALFORMED_AUTHORIZATION = "malformed-authorization"
    """The Authorization header does not parse, or its credential scope is not for this service."""
    WRONG_SCOPE = "wrong-scope"
    """The credential scope is of another service or another day than the request; S3 answers as to a malformed one."""
    WRONG_REGION = "wrong-region"
    """The Authorization header's credential scope is for another region; S3 answers as to a malformed one."""
    MALFORMED_QUERY = "malformed-query"
    """The same for the parameters of a presigned URL."""
    MALFORMED_FORM = "malformed-form"
    """The same for the fields of a browser form."""
    UNSUPPORTED_AUTHORIZATION = "unsupported-authorization"
    """An Authorization scheme that nobody speaks here."""
    SIGNATURE_VERSION_2 = "signature-version-2"
    SIGNATURE_VERSION_4A = "signature-version-4a"
    SEVERAL_MECHANISMS = "several-mechanisms"
    MISSING_CONTENT_SHA256 = "missing-content-sha256"
    INVALID_CONTENT_SHA256 = "invalid-content-sha256"
    MISSING_DATE = "missing-date"
    HEADERS_NOT_SIGNED = "headers-not-signed"
    SECURITY_TOKEN = "security-token"  # noqa: S105
    """A session token that nobody here made, or not for this access key."""
    EXPIRED_TOKEN = "expired-token"  # noqa: S105
    REQUEST_TIME_TOO_SKEWED = "request-time-too-skewed"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    UNKNOWN_ACCESS_KEY = "unknown-access-key"
    SIGNATURE_MISMATCH = "signature-mismatch"


S3_CODE: Mapping[Reason, str] = {
    Reason.MALFORMED_AUTHORIZATION: "AuthorizationHeaderMalformed",
    Reason.WRONG_SCOPE: "AuthorizationHeaderMalformed",
    Reason.WRONG_REGION: "AuthorizationHeaderMalformed",
    Reason.MALFORMED_QUERY: "AuthorizationQueryParametersError",
    Reason.MALFORMED_FORM: "InvalidArgument",
    Reason.UNSUPPORTED_AUTHORIZATION: "InvalidArgument",
    Reason.SIGNATURE_VERSION_2: "InvalidRequest",
    Reason.SIGNATURE_VERSION_4A: "NotImplemented",
    Reason.SEVERAL_MECHANISMS: "InvalidArgument",
    Reason.MISSING_CONTENT_SHA256: "InvalidRequest",
    Reason.INVALID_CONTENT_SHA256: "InvalidArgument",
    Reason.MISSING_DATE: "AccessDenied",
    Reason.HEADERS_NOT_SIGNED: "AccessDenied",
    Reason.SECURITY_TOKEN: "InvalidToken",
    Reason.EXPIRED_TOKEN: "ExpiredToken",
    Reason.REQUEST_TIME_TOO_SKEWED: "RequestTimeTooSkewed",
    Reason.NOT_YET_VALID: "AccessDenied",
    Reason.EXPIRED: "AccessDenied",
    Reason.UNKNOWN_ACCESS_KEY: "InvalidAccessKeyId",
    Reason.SIGNATURE_MISMATCH: "SignatureDoesNotMatch",
}
"""S3's error code for each reason. The HTTP statuses stand in S3's own catalogue, under the code."""


def _as_text(quoted: str) -> str:
    """Text that can be written down although parts of it may quote bytes of a request that were no UTF-8."""
    return quoted.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class AuthenticationError(Exception):
    """The request is not attributed to anyone.

    `message` is S3's text; `fields` are the further elements of S3's error document, in order. The exception's own
    text leaves `fields` out: they quote the request (its headers may carry customer keys) and belong in the answer to
    the one who sent it, never in a log. `detail` is for the log alone, where it says more than the message. `elsewhere`
    is what the services other than S3 say, where that depends on the request.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        fields: Mapping[str, str] | None = None,
        detail: str | None = None,
        *,
        elsewhere: str | None = None,
    ) -> None:
        super().__init__(f"{reason.value}: {_as_text(message)}")
        self.reason = reason
        self.detail = detail
        self.elsewhere = None if elsewhere is None else _as_text(elsewhere)
        self.message = _as_text(message)
        self.fields: Mapping[str, str] = {name: _as_text(value) for name, value in fields.items()} if fields else {}

    @property
    def s3_code(self) -> str:
        return S3_CODE[self.reason]


class Fault(StrEnum):
    """The kinds of refusal that the services other than S3 tell apart."""

    INCOMPLETE = "incomplete"
    INVALID = "invalid"
    UNKNOWN_CLIENT = "unknown-client"
    EXPIRED = "expired"
    EXPIRED_TOKEN = "expired-token"  # noqa: S105


INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105
"""What the services other than S3 say of a session token, or an access key, that is none."""

FAULT: Mapping[Reason, tuple[Fault, str | None]] = {
    Reason.MALFORMED_AUTHORIZATION: (Fault.INCOMPLETE, None),
    Reason.WRONG_SCOPE: (Fault.INVALID, None),
    Reason.WRONG_REGION: (Fault.INVALID, "Credential should be scoped to a valid region."),
    Reason.MALFORMED_QUERY: (Fault.INCOMPLETE, None),
    Reason.MALFORMED_FORM: (Fault.INCOMPLETE, None),
    Reason.UNSUPPORTED_AUTHORIZATION: (Fault.INCOMPLETE, None),
    Reason.SIGNATURE_VERSION_2: (Fault.INCOMPLETE, None),
    Reason.SIGNATURE_VERSION_4A: (Fault.INCOMPLETE, None),
    Reason.SEVERAL_MECHANISMS: (Fault.INCOMPLETE, None),
    Reason.MISSING_CONTENT_SHA256: (Fault.INCOMPLETE, None),
    Reason.INVALID_CONTENT_SHA256: (Fault.INCOMPLETE, None),
    Reason.MISSING_DATE: (Fault.INCOMPLETE, None),
    Reason.HEADERS_NOT_SIGNED: (Fault.INVALID, None),
    Reason.SECURITY_TOKEN: (Fault.UNKNOWN_CLIENT, INVALID_TOKEN),
    Reason.EXPIRED_TOKEN: (Fault.EXPIRED_TOKEN, "The security token included in the request is expired"),
    Reason.REQUEST_TIME_TOO_SKEWED: (Fault.INVALID, None),
    Reason.NOT_YET_VALID: (Fault.INVALID, None),
    Reason.EXPIRED: (Fault.EXPIRED, None),
    Reason.UNKNOWN_ACCESS_KEY: (Fault.UNKNOWN_CLIENT, INVALID_TOKEN),
    Reason.SIGNATURE_MISMATCH: (
        Fault.INVALID,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    ),
}
"""Kind and message by reason; None: the message that the error brings, for them or else for S3."""


def fault_of(error: AuthenticationError) -> tuple[Fault, str]:
    """Kind and message of a refusal, for the services other than S3."""
    fault, message = FAULT[error.reason]
    return fault, message or error.elsewhere or error.message


def security_token_refused() -> AuthenticationError:
    """A session token that nobody here made for this access key."""
    return AuthenticationError(Reason.SECURITY_TOKEN, "The provided token is malformed or otherwise invalid.")


def unknown_access_key(access_key_id: str, because: str) -> AuthenticationError:
    """There is no such access key, or it is inactive, or whom it was made for is gone; in S3's words."""
    return AuthenticationError(
        Reason.UNKNOWN_ACCESS_KEY,
        "The AWS Access Key Id you provided does not exist in our records.",
        {"AWSAccessKeyId": access_key_id},
        because,
    )


def missing_form_field(name: str) -> AuthenticationError:
    """A browser form that carries a signature lacks one of its fields; in S3's words."""
    return AuthenticationError(
        Reason.MALFORMED_FORM,
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.",
        {"ArgumentName": name, "ArgumentValue": ""},
    )
