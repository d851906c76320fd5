"""ServerSideEncryptionConfiguration: a bucket's default encryption (API_PutBucketEncryption)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.protocol.encryption import MAX_KEY_ID_CHARACTERS
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode
from gateway.protocol.xml.reader import Element, boolean, children, malformed, read_document, text_of, texts
from gateway.protocol.xml.writer import document, element, flag

_DEFAULT = "ApplyServerSideEncryptionByDefault"
_BLOCKED = "BlockedEncryptionTypes"
_ALGORITHMS = {"AES256": Mode.SSE_S3, "aws:kms": Mode.SSE_KMS, "aws:kms:dsse": Mode.DSSE_KMS}
_NAMES = {mode: name for name, mode in _ALGORITHMS.items()}
_SSE_C, _NONE = "SSE-C", "NONE"


@dataclass(frozen=True, slots=True)
class ServerSideEncryptionConfiguration:
    """The one rule of a bucket.

    `kms_key_id` is exactly as the client wrote it; None with SSE_KMS means `alias/aws/s3`. `mode` is None where the
    rule names no default encryption, `takes_customer_keys` where it does not say whether SSE-C is blocked: what a rule
    leaves out it leaves as it is. `has_bucket_keys` is about SSE-KMS, and may be said of any mode.
    """

    mode: Mode | None
    kms_key_id: str | None = None
    takes_customer_keys: bool | None = None
    has_bucket_keys: bool = False

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML, InvalidArgument (a key id with AES256), NotImplemented (aws:fsx)."""
        rules = list(children(read_document(body, "ServerSideEncryptionConfiguration")))
        if len(rules) != 1 or rules[0][0] != "Rule":
            raise malformed()
        mode, key_id, takes_customer_keys, has_bucket_keys = None, None, None, False
        seen: set[str] = set()
        for name, child in children(rules[0][1]):
            if name in seen:
                raise malformed()
            seen.add(name)
            if name == _DEFAULT:
                mode, key_id = _default(child)
            elif name == _BLOCKED:
                takes_customer_keys = _takes_customer_keys(child)
            elif name == "BucketKeyEnabled":
                has_bucket_keys = boolean(text_of(child))
            else:
                raise malformed()
        if _DEFAULT not in seen and _BLOCKED not in seen:
            raise malformed()
        return cls(mode, key_id, takes_customer_keys, has_bucket_keys)

    def format(self) -> bytes:
        default = ""
        if self.mode is not None:
            default = (
                f"<{_DEFAULT}><SSEAlgorithm>{_NAMES[self.mode]}</SSEAlgorithm>"
                f"{element('KMSMasterKeyID', self.kms_key_id)}</{_DEFAULT}>"
            )
        blocked = ""
        if self.takes_customer_keys is not None:
            blocked = (
                f"<{_BLOCKED}>{element('EncryptionType', _NONE if self.takes_customer_keys else _SSE_C)}</{_BLOCKED}>"
            )
        return document(
            "ServerSideEncryptionConfiguration",
            ("<Rule>", default, flag("BucketKeyEnabled", self.has_bucket_keys), blocked, "</Rule>"),
        )


def _default(rule: Element) -> tuple[Mode, str | None]:
    members = texts(rule, ("SSEAlgorithm", "KMSMasterKeyID"), ("SSEAlgorithm",))
    algorithm, key_id = members["SSEAlgorithm"].strip(), members.get("KMSMasterKeyID")
    if algorithm in ("aws:fsx", "aws:backup"):
        raise S3Error("NotImplemented", f"Server-side encryption with {algorithm} is not implemented.")
    if algorithm not in _ALGORITHMS or (key_id is not None and not 1 <= len(key_id) <= MAX_KEY_ID_CHARACTERS):
        raise malformed()
    if key_id is not None and algorithm == "AES256":
        raise S3Error(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            fields={"ArgumentName": _DEFAULT},
        )
    return _ALGORITHMS[algorithm], key_id


def _takes_customer_keys(blocked: Element) -> bool | None:
    """None for a list of nothing."""
    found: list[str] = []
    for name, child in children(blocked):
        text = text_of(child).strip()
        if name != "EncryptionType" or text not in (_SSE_C, _NONE) or text in found:
            raise malformed()
        found.append(text)
    if len(found) > 1:
        raise malformed()
    return found[0] == _NONE if found else None
