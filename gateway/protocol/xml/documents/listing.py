"""ListBucketResult, in the forms of ListObjects and ListObjectsV2.

With `url_encoded` (`encoding-type=url`) keys, prefixes, delimiter and markers are percent-encoded (but for the prefix
asked for in version 1); tokens never are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.protocol.percent import UNRESERVED, encode
from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.documents.objects import owner_element
from gateway.protocol.xml.writer import PLAIN, document, element, escape, flag
from iam.quickly_made import quickly_made

Write = Callable[[str], str]


@quickly_made
@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing. `etag` is without quotes; `owner_id` None: the owner is not shown."""

    key: str
    modified_us: int
    etag: str
    size: int
    storage_class: str = "STANDARD"
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str | None = None
    owner_id: str | None = None
    owner_display_name: str | None = None


@dataclass(frozen=True, slots=True)
class ListBucketResultV1:
    """`next_marker` is shown only with a delimiter, as S3 does; without one, clients go on after the last key."""

    name: str
    prefix: str
    delimiter: str
    marker: str
    max_keys: int
    url_encoded: bool
    is_truncated: bool
    next_marker: str | None
    objects: Sequence[ListedObject]
    common_prefixes: Sequence[str]

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        shows_marker = self.is_truncated and self.delimiter and self.next_marker is not None
        return document(
            "ListBucketResult",
            (
                element("Name", self.name),
                # Not encoded here, unlike in version 2: SDKs decode the prefix of version 2 alone.
                element("Prefix", self.prefix),
                f"<Marker>{write(self.marker)}</Marker>",
                f"<NextMarker>{write(self.next_marker or '')}</NextMarker>" if shows_marker else "",
                f"<MaxKeys>{self.max_keys}</MaxKeys>",
                f"<Delimiter>{write(self.delimiter)}</Delimiter>" if self.delimiter else "",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.is_truncated),
                _contents(self.objects, url_encoded=self.url_encoded),
                common_prefixes(self.common_prefixes, url_encoded=self.url_encoded),
            ),
        )


@dataclass(frozen=True, slots=True)
class ListBucketResultV2:
    """`continuation_token` is the request's, `next_continuation_token` the next page's (None on the last one)."""

    name: str
    prefix: str
    delimiter: str
    start_after: str
    max_keys: int
    url_encoded: bool
    continuation_token: str | None
    next_continuation_token: str | None
    is_truncated: bool
    objects: Sequence[ListedObject]
    common_prefixes: Sequence[str]

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        return document(
            "ListBucketResult",
            (
                element("Name", self.name),
                f"<Prefix>{write(self.prefix)}</Prefix>",
                element("ContinuationToken", self.continuation_token),
                element("NextContinuationToken", self.next_continuation_token),
                f"<StartAfter>{write(self.start_after)}</StartAfter>" if self.start_after else "",
                f"<KeyCount>{len(self.objects) + len(self.common_prefixes)}</KeyCount>",
                f"<MaxKeys>{self.max_keys}</MaxKeys>",
                f"<Delimiter>{write(self.delimiter)}</Delimiter>" if self.delimiter else "",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.is_truncated),
                _contents(self.objects, url_encoded=self.url_encoded),
                common_prefixes(self.common_prefixes, url_encoded=self.url_encoded),
            ),
        )


def name_writer(url_encoded: bool) -> Write:
    """How keys, prefixes and markers stand in a listing. Percent-encoded text needs no escaping."""
    return encode if url_encoded else escape


def written(names: Sequence[str], *, url_encoded: bool) -> Sequence[str]:
    """Each as `name_writer` has it: of a page of a thousand mostly none needs it, which is seen of all at once."""
    unlike = "".join(names).encode("utf-8", "surrogatepass").translate(None, UNRESERVED if url_encoded else PLAIN)
    return list(map(name_writer(url_encoded), names)) if unlike else names


def common_prefixes(prefixes: Sequence[str], *, url_encoded: bool) -> str:
    names = written(prefixes, url_encoded=url_encoded)
    return "".join([f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in names])


def _contents(objects: Sequence[ListedObject], *, url_encoded: bool) -> str:
    """ETags, classes and algorithm names are ours and need no escaping. Hot: a call for each of a thousand shows."""
    keys = written([entry.key for entry in objects], url_encoded=url_encoded)
    return "".join([
        f"<Contents><Key>{key}</Key><LastModified>{format_iso8601(entry.modified_us)}</LastModified>"
        f"<ETag>&quot;{entry.etag}&quot;</ETag>"
        f"{listed_checksums(entry.checksum_algorithms, entry.checksum_type) if entry.checksum_algorithms else ''}"
        f"<Size>{entry.size}</Size>{owner_element(entry.owner_id, entry.owner_display_name) if entry.owner_id else ''}"
        f"<StorageClass>{entry.storage_class}</StorageClass></Contents>"
        for key, entry in zip(keys, objects, strict=True)
    ])  # fmt: skip


@lru_cache(maxsize=64)  # five algorithms and two types: in practice a page has one combination
def listed_checksums(algorithms: tuple[str, ...], checksum_type: str | None) -> str:
    """The elements that tell of an object's checksums in a listing."""
    names = "".join(element("ChecksumAlgorithm", name) for name in algorithms)
    return names + element("ChecksumType", checksum_type)
