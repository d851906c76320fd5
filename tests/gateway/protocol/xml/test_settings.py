"""One-word settings, and documents of what a bucket does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.absent import EmptyDocument, EmptyList, is_empty
from gateway.protocol.xml.documents.settings import AbacStatus, AccelerateConfiguration, RequestPaymentConfiguration
from tests.gateway.protocol.xml.test_documents import as_botocore_reads


@pytest.mark.parametrize(
    ("written", "parse", "operation", "read"),
    [
        (RequestPaymentConfiguration("Requester"), RequestPaymentConfiguration.parse, "GetBucketRequestPayment",
         {"Payer": "Requester"}),
        (AccelerateConfiguration("Suspended"), AccelerateConfiguration.parse, "GetBucketAccelerateConfiguration",
         {"Status": "Suspended"}),
        (AbacStatus("Disabled"), AbacStatus.parse, "GetBucketAbac", {"AbacStatus": {"Status": "Disabled"}}),
    ],
)  # fmt: skip
def test_settings_are_read_back(written: Any, parse: Callable[[bytes], Any], operation: str, read: Any) -> None:
    assert parse(written.format()) == written
    assert as_botocore_reads(operation, written) == read


def test_a_bucket_that_never_had_acceleration_says_nothing() -> None:
    assert as_botocore_reads("GetBucketAccelerateConfiguration", AccelerateConfiguration(None)) == {}


@pytest.mark.parametrize(
    ("parse", "root", "name", "word"),
    [
        (RequestPaymentConfiguration.parse, "RequestPaymentConfiguration", "Payer", "BucketOwner"),
        (AccelerateConfiguration.parse, "AccelerateConfiguration", "Status", "Enabled"),
        (AbacStatus.parse, "AbacStatus", "Status", "Enabled"),
    ],
)
def test_documents_that_are_malformed(parse: Callable[[bytes], Any], root: str, name: str, word: str) -> None:
    assert parse(f"<{root}><{name}>{word}</{name}></{root}>".encode())
    for content in (
        "",
        f"<{name}/>",
        f"<{name}>{word.lower()}</{name}>",
        f"<{name}>{word}</{name}><{name}>{word}</{name}>",
        f"<{name}>{word}</{name}><Other/>",
        word,
    ):
        with pytest.raises(S3Error, match="MalformedXML"):
            parse(f"<{root}>{content}</{root}>".encode())
    with pytest.raises(S3Error, match="MalformedXML"):
        parse(f"<Other><{name}>{word}</{name}></Other>".encode())


@pytest.mark.parametrize(
    ("operation", "document", "read"),
    [
        ("GetBucketLogging", EmptyDocument("BucketLoggingStatus"), {}),
        ("GetBucketNotificationConfiguration", EmptyDocument("NotificationConfiguration"), {}),
        ("ListBucketInventoryConfigurations", EmptyList("ListInventoryConfigurationsResult"), {"IsTruncated": False}),
    ],
)
def test_what_a_bucket_does_not_have(operation: str, document: Any, read: Any) -> None:
    assert as_botocore_reads(operation, document) == read


def test_documents_that_ask_for_nothing() -> None:
    assert is_empty(b"<A/>", "A")
    assert is_empty(b'<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n</A>', "A")
    assert not is_empty(b"<A><B/></A>", "A")
    for body in (b"<B/>", b"", b"<A>text</A>"):
        with pytest.raises(S3Error, match="MalformedXML"):
            is_empty(body, "A")
