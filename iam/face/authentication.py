"""How IAM and STS say that they do not know who is asking: `iam.errors` in the codes of query services.

IAM API Reference, "Common Errors".
"""

from __future__ import annotations

from collections.abc import Mapping

from iam.errors import AuthenticationError, Reason
from iam.face.errors import IAMError

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_WRONG_REGION = "Credential should be scoped to a valid region."
_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105

_INCOMPLETE = "IncompleteSignature"
_UNKNOWN_CLIENT = "InvalidClientTokenId"
_MISMATCHED = "SignatureDoesNotMatch"

_TRANSLATION: Mapping[Reason, tuple[str, str | None]] = {
    Reason.MALFORMED_AUTHORIZATION: (_INCOMPLETE, None),
    Reason.WRONG_REGION: (_MISMATCHED, _WRONG_REGION),
    Reason.MALFORMED_QUERY: (_INCOMPLETE, None),
    Reason.MALFORMED_FORM: (_INCOMPLETE, None),
    Reason.UNSUPPORTED_AUTHORIZATION: (_INCOMPLETE, None),
    Reason.SIGNATURE_VERSION_2: (_INCOMPLETE, None),
    Reason.SIGNATURE_VERSION_4A: (_INCOMPLETE, None),
    Reason.SEVERAL_MECHANISMS: (_INCOMPLETE, None),
    Reason.MISSING_CONTENT_SHA256: (_INCOMPLETE, None),
    Reason.INVALID_CONTENT_SHA256: (_INCOMPLETE, None),
    Reason.MISSING_DATE: (_INCOMPLETE, None),
    Reason.HEADERS_NOT_SIGNED: (_MISMATCHED, None),
    Reason.SECURITY_TOKEN: (_UNKNOWN_CLIENT, _INVALID_TOKEN),
    Reason.REQUEST_TIME_TOO_SKEWED: (_MISMATCHED, None),
    Reason.NOT_YET_VALID: (_MISMATCHED, None),
    Reason.EXPIRED: ("RequestExpired", None),
    Reason.UNKNOWN_ACCESS_KEY: (_UNKNOWN_CLIENT, _INVALID_TOKEN),
    Reason.SIGNATURE_MISMATCH: (_MISMATCHED, _MISMATCH),
}
"""Code and message by reason; None: the message that the error brings."""


def authentication_failure(error: AuthenticationError) -> IAMError:
    """What a request is answered whose signature was refused."""
    code, message = _TRANSLATION[error.reason]
    return IAMError(code, error.message if message is None else message)


def anonymous_failure() -> IAMError:
    """What a request without a signature is answered: nothing here is public."""
    return IAMError("MissingAuthenticationToken", "Request is missing Authentication Token")
