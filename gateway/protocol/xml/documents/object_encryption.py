"""ObjectEncryption: how an object that there is shall be encrypted from now on (API_UpdateObjectEncryption)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.reader import Element, boolean, children, malformed, read_document, texts

_KMS = "SSE-KMS"
_NEVER = frozenset({"DSSE-KMS", "SSE-C"})
_KEY_ARN = re.compile(r"arn:aws[a-zA-Z0-9-]*:kms:[a-z0-9-]+:([0-9]{12}):key/[a-zA-Z0-9-]+")
_MAX_ARN_CHARACTERS = 2048

# AWS's messages: API_UpdateObjectEncryption, "Errors".
_OTHER_TARGET = (
    "The UpdateObjectEncryption operation doesn't support updating the encryption type to DSSE-KMS or SSE-C. Modify "
    "the request to specify SSE-KMS for the updated encryption type, and then try again."
)
_NO_TARGET = (
    "Requests that modify an object encryption configuration require a valid new encryption type. Valid values are "
    "SSEKMS. Modify the request to specify SSE-KMS for the updated encryption type, and then try again."
)
_NO_ARN = (
    "Requests that modify an object's encryption type to SSE-KMS require an AWS KMS key Amazon Resource Name (ARN). "
    "Modify the request to specify a KMS key ARN, and then try again."
)
_BAD_ARN = (
    "Requests that modify an object's encryption type to SSE-KMS require a valid AWS KMS key Amazon Resource Name "
    "(ARN). Confirm that you have a correctly formatted KMS key ARN in your request, and then try again."
)
_BAD_BUCKET_KEY = (
    "The BucketKeyEnabled value isn't valid. Valid values are true or false. Modify the request to specify a valid "
    "value, and then try again."
)


@dataclass(frozen=True, slots=True)
class ObjectEncryption:
    """SSE-KMS by the key of that full ARN, which `account_id` owns: there is nothing else to change to."""

    key_arn: str
    account_id: str
    has_bucket_key: bool = False

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML, InvalidRequest."""
        return cls.of(read_document(body, "ObjectEncryption"))

    @classmethod
    def of(cls, element: Element) -> Self:
        """What an element ObjectEncryption says. Raises S3Error MalformedXML, InvalidRequest."""
        named = list(children(element))
        if len(named) > 1:
            raise malformed()
        name, by_kms = named[0] if named else ("", None)
        if name in _NEVER:
            raise S3Error("InvalidRequest", _OTHER_TARGET)
        if name != _KMS or by_kms is None:
            raise S3Error("InvalidRequest", _NO_TARGET)
        members = texts(by_kms, ("KMSKeyArn", "BucketKeyEnabled"))
        key_arn = members.get("KMSKeyArn", "").strip()
        if not key_arn:
            raise S3Error("InvalidRequest", _NO_ARN)
        match = _KEY_ARN.fullmatch(key_arn) if len(key_arn) <= _MAX_ARN_CHARACTERS else None
        if match is None:
            raise S3Error("InvalidRequest", _BAD_ARN)
        try:
            has_bucket_key = boolean(members.get("BucketKeyEnabled", "false"))
        except S3Error:
            raise S3Error("InvalidRequest", _BAD_BUCKET_KEY) from None
        return cls(key_arn, match[1], has_bucket_key)
