"""The errors of IAM, STS and Organizations: codes as their API References spell them ("Common Errors", and of each
operation)."""

from __future__ import annotations

from collections.abc import Mapping

STATUS: Mapping[str, int] = {
    "AccessDenied": 403,
    "AccountAlreadyClosedException": 400,
    "AccountNotFoundException": 400,
    "ChildNotFoundException": 400,
    "ConstraintViolationException": 400,
    "CreateAccountStatusNotFoundException": 400,
    "DeleteConflict": 409,
    "EntityAlreadyExists": 409,
    "ExpiredToken": 403,
    "ExpiredTokenException": 400,
    "IDPCommunicationError": 400,
    "IDPRejectedClaim": 403,
    "IncompleteSignature": 400,
    "InternalFailure": 500,
    "InvalidAction": 400,
    "InvalidAuthorizationMessageException": 400,
    "InvalidClientTokenId": 403,
    "InvalidIdentityToken": 400,
    "InvalidInput": 400,
    "InvalidParameterValue": 400,
    "LimitExceeded": 409,
    "MalformedInput": 400,
    "MalformedPolicyDocument": 400,
    "MalformedQueryString": 404,
    "MissingAction": 400,
    "MissingAuthenticationToken": 403,
    "NoSuchEntity": 404,
    "NotImplemented": 501,
    "PackedPolicyTooLarge": 400,
    "RequestEntityTooLarge": 413,
    "RequestExpired": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "TargetNotFoundException": 400,
    "Throttling": 400,
    "ValidationError": 400,
}


class IAMError(Exception):
    """What a request is refused with. The message goes to whoever sent it, and holds no secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        return STATUS[self.code]

    @property
    def fault(self) -> str:
        """Whose it was: `Sender` or `Receiver`, as the documents say."""
        return "Sender" if self.status < 500 else "Receiver"


def no_such_entity(what: str, name: str) -> IAMError:
    """`what` is `user`, `user policy`, …"""
    return IAMError("NoSuchEntity", f"The {what} with name {name} cannot be found.")
