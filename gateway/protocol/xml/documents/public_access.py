"""PublicAccessBlockConfiguration and OwnershipControls (API_PutPublicAccessBlock, API_PutBucketOwnershipControls)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.protocol.public_access import ObjectOwnership, PublicAccessBlock
from gateway.protocol.xml.reader import boolean, children, malformed, read_document, texts
from gateway.protocol.xml.writer import NAMESPACE, document, element, flag

_MEMBERS = {
    "BlockPublicAcls": "block_public_acls",
    "IgnorePublicAcls": "ignore_public_acls",
    "BlockPublicPolicy": "block_public_policy",
    "RestrictPublicBuckets": "restrict_public_buckets",
}
_ROOT = "PublicAccessBlockConfiguration"


@dataclass(frozen=True, slots=True)
class PublicAccessBlockConfiguration:
    """Members that a document leaves out are false. `namespace` is that of the service that answers."""

    block: PublicAccessBlock
    namespace: str = NAMESPACE

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        found = texts(read_document(body, _ROOT), _MEMBERS)
        return cls(PublicAccessBlock(**{_MEMBERS[name]: boolean(text) for name, text in found.items()}))

    def format(self) -> bytes:
        members = (flag(name, getattr(self.block, member)) for name, member in _MEMBERS.items())
        return document(_ROOT, members, namespace=self.namespace)


@dataclass(frozen=True, slots=True)
class OwnershipControls:
    """The one rule of a bucket."""

    ownership: ObjectOwnership

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        rules = list(children(read_document(body, "OwnershipControls")))
        if len(rules) != 1 or rules[0][0] != "Rule":
            raise malformed()
        ownership = texts(rules[0][1], ("ObjectOwnership",), ("ObjectOwnership",))["ObjectOwnership"].strip()
        try:
            return cls(ObjectOwnership(ownership))
        except ValueError:
            raise malformed() from None

    def format(self) -> bytes:
        return document("OwnershipControls", ("<Rule>", element("ObjectOwnership", self.ownership), "</Rule>"))
