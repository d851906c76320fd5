"""What listings share: continuation tokens, and rows as entries of a listing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from gateway.operations.acl import owner_of_object
from gateway.operations.context import Call, Owner
from gateway.operations.documents import ListedDocument, ObjectDocument
from gateway.operations.sealed_rows import must_be_opened_whole
from gateway.protocol.errors import S3Error
from gateway.sealing.errors import AuthenticationFailed
from gateway.storage.errors import NoSuchKey, NoSuchVersion
from gateway.storage.index.records import BucketRow
from gateway.storage.index.told import Told
from gateway.storage.index.version_columns import column_values, told_columns


def encode_token(call: Call, listing: bytes, position: bytes) -> str:
    """An opaque token for `position`; `listing` (a bucket id, say) is what it is good for."""
    return base64.urlsafe_b64encode(call.services.rows.seal_token(listing, position)).decode()


def decode_token(call: Call, listing: bytes, token: str) -> bytes:
    """The position in a token that this gateway made for this listing. Raises S3Error InvalidArgument."""
    try:
        return call.services.rows.open_token(listing, base64.urlsafe_b64decode(token.encode()))
    except (AuthenticationFailed, binascii.Error, UnicodeEncodeError, ValueError):
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            fields={"ArgumentName": "continuation-token"},
        ) from None


Opened = tuple[Sequence[Any], ListedDocument]
"""`version_columns.TOLD` of a version, proved, and what else is told of it."""


async def open_told(call: Call, told: Told) -> Sequence[Opened | None]:
    """Every version of a page, in their order.

    A row that must be opened whole is read again, as it is then: None, if it is gone. Raises AuthenticationFailed.
    """
    rows = call.services.rows
    try:
        return list(zip(told.rows, rows.open_told(told), strict=True))
    except AuthenticationFailed:
        if not any(must_be_opened_whole(row[-1]) for row in told.rows):
            raise
    opened: list[Opened | None] = []
    for row in told.rows:
        if not must_be_opened_whole(row[-1]):
            opened += zip([row], rows.open_told(Told(told.bucket_id, [row])), strict=True)
            continue
        key, _, version_id, *_ = row
        try:
            whole = await call.services.index.get_object(told.bucket_id, key, version_id)
        except (NoSuchKey, NoSuchVersion):
            opened.append(None)
            continue
        opened.append((told_columns(column_values(whole)), ListedDocument.of(rows.open_object(whole))))
    return opened


def listed_owners(call: Call, bucket: BucketRow) -> Callable[[ListedDocument], Owner]:
    """Whose each object of a page is. They are few: each is looked for once."""
    bucket_document = call.services.rows.open_bucket(bucket)
    known: dict[str | None, Owner] = {}

    def owner_of(document: ListedDocument) -> Owner:
        owner = known.get(document.owner)
        if owner is None:
            owner = known[document.owner] = owner_of_object(call.services, bucket, bucket_document, document)
        return owner

    return owner_of


def checksum_algorithms(document: ObjectDocument) -> tuple[str, ...]:
    return tuple(document.checksums)
