"""docs/formats/object.md is true: its worked example follows from its own text, its tables are those of the code."""

from __future__ import annotations

import hmac
import json
import re
import struct
import zlib
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol.modes import BlobKind, Mode
from gateway.sealing import epochs, footer
from gateway.sealing.format import SegmentSpan, segment_span
from tests.gateway.sealing.test_vectors import DIRECTORY

DOCUMENT = (Path(__file__).parents[3] / "docs" / "formats" / "object.md").read_text()
EXAMPLE = {
    name.strip(): bytes.fromhex(value)
    for block in re.findall(r"```example\n(.*?)```", DOCUMENT, re.S)
    for name, value in (line.split(" = ") for line in block.splitlines())
}
ENVELOPE = re.search(r"```json\n(.*?)\n```", DOCUMENT, re.S)
ZERO = bytes(12)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def test_the_worked_example_of_a_blob() -> None:
    assert ENVELOPE is not None
    envelope = ENVELOPE.group(1).encode()
    of = EXAMPLE.__getitem__
    assert of("PRK_0") == mac(of("salt"), of("data key"))
    for name, label in (("K_seg_0", b"segment"), ("commit_0", b"commit"), ("K_foot", b"footer")):
        assert of(name) == mac(of("PRK_0"), b"sealgate/v1/" + label + b"\0" + of("core") + b"\1")
    assert of("segment 0") == AESGCM(of("K_seg_0")).encrypt(of("nonce_0"), of("plaintext"), None)
    descriptor = b'{"key": "small-1", "size": 1}'
    assert of("sealed descriptor") == AESGCM(of("K_foot")).encrypt(ZERO, descriptor, envelope)
    header = of("core") + of("salt") + of("commit_0") + bytes(32)
    lengths = struct.pack(">QII", 1, len(envelope), len(of("sealed descriptor")))
    checksum = zlib.crc32(header + envelope + of("sealed descriptor") + lengths)
    assert of("tail") == lengths + struct.pack(">I", checksum) + bytes(4) + b"\r\nTGLAES"
    blob = header + of("segment 0") + envelope + of("sealed descriptor") + of("tail")
    assert blob == (DIRECTORY / "small-1.blob").read_bytes()


def test_the_worked_example_of_a_row_of_a_block() -> None:
    of = EXAMPLE.__getitem__
    assert of("K_block") == mac(of("index key of block"), b"sealgate/v2/rows" + of("salt of block"))
    columns = (b"object", b"a/key", b"null", b"")
    framed = b"".join(struct.pack(">I", len(column)) + column for column in columns)
    assert of("associated with uid") == of("uid in block") + struct.pack(">Q", 1) + framed
    nonce = of("nonce in block")
    sealed = AESGCM(of("K_block")).encrypt(nonce, b'{"etag":"x"}', of("associated with uid"))
    assert of("sealed in block") == struct.pack(">I", 2**31 + 1) + of("salt of block") + nonce + sealed


def test_the_worked_example_of_a_row_with_a_key_of_its_own() -> None:
    of = EXAMPLE.__getitem__
    row_key = mac(of("index key"), b"sealgate/v1/row" + of("row uid") + struct.pack(">Q", 1) + of("row salt"))
    columns = (b"object", b"a/key", b"null", b"")
    assert of("associated data") == b"".join(struct.pack(">I", len(column)) + column for column in columns)
    sealed = AESGCM(row_key).encrypt(ZERO, b'{"etag":"x"}', of("associated data"))
    assert of("sealed") == struct.pack(">IQ", 1, 1) + of("row salt") + sealed


def test_the_worked_example_of_a_wrap() -> None:
    of = EXAMPLE.__getitem__
    one_time_key = mac(of("wrapping key"), b"sealgate/v1/wrap" + of("wrap r"))
    sealed = AESGCM(one_time_key).encrypt(ZERO, of("wrapped data key"), of("wrap AAD"))
    assert of("wrapped") == b"\1" + struct.pack(">I", 1) + of("wrap r") + sealed


def test_the_worked_example_of_a_wrap_under_a_bucket_key() -> None:
    of = EXAMPLE.__getitem__
    blob, bucket_and_row, name = of("bucket key, by the KMS"), of("wrap AAD")[16:], "a/kéy".encode()
    assert of("bucket wrap AAD") == bucket_and_row + struct.pack(">I", len(name)) + name
    one_time_key = mac(of("bucket key"), b"sealgate/v1/wrap" + of("bucket wrap r"))
    sealed = AESGCM(one_time_key).encrypt(ZERO, of("bucket data key"), of("bucket wrap AAD"))
    local = b"\1" + bytes(4) + of("bucket wrap r") + sealed
    assert of("wrapped by bucket key") == struct.pack(">I", len(blob)) + blob + local


