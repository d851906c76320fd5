"""The KMS error catalogue: AWS's codes, HTTP statuses and recorded messages.

Codes are spelt as AWS spells them. Statuses are those of the service model (botocore `kms`): 400 for whatever the
caller can mend, `NotFoundException` included, 500 for the three that the model marks as faults.
"""

from __future__ import annotations

from iam.policy.decisions import Decided

STATUS = {
    "AccessDeniedException": 400,
    "AlreadyExistsException": 400,
    "ConflictException": 400,
    "CustomKeyStoreNotFoundException": 400,
    "DependencyTimeoutException": 500,
    "DisabledException": 400,
    "DryRunOperationException": 400,
    "ExpiredImportTokenException": 400,
    "IncorrectKeyException": 400,
    "IncorrectKeyMaterialException": 400,
    "InvalidAliasNameException": 400,
    "InvalidArnException": 400,
    "InvalidCiphertextException": 400,
    "InvalidGrantIdException": 400,
    "InvalidGrantTokenException": 400,
    "InvalidImportTokenException": 400,
    "InvalidKeyUsageException": 400,
    "InvalidMarkerException": 400,
    "KMSInternalException": 500,
    "KMSInvalidMacException": 400,
    "KMSInvalidSignatureException": 400,
    "KMSInvalidStateException": 400,
    "KeyUnavailableException": 500,
    "LimitExceededException": 400,
    "MalformedPolicyDocumentException": 400,
    "NotAuthorizedException": 400,
    "NotFoundException": 400,
    "SerializationException": 400,
    "TagException": 400,
    "ThrottlingException": 400,
    "UnknownOperationException": 400,
    "UnsupportedOperationException": 400,
    "ValidationException": 400,
}


class KMSError(Exception):
    """A refusal by the KMS: `code` is a key of `STATUS`, `message` is what the client reads.

    `decisions` are what was decided before, for logs.
    """

    decisions: tuple[Decided, ...] = ()

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        return STATUS[self.code]


class KMSUnavailable(KMSError):
    """The HSM or the key process cannot be reached; trying again after `retry_after_seconds` may help."""

    def __init__(self, message: str, retry_after_seconds: int = 5) -> None:
        super().__init__("KeyUnavailableException", message)
        self.retry_after_seconds = retry_after_seconds
