"""XML that clients send: every document that has a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.protocol.cross_origin import CrossOriginRequest, answer_headers
from gateway.protocol.errors import S3Error
from gateway.protocol.tags import BUCKET_TAGS, OBJECT_TAGS
from gateway.protocol.xml.documents.acl import AccessControlPolicy, GivenPolicy
from gateway.protocol.xml.documents.buckets import CreateBucketConfiguration, LocationConstraint
from gateway.protocol.xml.documents.cors import CORSConfiguration
from gateway.protocol.xml.documents.delete import Delete
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration
from gateway.protocol.xml.documents.error import ErrorDocument
from gateway.protocol.xml.documents.multipart import CompleteMultipartUpload
from gateway.protocol.xml.documents.public_access import OwnershipControls, PublicAccessBlockConfiguration
from gateway.protocol.xml.documents.settings import AbacStatus, AccelerateConfiguration, RequestPaymentConfiguration
from gateway.protocol.xml.documents.tagging import Tagging
from gateway.protocol.xml.documents.versioning import VersioningConfiguration
from tests.fuzz.inputs import headers_of, refused
from tests.fuzz.target import target


class Document(Protocol):
    def format(self) -> bytes: ...


D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class GivenACL:
    """An ACL as it was given, written as it is told once its grantees are known."""

    given: GivenPolicy

    @classmethod
    def parse(cls, body: bytes) -> GivenACL:
        return cls(GivenPolicy.parse(body))

    def format(self) -> bytes:
        grants = [(grant, None) for grant in self.given.grants]
        return AccessControlPolicy(self.given.owner_id, "", grants).format()


PARSERS: dict[str, Callable[[bytes], Document]] = {
    "AbacStatus": AbacStatus.parse,
    "AccelerateConfiguration": AccelerateConfiguration.parse,
    "AccessControlPolicy": GivenACL.parse,
    "CORSConfiguration": CORSConfiguration.parse,
    "CompleteMultipartUpload": CompleteMultipartUpload.parse,
    "CreateBucketConfiguration": CreateBucketConfiguration.parse,
    "Delete": Delete.parse,
    "Error": ErrorDocument.parse,
    "LocationConstraint": LocationConstraint.parse,
    "OwnershipControls": OwnershipControls.parse,
    "PublicAccessBlockConfiguration": PublicAccessBlockConfiguration.parse,
    "RequestPaymentConfiguration": RequestPaymentConfiguration.parse,
    "ServerSideEncryptionConfiguration": ServerSideEncryptionConfiguration.parse,
    "Tagging": lambda body: Tagging.parse(body, OBJECT_TAGS),
    "Tagging of a bucket": lambda body: Tagging.parse(body, BUCKET_TAGS),
    "VersioningConfiguration": VersioningConfiguration.parse,
}

_WORDS = (
    *(f"<{name}>".encode() for name in PARSERS if " " not in name),
    *(f"</{name}>".encode() for name in PARSERS if " " not in name),
    b"<Key>", b"</Key>", b"<Value>", b"</Value>", b"<Tag>", b"</Tag>", b"<TagSet>", b"</TagSet>",
    b"<Status>Enabled</Status>",
    b"<Rule>", b"</Rule>", b"<Part>", b"</Part>", b"<PartNumber>1</PartNumber>", b"<ETag>a</ETag>",
    b"<Quiet>true</Quiet>",
    b"<Object>", b"</Object>", b"<VersionId>null</VersionId>", b"<CORSRule>", b"</CORSRule>",
    b"<AllowedOrigin>*</AllowedOrigin>",
    b"<AllowedMethod>GET</AllowedMethod>", b"<MaxAgeSeconds>-1</MaxAgeSeconds>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"<Grant>", b"</Grant>", b"<Permission>READ</Permission>", b"<AccessControlList>", b"</AccessControlList>",
    b'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>a</ID></Grantee>',
    b'xsi:type="Group"', b"<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>",
    b"&b;", b"<![CDATA[", b"]]>", b"<?pi ?>", b"<!-- -->", b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
    b' xmlns:a="b"', b"<a:Key>", b'<?xml version="1.0" encoding="UTF-16"?>', b'<?xml version="1.1"?>', b"\xef\xbb\xbf",
    b"\xff\xfe", b"&#xD;", b"&#x1F600;", b"&#xFFFE;", b"&#x110000;", b" a='b'", b"/>",
)  # fmt: skip


_UNREAD = ("MalformedXML", "MalformedACLError")


@target("xml", *_WORDS)
def xml(data: bytes) -> str:
    """A document is refused by S3Error, or it is what it was read as: written and read again it is the same."""
    outcomes = {name: _read(parse, data) for name, parse in PARSERS.items()}
    return " ".join(f"{name}:{outcome}" for name, outcome in outcomes.items() if outcome not in _UNREAD)


def _read(parse: Callable[[bytes], Document], data: bytes) -> str:
    try:
        document = parse(data)
    except S3Error as error:
        return refused(error, len(data))
    written = document.format()
    assert len(written) <= 8 * len(data) + 4096
    assert parse(written) == document, written
    return "ok"


@target(
    "cors", b"origin: ", b"access-control-request-method: ", b"access-control-request-headers: ", b"GET", b"*", *_WORDS
)
def cors(data: bytes) -> str:
    """What rules answer to a request is header text: its names and values hold no control character and no quirk.

    The header lines of a request, an empty line, and a CORSConfiguration.
    """
    block, _, document = data.partition(b"\n\n")
    headers = headers_of(block)
    try:
        rules = CORSConfiguration.parse(document)
        asked = CrossOriginRequest.of_preflight(headers)
    except S3Error as error:
        return refused(error, len(data))
    outcome = ""
    for request in (asked, CrossOriginRequest.of_actual("GET", headers)):
        answer = None if request is None else answer_headers(rules, request)
        outcome += "none " if answer is None else f"{len(answer)} "
        for name, value in (answer or {}).items():
            assert value.isascii() and value.isprintable(), (name, value)
            assert len(value) <= len(data)
    return outcome