def test_the_worked_example_of_a_wrap_under_a_customers_key() -> None:
    of = EXAMPLE.__getitem__
    account_and_bucket, row = of("wrap AAD")[:36], of("wrap AAD")[36:]
    assert (account_and_bucket[4:16], len(row)) == (b"123456789012", 20)
    info = b"sealgate/v1/sse-c" + account_and_bucket
    assert of("customer PRK") == mac(of("customer salt"), of("customer's key"))
    assert of("customer K") == mac(of("customer PRK"), info + b"\1")
    assert of("customer C") == mac(of("customer PRK"), of("customer K") + info + b"\2")
    sealed = AESGCM(of("customer K")).encrypt(ZERO, of("customer data key"), of("wrap AAD"))
    assert of("wrapped by customer") == b"\1" + of("customer salt") + of("customer C") + sealed


def test_the_worked_example_of_two_layers() -> None:
    of = EXAMPLE.__getitem__
    core, salt = of("two-layer core"), of("two-layer salt")
    for layer, key in enumerate(("first key", "second key")):
        assert of(f"two-layer PRK_{layer}") == mac(salt, of(key))
        for name, label in (("K_seg", b"segment"), ("commit", b"commit")):
            info = b"sealgate/v1/" + label + bytes([layer]) + core + b"\1"
            assert of(f"two-layer {name}_{layer}") == mac(of(f"two-layer PRK_{layer}"), info)
    assert of("within layer 1") == AESGCM(of("two-layer K_seg_0")).encrypt(of("nonce_0"), b"", None)
    outer = AESGCM(of("two-layer K_seg_1")).encrypt(of("nonce_0"), of("within layer 1"), None)
    assert of("two-layer segment") == outer
    header = core + salt + of("two-layer commit_0") + of("two-layer commit_1")
    assert (DIRECTORY / "two-layers-0.blob").read_bytes().startswith(header + outer)


def test_the_worked_example_of_the_two_wraps_of_a_row() -> None:
    of = EXAMPLE.__getitem__
    blob = of("first key, by the KMS")
    assert of("second wrap AAD") == of("wrap AAD") + struct.pack(">I", 1) + b"\1"
    one_time_key = mac(of("service key"), b"sealgate/v1/wrap" + of("second wrap r"))
    sealed = AESGCM(one_time_key).encrypt(ZERO, of("second data key"), of("second wrap AAD"))
    local = b"\1" + struct.pack(">I", 2) + of("second wrap r") + sealed
    assert of("wrapped twice") == struct.pack(">I", len(blob)) + blob + local


def test_the_examples_of_index_arithmetic() -> None:
    section = DOCUMENT.split("### Index arithmetic")[1].split("###")[0]
    rows = [
        [int(cell) for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if re.fullmatch(r"\|( \d+ \|){6}", line)
    ]
    assert len(rows) == 5
    for start, end, first, offset, length, skip in rows:
        assert segment_span(start, end, 200_000) == SegmentSpan(first, offset, length, skip, end - start)


def test_tables_of_fields_leave_no_gap() -> None:
    header, tail = [
        [(int(start), int(size)) for start, size in re.findall(r"^\| (\d+) \| (\d+) \|", section, re.M)]
        for section in (
            DOCUMENT.split("### Header")[1].split("###")[0],
            DOCUMENT.split("- *tail*, 32 bytes:")[1].split("## ")[0],
        )
    ]
    for fields, total in ((header, 128), (tail, 32)):
        position = 0
        for start, size in fields:
            assert start == position
            position += size
        assert position == total


def test_names_and_numbers_are_those_of_the_code() -> None:
    modes = {"SSE_S3": 1, "SSE_KMS": 2, "SSE_KMS_BUCKET_KEY": 3, "DSSE_KMS": 4, "SSE_C": 5}
    assert {mode.name: mode.value for mode in Mode} == modes
    assert [kind.name for kind in BlobKind] == ["OBJECT", "PART", "MANIFEST"]
    assert "(1 object, 2 part, 3 manifest)" in DOCUMENT
    for name in (epochs.SERVICE_KEY_ALIAS, epochs.INDEX_KEY, epochs.SERVICE_KEY):
        assert f"`{name}`" in DOCUMENT
    assert footer.MAX_ENVELOPE_BYTES == 128 << 10
    assert footer.MAX_DESCRIPTOR_BYTES == 16 << 20
    assert ENVELOPE is not None
    for member in json.loads(ENVELOPE.group(1)):
        assert f"`{member}`" in DOCUMENT
