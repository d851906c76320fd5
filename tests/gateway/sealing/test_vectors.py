"""The known answers of version 1: made by the gateway's code, agreed by a second reading of the format."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import UNSET

from gateway.blob_open import Blob
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.body_key import BodyKey
from gateway.sealing.customer_keys import customer_unwrap
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.epochs import EpochKeys
from gateway.sealing.footer import open_descriptor, parse_envelope, parse_footer
from gateway.sealing.format import HEADER_SIZE, sealed_length
from gateway.sealing.row import RowSealer
from gateway.sealing.stream import BlobOpener, BlobSealer
from gateway.sealing.wraps import bucket_key_unwrap, local_unwrap, split_kms_wrap
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import CALLER, FakeBucketKeyStore, FakeKMS
from tests.vectors import generate_object
from tests.vectors.generate_object import (
    BlobVector,
    BucketKeyWrapVector,
    CustomerWrapVector,
    RowVector,
    TwoWrapsVector,
    WrapVector,
    fixed,
)

pytestmark = pytest.mark.usefixtures("unrecorded")

DIRECTORY = Path(generate_object.__file__).parent / "object-v1"
VECTORS = json.loads((DIRECTORY / "vectors.json").read_text())
BLOBS: list[BlobVector] = VECTORS["blobs"]
ROWS: list[RowVector] = VECTORS["rows"]
WRAPS: list[WrapVector] = VECTORS["wraps"]
CUSTOMER_WRAPS: list[CustomerWrapVector] = VECTORS["customer_wraps"]
BUCKET_KEY_WRAPS: list[BucketKeyWrapVector] = VECTORS["bucket_key_wraps"]
TWO_WRAPS: list[TwoWrapsVector] = VECTORS["two_wraps"]


def name_of(
    vector: BlobVector | RowVector | WrapVector | CustomerWrapVector | BucketKeyWrapVector | TwoWrapsVector,
) -> str:
    return vector["name"]


def stored_blob(vector: BlobVector) -> bytes:
    """The kept file where there is one, else sealed anew; either way the bytes of the vector's hash."""
    path = DIRECTORY / f"{vector['name']}.blob"
    if path.exists():
        stored = path.read_bytes()
    else:
        second = vector["second_key"]
        sealer = BlobSealer(
            SecretBytes(bytes.fromhex(vector["data_key"])),
            bytes.fromhex(vector["blob_id"]),
            second_key=SecretBytes(bytes.fromhex(second)) if second else None,
            seg_log2=vector["seg_log2"],
            salt=bytes.fromhex(vector["salt"]),
        )
        stored = sealer.header + sealer.seal(fixed(f"{vector['name']} plaintext", vector["plain_length"]))
        stored += bytes.fromhex(vector["footer"])
    assert len(stored) == vector["stored_length"]
    assert hashlib.sha256(stored).hexdigest() == vector["stored_sha256"]
    return stored


def data_keys(vector: BlobVector) -> list[bytes]:
    return [bytes.fromhex(text) for text in (vector["data_key"], vector["second_key"]) if text]


def test_the_generator_still_writes_what_is_kept() -> None:
    for (name, size, seg_log2, two_layers), kept in zip(generate_object.SIZES, BLOBS, strict=True):
        vector, blob = generate_object.blob_vector(name, size, seg_log2, two_layers=two_layers)
        assert vector == kept
        path = DIRECTORY / f"{name}.blob"
        assert path.exists() == (len(blob) <= generate_object.KEPT_BYTES)
    assert generate_object.rows() == ROWS
    assert generate_object.wraps() == WRAPS
    assert generate_object.customer_wraps() == CUSTOMER_WRAPS
    assert generate_object.bucket_key_wraps() == BUCKET_KEY_WRAPS
    assert generate_object.two_wraps() == TWO_WRAPS


@pytest.mark.parametrize("vector", BLOBS, ids=name_of)
def test_the_standalone_decryptor_agrees(vector: BlobVector) -> None:
    blob = Blob(io.BytesIO(stored_blob(vector)), data_keys(vector))
    plaintext = b"".join(blob.segments())
    assert plaintext == fixed(f"{vector['name']} plaintext", vector["plain_length"])
    assert hashlib.sha256(plaintext).hexdigest() == vector["plain_sha256"]
    assert blob.descriptor.decode() == vector["descriptor"]
    assert json.loads(blob.envelope)["account_id"] == "123456789012"


