"""ListObjectVersions (API reference: API_ListObjectVersions).

Answered from the sealed rows alone: never asks the KMS.
"""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.listing import listed_owners, open_told
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.query import ListVersionsParameters
from gateway.protocol.version_ids import check_version_id
from gateway.protocol.xml.documents.versioning import ListedVersion, ListVersionsResult
from gateway.storage.index.pages import VersionPage
from gateway.storage.index.records import BucketRow, RowKind
from gateway.storage.index.told import Told


async def handle(call: Call) -> Response:
    """All versions and delete markers, also of a bucket that never had versioning: then the null versions."""
    parameters = ListVersionsParameters.parse(call.query)
    bucket = await call.bucket()
    page = await _page(call, bucket, parameters)
    next_key, next_version_id = page.next_after or (None, None)
    return xml_response(
        ListVersionsResult(
            name=bucket.name,
            prefix=parameters.prefix,
            delimiter=parameters.delimiter,
            key_marker=parameters.key_marker,
            version_id_marker=parameters.version_id_marker,
            max_keys=parameters.max_keys,
            url_encoded=parameters.url_encoded,
            is_truncated=next_key is not None,
            next_key_marker=None if next_key is None else next_key.decode(),
            next_version_id_marker=next_version_id,
            versions=await _listed(call, bucket, page),
            common_prefixes=tuple(prefix.decode() for prefix in page.common_prefixes),
        )
    )


async def _page(call: Call, bucket: BucketRow, parameters: ListVersionsParameters) -> VersionPage:
    after: tuple[bytes, str | None] | None = None
    if parameters.key_marker:
        version_id = parameters.version_id_marker
        if version_id:
            check_version_id(version_id, argument="version-id-marker")
        after = (parameters.key_marker.encode(), version_id or None)
    if parameters.max_keys == 0:
        return VersionPage(Told(bucket.bucket_id, ()), (), (), None)
    return await call.services.index.list_versions(
        bucket.bucket_id,
        prefix=parameters.prefix.encode(),
        delimiter=parameters.delimiter.encode(),
        after=after,
        max_keys=parameters.max_keys,
    )


async def _listed(call: Call, bucket: BucketRow, page: VersionPage) -> list[ListedVersion]:
    owner_of = listed_owners(call, bucket)
    listed = []
    for opened, is_latest in zip(await open_told(call, page.told), page.are_latest, strict=True):
        if opened is None:
            continue
        (key, _, version_id, kind, size, modified_us, _, _), document = opened
        owner = owner_of(document)
        listed.append(
            ListedVersion(
                key.decode(),
                version_id,
                is_latest,
                modified_us,
                owner.canonical_id,
                owner.display_name,
                document.etag if kind == RowKind.OBJECT else None,
                size,
                document.storage_class,
                tuple(document.checksums),
                document.checksum_type if document.checksums else None,
            )
        )
    return listed
