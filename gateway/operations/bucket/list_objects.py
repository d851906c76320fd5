"""ListObjects and ListObjectsV2 (API reference: API_ListObjects, API_ListObjectsV2).

Answered from the sealed rows alone: never asks the KMS.
"""

from __future__ import annotations

from gateway.operations.bucket.location import REGION_HEADER
from gateway.operations.context import Call
from gateway.operations.listing import decode_token, encode_token, listed_owners, open_told
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.query import ListObjectsV1Parameters, ListObjectsV2Parameters
from gateway.protocol.xml.documents.listing import ListBucketResultV1, ListBucketResultV2, ListedObject
from gateway.storage.index.pages import ObjectPage
from gateway.storage.index.records import BucketRow
from gateway.storage.index.told import Told


async def handle_v1(call: Call) -> Response:
    parameters = ListObjectsV1Parameters.parse(call.query)
    bucket = await call.bucket()
    page = await _page(call, bucket, parameters, after=parameters.marker.encode())
    # S3 gives NextMarker only with a delimiter; without one, clients continue after the last key.
    has_next = page.next_after is not None and parameters.delimiter
    return xml_response(
        ListBucketResultV1(
            name=bucket.name,
            prefix=parameters.prefix,
            marker=parameters.marker,
            next_marker=(page.next_after or b"").decode() if has_next else None,
            delimiter=parameters.delimiter,
            max_keys=parameters.max_keys,
            is_truncated=page.next_after is not None,
            objects=await _listed(call, bucket, page.told, with_owner=True),
            common_prefixes=_prefixes(page),
            url_encoded=parameters.url_encoded,
        ),
        headers={REGION_HEADER: bucket.region},
    )


async def handle_v2(call: Call) -> Response:
    parameters = ListObjectsV2Parameters.parse(call.query)
    bucket = await call.bucket()
    token = parameters.continuation_token
    after = decode_token(call, bucket.bucket_id, token) if token is not None else parameters.start_after.encode()
    page = await _page(call, bucket, parameters, after=after)
    following = page.next_after
    return xml_response(
        ListBucketResultV2(
            name=bucket.name,
            prefix=parameters.prefix,
            delimiter=parameters.delimiter,
            start_after=parameters.start_after,
            continuation_token=token,
            next_continuation_token=encode_token(call, bucket.bucket_id, following) if following else None,
            max_keys=parameters.max_keys,
            is_truncated=following is not None,
            objects=await _listed(call, bucket, page.told, with_owner=parameters.fetch_owner),
            common_prefixes=_prefixes(page),
            url_encoded=parameters.url_encoded,
        ),
        headers={REGION_HEADER: bucket.region},
    )


async def _page(
    call: Call, bucket: BucketRow, parameters: ListObjectsV1Parameters | ListObjectsV2Parameters, *, after: bytes
) -> ObjectPage:
    if parameters.max_keys == 0:
        return ObjectPage(Told(bucket.bucket_id, ()), (), None)
    return await call.services.index.list_objects(
        bucket.bucket_id,
        prefix=parameters.prefix.encode(),
        delimiter=parameters.delimiter.encode(),
        after=after,
        max_keys=parameters.max_keys,
    )


async def _listed(call: Call, bucket: BucketRow, told: Told, *, with_owner: bool) -> list[ListedObject]:
    owner_of = listed_owners(call, bucket)
    listed, owner_id, owner_display_name = [], None, None
    for opened in await open_told(call, told):
        if opened is None:
            continue
        (key, _, _, _, size, modified_us, _, _), document = opened
        if with_owner:
            owner = owner_of(document)
            owner_id, owner_display_name = owner.canonical_id, owner.display_name
        listed.append(
            ListedObject(
                key.decode(),
                modified_us,
                document.etag,
                size,
                document.storage_class,
                tuple(document.checksums),
                document.checksum_type,
                owner_id,
                owner_display_name,
            )
        )
    return listed


def _prefixes(page: ObjectPage) -> tuple[str, ...]:
    # A delimiter may end inside no character, but prefixes come from keys, which are UTF-8, and end with it.
    return tuple(prefix.decode() for prefix in page.common_prefixes)