@pytest.mark.parametrize("vector", BLOBS, ids=name_of)
def test_the_gateway_opens_every_version_ever_written(vector: BlobVector) -> None:
    stored = stored_blob(vector)
    header, footer = bytes.fromhex(vector["header"]), bytes.fromhex(vector["footer"])
    assert stored[:HEADER_SIZE] == header
    assert stored.endswith(footer)
    first, *second = [SecretBytes(secret) for secret in data_keys(vector)]
    second_key = second[0] if second else None
    length = vector["plain_length"]
    opener = BlobOpener(
        first,
        header,
        blob_id=bytes.fromhex(vector["blob_id"]),
        commitment=header[64:128] if second_key else header[64:96],
        plain_length=length,
        second_key=second_key,
    )
    end = sealed_length(length, seg_log2=vector["seg_log2"], two_layers=second_key is not None)
    assert hashlib.sha256(opener.open(0, stored[HEADER_SIZE:end])).hexdigest() == vector["plain_sha256"]
    parsed = parse_footer(header, footer, stored_length=len(stored))
    assert open_descriptor(first, header, parsed, second_key=second_key).decode() == vector["descriptor"]
    told = parse_envelope(parsed.envelope)
    if vector["name"] in generate_object.SUMMED:
        assert told.segments_crc64 == crc64_by_hand(stored[HEADER_SIZE:end])
        told = replace(told, segments_crc64=UNSET)
    assert told == generate_object.envelope(vector["name"], two_layers=bool(second_key))


def crc64_by_hand(data: bytes) -> bytes:
    """CRC-64/NVME, bit by bit: polynomial 0xAD93D23594C93659, reflected, all ones before and after."""
    crc = 2**64 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return (crc ^ 2**64 - 1).to_bytes(8)


def lp(fields: list[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(item)) + item for item in fields)


@pytest.mark.parametrize("vector", ROWS, ids=name_of)
def test_rows_agree_with_the_format_by_hand(vector: RowVector) -> None:
    sealed, row_uid, index_key = (bytes.fromhex(vector[name]) for name in ("sealed", "row_uid", "index_key"))
    clear = [bytes.fromhex(column) for column in vector["clear"]]
    document = bytes.fromhex(vector["document"])
    revision = struct.pack(">Q", vector["revision"])
    if vector["name"].endswith("-of-block"):
        salt, nonce = sealed[4:20], sealed[20:32]
        block_key = hmac.digest(index_key, b"sealgate/v2/rows" + salt, "sha256")
        by_hand = struct.pack(">I", vector["epoch"] | 0x80000000) + salt + nonce
        by_hand += AESGCM(block_key).encrypt(nonce, document, row_uid + revision + lp(clear))
    else:
        row_key = hmac.digest(index_key, b"sealgate/v1/row" + row_uid + revision + sealed[12:28], "sha256")
        by_hand = struct.pack(">I", vector["epoch"]) + revision + sealed[12:28]
        by_hand += AESGCM(row_key).encrypt(bytes(12), document, lp(clear))
    assert by_hand == sealed
    opener = RowSealer({vector["epoch"]: SecretBytes(index_key)}, vector["epoch"])
    assert opener.open(row_uid, vector["revision"], clear, sealed) == document


@pytest.mark.parametrize("vector", WRAPS, ids=name_of)
def test_wraps_agree_with_the_format_by_hand(vector: WrapVector) -> None:
    wrapped, wrapping_key, aad = (bytes.fromhex(vector[name]) for name in ("wrapped", "wrapping_key", "aad"))
    data_key = bytes.fromhex(vector["data_key"])
    one_time_key = hmac.digest(wrapping_key, b"sealgate/v1/wrap" + wrapped[5:21], "sha256")
    by_hand = struct.pack(">BI", 1, vector["epoch"]) + wrapped[5:21]
    by_hand += AESGCM(one_time_key).encrypt(bytes(12), data_key, aad)
    assert by_hand == wrapped
    assert local_unwrap({vector["epoch"]: SecretBytes(wrapping_key)}, wrapped, aad).reveal() == data_key


