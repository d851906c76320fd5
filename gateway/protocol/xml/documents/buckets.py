"""Documents of buckets: ListAllMyBucketsResult, CreateBucketConfiguration, LocationConstraint, …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from gateway.protocol.errors import S3Error
from gateway.protocol.names import BucketName, bucket_arn
from gateway.protocol.tags import NEW_BUCKET_TAGS, tag_set
from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.documents.tagging import MAX_ELEMENTS, format_tags, tag_pairs
from gateway.protocol.xml.reader import children, malformed, read_document, text_of
from gateway.protocol.xml.writer import document, element, escape


@dataclass(frozen=True, slots=True)
class BucketEntry:
    name: BucketName
    created_us: int
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ListAllMyBucketsResult:
    """`continuation_token` is that of the next page, None on the last one; `prefix` None was not given."""

    owner_id: str
    owner_display_name: str
    buckets: Sequence[BucketEntry]
    prefix: str | None = None
    continuation_token: str | None = None

    def format(self) -> bytes:
        buckets = "".join(
            f"<Bucket><Name>{escape(entry.name)}</Name><CreationDate>{format_iso8601(entry.created_us)}</CreationDate>"
            f"{element('BucketRegion', entry.region)}{element('BucketArn', bucket_arn(entry.name))}</Bucket>"
            for entry in self.buckets
        )
        return document(
            "ListAllMyBucketsResult",
            (
                f"<Owner>{element('ID', self.owner_id)}{element('DisplayName', self.owner_display_name)}</Owner>",
                f"<Buckets>{buckets}</Buckets>",
                element("Prefix", self.prefix),
                element("ContinuationToken", self.continuation_token),
            ),
        )


@dataclass(frozen=True, slots=True)
class CreateBucketConfiguration:
    """`location_constraint` None: the document names none."""

    location_constraint: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML; NotImplemented for directory buckets (Location, Bucket); what `tag_set` does."""
        constraint, tags = None, None
        for name, child in children(read_document(body, "CreateBucketConfiguration", max_elements=MAX_ELEMENTS)):
            if name in ("Location", "Bucket"):
                raise S3Error("NotImplemented", f"{name} in CreateBucketConfiguration is not implemented.")
            if name == "LocationConstraint" and constraint is None:
                constraint = text_of(child).strip()
            elif name == "Tags" and tags is None:
                tags = tag_set(tag_pairs(child), NEW_BUCKET_TAGS)
            else:
                raise malformed()
        return cls(constraint or None, tags or {})

    def format(self) -> bytes:
        tags = f"<Tags>{format_tags(self.tags)}</Tags>" if self.tags else ""
        return document("CreateBucketConfiguration", (element("LocationConstraint", self.location_constraint), tags))


@dataclass(frozen=True, slots=True)
class LocationConstraint:
    """`region` None stands for us-east-1, which S3 tells by an empty element."""

    region: str | None

    def format(self) -> bytes:
        return document("LocationConstraint", (escape(self.region or ""),))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        return cls(text_of(read_document(body, "LocationConstraint")) or None)
