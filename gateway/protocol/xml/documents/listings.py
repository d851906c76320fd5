"""ListBucketResult, in the forms of ListObjects and ListObjectsV2.

With `url_encoded` (`encoding-type=url`) keys, prefixes, delimiter and markers are percent-encoded; tokens never are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.protocol.percent import encode
from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.documents.objects import Owner
from gateway.protocol.xml.writer import document, element, escape, flag

Write = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object of a listing. `etag` is without quotes; `owner` None is not shown; `checksum_algorithms` are names."""

    key: str
    modified_us: int
    etag: str
    size: int
    storage_class: str = "STANDARD"
    owner: Owner | None = None
    checksum_algorithms: Sequence[str] = ()
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True)
class ListObjectsV1Result:
    """`next_marker` is shown only with a delimiter, as S3 does; without one, clients go on after the last key."""

    bucket: str
    prefix: str
    delimiter: str
    marker: str
    max_keys: int
    url_encoded: bool
    is_truncated: bool
    next_marker: str | None
    objects: Sequence[ObjectEntry]
    common_prefixes: Sequence[str]

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        shows_marker = self.is_truncated and self.delimiter and self.next_marker is not None
        return document(
            "ListBucketResult",
            (
                element("Name", self.bucket),
                f"<Prefix>{write(self.prefix)}</Prefix>",
                f"<Marker>{write(self.marker)}</Marker>",
                f"<NextMarker>{write(self.next_marker or '')}</NextMarker>" if shows_marker else "",
                f"<MaxKeys>{self.max_keys}</MaxKeys>",
                f"<Delimiter>{write(self.delimiter)}</Delimiter>" if self.delimiter else "",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.is_truncated),
                _contents(self.objects, write),
                common_prefixes(self.common_prefixes, write),
            ),
        )


@dataclass(frozen=True, slots=True)
class ListObjectsV2Result:
    """`continuation_token` is the request's, `next_continuation_token` the next page's (None on the last one)."""

    bucket: str
    prefix: str
    delimiter: str
    start_after: str
    max_keys: int
    url_encoded: bool
    continuation_token: str | None
    next_continuation_token: str | None
    objects: Sequence[ObjectEntry]
    common_prefixes: Sequence[str]

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        return document(
            "ListBucketResult",
            (
                element("Name", self.bucket),
                f"<Prefix>{write(self.prefix)}</Prefix>",
                element("ContinuationToken", self.continuation_token),
                element("NextContinuationToken", self.next_continuation_token),
                f"<StartAfter>{write(self.start_after)}</StartAfter>" if self.start_after else "",
                f"<KeyCount>{len(self.objects) + len(self.common_prefixes)}</KeyCount>",
                f"<MaxKeys>{self.max_keys}</MaxKeys>",
                f"<Delimiter>{write(self.delimiter)}</Delimiter>" if self.delimiter else "",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.next_continuation_token is not None),
                _contents(self.objects, write),
                common_prefixes(self.common_prefixes, write),
            ),
        )


def name_writer(url_encoded: bool) -> Write:
    """How keys, prefixes and markers stand in a listing. Percent-encoded text needs no escaping."""
    return encode if url_encoded else escape


def common_prefixes(prefixes: Sequence[str], write: Write) -> str:
    return "".join([f"<CommonPrefixes><Prefix>{write(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes])


def _contents(objects: Sequence[ObjectEntry], write: Write) -> str:
    # Hot: 1 000 entries a page. ETags, classes and algorithm names are ours and need no escaping.
    return "".join(
        [
            f"<Contents><Key>{write(entry.key)}</Key><LastModified>{format_iso8601(entry.modified_us)}</LastModified>"
            f"<ETag>&quot;{entry.etag}&quot;</ETag>"
            f"{_checksums(entry) if entry.checksum_algorithms else ''}<Size>{entry.size}</Size>"
            f"{entry.owner.format() if entry.owner else ''}"
            f"<StorageClass>{entry.storage_class}</StorageClass></Contents>"
            for entry in objects
        ]
    )


def _checksums(entry: ObjectEntry) -> str:
    algorithms = "".join([f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm>" for name in entry.checksum_algorithms])
    return f"{algorithms}<ChecksumType>{entry.checksum_type or 'FULL_OBJECT'}</ChecksumType>"
