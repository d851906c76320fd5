"""UploadPartCopy (API reference: API_UploadPartCopy).

The range is read, authenticated and sealed again as a blob of the upload's own: a part is stored under the upload's
data key, and the source's blobs are under another.
"""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.copy_source import check_copy_size, find_copy_source, open_source_key
from gateway.operations.digests import Digests
from gateway.operations.download import StoredBody
from gateway.operations.multipart.part_target import find_part_target
from gateway.operations.render import xml_response
from gateway.operations.upload import Storing
from gateway.operations.versioning import COPY_SOURCE_VERSION_HEADER, read_headers
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.content_sha256 import UNSIGNED_PAYLOAD
from gateway.protocol.copy_source import RANGE
from gateway.protocol.messages import Response
from gateway.protocol.ranges import parse_copy_range
from gateway.protocol.xml.documents.objects import CopyPartResult


async def handle(call: Call) -> Response:
    target = await find_part_target(call)
    source = await find_copy_source(call)
    chosen = parse_copy_range(call.request.headers.get(RANGE), source.row.size)
    start, end = (chosen.start, chosen.end) if chosen else (0, source.row.size)
    check_copy_size(end - start)
    body = StoredBody(call.services, await open_source_key(call, source), source.blobs, start, end)
    digests = Digests(ChecksumExpectation(), UNSIGNED_PAYLOAD, md5=target.md5_etag, also=target.algorithm)
    data_key = await target.open_data_key()
    async with Storing(
        call.services, data_key, body, digests, target.footer_of, watching=call.watching(), may_be_inline=False
    ) as stored:
        document = await target.put(stored)
    told = target.asked.checksum_algorithm  # recorded: no checksum where the upload was begun without an algorithm
    result = CopyPartResult(
        etag=document.etag,
        modified_us=call.now_us,
        checksums={told: document.checksums[told]} if told else {},
    )
    headers = {
        **target.encryption_headers(),
        **read_headers(call, source.bucket, source.row, name=COPY_SOURCE_VERSION_HEADER),
    }
    return xml_response(result, headers=headers)
