"""What CompleteMultipartUpload says of checksums, held against the upload. Answers are recorded from AWS."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from gateway.operations.multipart import parts as parts_of_an_upload
from tests.gateway.gateway_in_process import InProcessGateway
from tests.gateway.operations.uploads import begin

SHA256 = {"x-amz-checksum-algorithm": "SHA256"}
CRC32_OF_ALL = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}


def text_of(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.fixture(autouse=True)
def parts_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)


async def test_a_composite_checksum_needs_one_of_every_part(gateway: InProcessGateway) -> None:
    upload = await begin(gateway, "/ledger/k", SHA256)
    await upload.put(1, b"one")
    sent = await upload.put(2, b"two")
    with_checksum = upload.parts[2]
    assert sent.headers["x-amz-checksum-sha256"] in with_checksum
    upload.parts[2] = f"<ETag>{sent.headers['ETag']}</ETag>"
    refused = await upload.complete()
    assert (refused.status, refused.code) == (400, "InvalidRequest")
    assert refused.text("Message") == (
        "The upload was created using a sha256 checksum. The complete request must include the checksum for each part. "
        "It was missing for part 2 in the request."
    )
    upload.parts[2] = with_checksum
    assert (await upload.complete()).status == 200


async def test_a_checksum_of_another_algorithm(gateway: InProcessGateway) -> None:
    upload = await begin(gateway, "/ledger/k", CRC32_OF_ALL)
    sent = await upload.put(1, b"one")
    checksum = text_of(hashlib.sha256(b"one").digest())
    upload.parts[1] = f"<ETag>{sent.headers['ETag']}</ETag><ChecksumSHA256>{checksum}</ChecksumSHA256>"
    refused = await upload.complete()
    assert (refused.status, refused.code) == (400, "BadDigest")
    assert refused.text("Message") == "The sha256 you specified for part 1 did not match what we received."


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
async def test_an_upload_begun_without_algorithm_takes_no_checksums(gateway: InProcessGateway, algorithm: str) -> None:
    upload = await begin(gateway, "/ledger/k")
    checksum = text_of(zlib.crc32(b"one").to_bytes(4, "big"))
    sent = await upload.put(1, b"one", {"x-amz-checksum-crc32": checksum})
    plain = upload.parts[1]
    upload.parts[1] = plain + f"<Checksum{algorithm}>{checksum}</Checksum{algorithm}>"
    refused = await upload.complete()
    assert (refused.status, refused.code) == (400, "InvalidPart")
    assert refused.text("UploadId") == upload.upload_id
    assert (refused.text("PartNumber"), refused.text("ETag")) == ("1", sent.headers["ETag"].strip('"'))
    upload.parts[1] = plain
    assert (await upload.complete()).status == 200


@pytest.mark.parametrize(
    ("begun", "declared", "named"),
    [
        ({}, "FULL_OBJECT", "null"),
        ({}, "COMPOSITE", "null"),
        (SHA256, "FULL_OBJECT", "COMPOSITE"),
        (CRC32_OF_ALL, "COMPOSITE", "FULL_OBJECT"),
    ],
)
async def test_the_checksum_type_is_the_upload_s(
    gateway: InProcessGateway, begun: dict[str, str], declared: str, named: str
) -> None:
    upload = await begin(gateway, "/ledger/k", begun)
    await upload.put(1, b"one")
    refused = await upload.complete({"x-amz-checksum-type": declared})
    assert (refused.status, refused.code) == (400, "InvalidRequest")
    assert f"created using the {named} checksum mode" in (refused.text("Message") or "")


@pytest.mark.parametrize("header", ["x-amz-checksum-crc32", "x-amz-checksum-crc32c"])
async def test_a_wrong_checksum_of_the_object_names_the_upload_s_algorithm(
    gateway: InProcessGateway, header: str
) -> None:
    upload = await begin(gateway, "/ledger/k", CRC32_OF_ALL)
    await upload.put(1, b"one")
    refused = await upload.complete({header: text_of(bytes(4))})
    assert (refused.status, refused.code) == (400, "BadDigest")
    assert refused.text("Message") == "The crc32 you specified did not match the calculated checksum."
    right = text_of(zlib.crc32(b"one").to_bytes(4, "big"))
    assert (await upload.complete({"x-amz-checksum-crc32": right})).status == 200


async def test_no_parts_at_all(gateway: InProcessGateway) -> None:
    upload = await begin(gateway, "/ledger/k")
    refused = await gateway.call("POST", "/ledger/k", query={"uploadId": upload.upload_id})
    assert (refused.status, refused.code) == (400, "InvalidRequest")
    assert refused.text("Message") == "You must specify at least one part"
    assert (await upload.complete()).code == "MalformedXML"
