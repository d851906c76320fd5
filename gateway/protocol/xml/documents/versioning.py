"""Documents of versioning: VersioningConfiguration and ListVersionsResult."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gateway.protocol.timestamps import format_iso8601
from gateway.protocol.xml.documents.listing import common_prefixes, listed_checksums, name_writer, written
from gateway.protocol.xml.documents.objects import owner_element
from gateway.protocol.xml.reader import malformed, read_document, texts
from gateway.protocol.xml.writer import document, element, flag
from iam.quickly_made import quickly_made

STATES = ("Enabled", "Suspended")
_MEMBERS = frozenset({"Status", "MfaDelete"})


@dataclass(frozen=True, slots=True)
class VersioningConfiguration:
    """`status` None: of a bucket that never had versioning, or of a request that forgot it."""

    status: str | None = None
    mfa_delete: str | None = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML."""
        members = texts(read_document(body, "VersioningConfiguration"), _MEMBERS)
        status, mfa_delete = members.get("Status"), members.get("MfaDelete")
        if status not in {None, *STATES} or mfa_delete not in {None, "Enabled", "Disabled"}:
            raise malformed()
        return cls(status, mfa_delete)

    def format(self) -> bytes:
        members = (element("Status", self.status), element("MfaDelete", self.mfa_delete))
        return document("VersioningConfiguration", members)


@quickly_made
@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version of a listing; a delete marker where `etag` is None. `etag` is without quotes."""

    key: str
    version_id: str
    is_latest: bool
    modified_us: int
    owner_id: str
    owner_display_name: str
    etag: str | None = None
    size: int = 0
    storage_class: str = "STANDARD"
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True)
class ListVersionsResult:
    """`next_key_marker` and `next_version_id_marker` are None on the last page; the second also after a prefix."""

    name: str
    prefix: str
    delimiter: str
    key_marker: str
    version_id_marker: str
    max_keys: int
    url_encoded: bool
    is_truncated: bool
    next_key_marker: str | None
    next_version_id_marker: str | None
    versions: Sequence[ListedVersion]
    common_prefixes: Sequence[str]

    def format(self) -> bytes:
        write = name_writer(self.url_encoded)
        next_key = self.next_key_marker
        return document(
            "ListVersionsResult",
            (
                element("Name", self.name),
                f"<Prefix>{write(self.prefix)}</Prefix>",
                f"<KeyMarker>{write(self.key_marker)}</KeyMarker>",
                f"<VersionIdMarker>{write(self.version_id_marker)}</VersionIdMarker>",
                "" if next_key is None else f"<NextKeyMarker>{write(next_key)}</NextKeyMarker>",
                element("NextVersionIdMarker", self.next_version_id_marker),
                f"<MaxKeys>{self.max_keys}</MaxKeys>",
                f"<Delimiter>{write(self.delimiter)}</Delimiter>" if self.delimiter else "",
                "<EncodingType>url</EncodingType>" if self.url_encoded else "",
                flag("IsTruncated", self.is_truncated),
                _entries(self.versions, url_encoded=self.url_encoded),
                common_prefixes(self.common_prefixes, url_encoded=self.url_encoded),
            ),
        )


def _entries(versions: Sequence[ListedVersion], *, url_encoded: bool) -> str:
    """Version and DeleteMarker, in the order of the listing, as S3 mixes them. Hot, as a page of objects is."""
    keys = written([version.key for version in versions], url_encoded=url_encoded)
    return "".join(map(_entry, keys, versions))


def _entry(key: str, version: ListedVersion) -> str:
    """`key` as it is to be written."""
    head = (
        f"<Key>{key}</Key><VersionId>{version.version_id}</VersionId>"
        f"<IsLatest>{'true' if version.is_latest else 'false'}</IsLatest>"
        f"<LastModified>{format_iso8601(version.modified_us)}</LastModified>"
    )
    owner = owner_element(version.owner_id, version.owner_display_name)
    if version.etag is None:
        return f"<DeleteMarker>{head}{owner}</DeleteMarker>"
    algorithms = version.checksum_algorithms
    checksums = listed_checksums(algorithms, version.checksum_type) if algorithms else ""
    return (
        f"<Version>{head}<ETag>&quot;{version.etag}&quot;</ETag>{checksums}<Size>{version.size}</Size>{owner}"
        f"<StorageClass>{version.storage_class}</StorageClass></Version>"
    )
