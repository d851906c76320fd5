"""UploadPart (API reference: API_UploadPart)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.multipart.part_target import PartTarget, find_part_target
from gateway.operations.upload import checksum_headers, receive
from gateway.protocol.checksums import Algorithm, ChecksumExpectation
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response

MAX_PART_BYTES = 5 << 30
"""Amazon S3 multipart upload limits: a part has at most 5 GiB."""


async def handle(call: Call) -> Response:
    """A part sent again replaces the earlier one; each attempt is a blob of its own, under a key of its own."""
    target = await find_part_target(call)
    declared = ChecksumExpectation.parse(call.request.headers).algorithm
    check_part_algorithm(target, declared)
    async with receive(
        call,
        await target.open_data_key(),
        maximum_bytes=MAX_PART_BYTES,
        md5_etag=target.md5_etag,
        also=target.algorithm,
        footer_of=target.footer_of,
        may_be_inline=False,
    ) as received:
        document = await target.put(received)
    shown = declared or target.algorithm
    return Response(
        headers={
            "ETag": f'"{document.etag}"',
            **target.encryption_headers(),
            **checksum_headers(document.checksums, shown.name),
        }
    )


def check_part_algorithm(target: PartTarget, declared: Algorithm | None) -> None:
    """A part's checksum is of the kind that the upload was begun with. Raises S3Error InvalidRequest."""
    if target.asked.checksum_algorithm is not None and declared is not None and declared is not target.algorithm:
        message = (
            f"Checksum Type mismatch occurred, expected checksum Type: {target.algorithm.name.lower()}, "
            f"actual checksum Type: {declared.name.lower()}"
        )
        raise S3Error("InvalidRequest", message)