@pytest.mark.parametrize("vector", BUCKET_KEY_WRAPS, ids=name_of)
def test_wraps_under_bucket_keys_agree_with_the_format_by_hand(vector: BucketKeyWrapVector) -> None:
    wrapped, bucket_key, aad = (bytes.fromhex(vector[name]) for name in ("wrapped", "bucket_key", "aad"))
    blob, data_key = bytes.fromhex(vector["ciphertext_blob"]), bytes.fromhex(vector["data_key"])
    r = wrapped[4 + len(blob) + 5 :][:16]
    one_time_key = hmac.digest(bucket_key, b"sealgate/v1/wrap" + r, "sha256")
    by_hand = struct.pack(">I", len(blob)) + blob + b"\1" + bytes(4) + r
    by_hand += AESGCM(one_time_key).encrypt(bytes(12), data_key, aad)
    assert by_hand == wrapped
    assert len(wrapped) == len(blob) + 73
    assert split_kms_wrap(wrapped)[0] == blob
    assert bucket_key_unwrap(bytearray(bucket_key), split_kms_wrap(wrapped)[1], aad).reveal() == data_key


@pytest.mark.parametrize("vector", TWO_WRAPS, ids=name_of)
async def test_wraps_of_two_layers_agree_with_the_format_by_hand(vector: TwoWrapsVector) -> None:
    wrapped, service_key, blob = (bytes.fromhex(vector[name]) for name in ("wrapped", "service_key", "ciphertext_blob"))
    account_id, bucket_id, row_uid = b"123456789012", fixed("bucket id", 16), fixed("wrap row uid", 16)
    aad, second_key = lp([account_id, bucket_id, row_uid, b"\1"]), bytes.fromhex(vector["second_key"])
    assert aad.hex() == vector["aad"]
    r = wrapped[4 + len(blob) + 5 :][:16]
    one_time_key = hmac.digest(service_key, b"sealgate/v1/wrap" + r, "sha256")
    by_hand = struct.pack(">I", len(blob)) + blob + struct.pack(">BI", 1, vector["epoch"]) + r
    by_hand += AESGCM(one_time_key).encrypt(bytes(12), second_key, aad)
    assert by_hand == wrapped
    # What the gateway makes of it: the KMS opens the first key, the service's key the second one.
    kms = FakeKMS()
    made = kms.knows(blob, bytes(range(32)), "arn", {"aws:s3:arn": "arn:aws:s3:::bucket/key"})
    keys = DataKeys(
        kms.service,
        EpochKeys({vector["epoch"]: SecretBytes(service_key)}, vector["epoch"]),
        FakeBucketKeyStore().worker(kms),
    )
    opened = await keys.open(
        CALLER,
        Wrap(Mode.DSSE_KMS, wrapped, "arn", 1),
        context={},
        account_id=account_id.decode(),
        bucket_id=bucket_id,
        row_uid=row_uid,
        object_arn="arn:aws:s3:::bucket/key",
    )
    assert opened == BodyKey(made, SecretBytes(second_key))


@pytest.mark.parametrize("vector", CUSTOMER_WRAPS, ids=name_of)
def test_wraps_under_customer_keys_agree_with_the_format_by_hand(vector: CustomerWrapVector) -> None:
    wrapped, key, aad = (bytes.fromhex(vector[name]) for name in ("wrapped", "customer_key", "aad"))
    account_id, bucket_id, data_key = vector["account_id"], bytes.fromhex(vector["bucket_id"]), vector["data_key"]
    info = b"sealgate/v1/sse-c" + lp([account_id.encode(), bucket_id])
    derived = HKDF(SHA256(), 64, wrapped[1:33], info).derive(key)
    by_hand = b"\1" + wrapped[1:33] + derived[32:]
    by_hand += AESGCM(derived[:32]).encrypt(bytes(12), bytes.fromhex(data_key), aad)
    assert by_hand == wrapped
    opened = customer_unwrap(SecretBytes(key), wrapped, aad, account_id=account_id, bucket_id=bucket_id)
    assert opened.reveal().hex() == data_key
    for secret in (key, derived[:32], opened.reveal()):
        assert secret not in wrapped
