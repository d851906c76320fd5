"""How the KMS says that it does not know who is asking: `iam.errors` in KMS's codes.

AWS KMS API Reference, "Common Errors". All have status 400, as AWS's JSON services answer them.
"""

from __future__ import annotations

from collections.abc import Mapping

from iam.errors import AuthenticationError, Reason
from kms.face.response import FaceResponse, refusal

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_WRONG_REGION = "Credential should be scoped to a valid region."
_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105

_INCOMPLETE = "IncompleteSignature"
_INVALID = "InvalidSignatureException"
_UNRECOGNIZED = "UnrecognizedClientException"

_TRANSLATION: Mapping[Reason, tuple[str, str | None]] = {
    Reason.MALFORMED_AUTHORIZATION: (_INCOMPLETE, None),
    Reason.WRONG_REGION: (_INVALID, _WRONG_REGION),
    Reason.MALFORMED_QUERY: (_INCOMPLETE, None),
    Reason.MALFORMED_FORM: (_INCOMPLETE, None),
    Reason.UNSUPPORTED_AUTHORIZATION: (_INCOMPLETE, None),
    Reason.SIGNATURE_VERSION_2: (_INCOMPLETE, None),
    Reason.SIGNATURE_VERSION_4A: (_INCOMPLETE, None),
    Reason.SEVERAL_MECHANISMS: (_INCOMPLETE, None),
    Reason.MISSING_CONTENT_SHA256: (_INCOMPLETE, None),
    Reason.INVALID_CONTENT_SHA256: (_INCOMPLETE, None),
    Reason.MISSING_DATE: (_INCOMPLETE, None),
    Reason.HEADERS_NOT_SIGNED: (_INVALID, None),
    Reason.SECURITY_TOKEN: (_UNRECOGNIZED, _INVALID_TOKEN),
    Reason.REQUEST_TIME_TOO_SKEWED: (_INVALID, None),
    Reason.NOT_YET_VALID: (_INVALID, None),
    Reason.EXPIRED: (_INVALID, None),
    Reason.UNKNOWN_ACCESS_KEY: (_UNRECOGNIZED, _INVALID_TOKEN),
    Reason.SIGNATURE_MISMATCH: (_INVALID, _MISMATCH),
}
"""Code and message by reason; None: the message that the error brings."""


def authentication_failure(error: AuthenticationError, request_id: str) -> FaceResponse:
    """The answer to a request whose signature was refused."""
    code, message = _TRANSLATION[error.reason]
    return refusal(400, code, error.message if message is None else message, request_id)


def anonymous_failure(request_id: str) -> FaceResponse:
    """The answer to a request without a signature: nothing in the KMS is public."""
    return refusal(400, "MissingAuthenticationTokenException", "Missing Authentication Token", request_id)
