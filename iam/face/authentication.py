"""How IAM and STS say that they do not know who is asking: `iam.errors` in the codes of query services.

IAM API Reference, "Common Errors".
"""

from __future__ import annotations

from collections.abc import Mapping

from iam.errors import AuthenticationError, Fault, fault_of
from iam.face.errors import IAMError

_CODES: Mapping[Fault, str] = {
    Fault.INCOMPLETE: "IncompleteSignature",
    Fault.INVALID: "SignatureDoesNotMatch",
    Fault.UNKNOWN_CLIENT: "InvalidClientTokenId",
    Fault.EXPIRED: "RequestExpired",
    Fault.EXPIRED_TOKEN: "ExpiredToken",
}


def authentication_failure(error: AuthenticationError) -> IAMError:
    """What a request is answered whose signature was refused."""
    fault, message = fault_of(error)
    return IAMError(_CODES[fault], message)


def anonymous_failure() -> IAMError:
    """What a request without a signature is answered: nothing here is public."""
    return IAMError("MissingAuthenticationToken", "Request is missing Authentication Token")
