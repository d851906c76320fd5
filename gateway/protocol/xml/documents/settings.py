"""Settings of a bucket that are one word: request payment, transfer acceleration, attribute-based access control.

API_PutBucketRequestPayment, API_PutBucketAccelerateConfiguration, API_PutBucketAbac.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.protocol.xml.reader import malformed, read_document, texts
from gateway.protocol.xml.writer import document, element

PAYERS = ("BucketOwner", "Requester")
ACCELERATION_STATES = ("Enabled", "Suspended")
ABAC_STATES = ("Enabled", "Disabled")


@dataclass(frozen=True, slots=True)
class RequestPaymentConfiguration:
    payer: str

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        return cls(_word(body, "RequestPaymentConfiguration", "Payer", PAYERS))

    def format(self) -> bytes:
        return document("RequestPaymentConfiguration", (element("Payer", self.payer),))


@dataclass(frozen=True, slots=True)
class AccelerateConfiguration:
    """`status` None: of a bucket that never had one."""

    status: str | None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        return cls(_word(body, "AccelerateConfiguration", "Status", ACCELERATION_STATES))

    def format(self) -> bytes:
        return document("AccelerateConfiguration", (element("Status", self.status),))


@dataclass(frozen=True, slots=True)
class AbacStatus:
    status: str

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        return cls(_word(body, "AbacStatus", "Status", ABAC_STATES))

    def format(self) -> bytes:
        return document("AbacStatus", (element("Status", self.status),))


def _word(body: bytes, root: str, name: str, words: tuple[str, ...]) -> str:
    word = texts(read_document(body, root), (name,), (name,))[name]
    if word not in words:
        raise malformed()
    return word
