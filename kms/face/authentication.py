"""How the KMS says that it does not know who is asking: `iam.errors` in KMS's codes.

AWS KMS API Reference, "Common Errors". All have status 400, as AWS's JSON services answer them.
"""

from __future__ import annotations

from collections.abc import Mapping

from iam.errors import AuthenticationError, Fault, fault_of
from kms.face.response import FaceResponse, refusal

_CODES: Mapping[Fault, str] = {
    Fault.INCOMPLETE: "IncompleteSignature",
    Fault.INVALID: "InvalidSignatureException",
    Fault.UNKNOWN_CLIENT: "UnrecognizedClientException",
    Fault.EXPIRED: "InvalidSignatureException",
    Fault.EXPIRED_TOKEN: "ExpiredTokenException",
}


def authentication_failure(error: AuthenticationError, request_id: str) -> FaceResponse:
    """The answer to a request whose signature was refused."""
    fault, message = fault_of(error)
    return refusal(400, _CODES[fault], message, request_id)


def anonymous_failure(request_id: str) -> FaceResponse:
    """The answer to a request without a signature: nothing in the KMS is public."""
    return refusal(400, "MissingAuthenticationTokenException", "Missing Authentication Token", request_id)
