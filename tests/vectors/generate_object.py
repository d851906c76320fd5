"""Writes the known answers of the object format, version 1, as the gateway's own code makes them.

    python -m tests.vectors.generate_object

Run it once for each version of the format: what it wrote is never changed, only added to. Agreement comes from
elsewhere: the standalone decryptor opens every blob, and tests/gateway/sealing/test_vectors.py computes rows and
wraps anew from the standard library. All inputs are fixed here; plaintext is SHAKE-128 of the vector's name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.customer_keys import _wrap as _customer_wrap
from gateway.sealing.footer import Envelope, seal_footer
from gateway.sealing.format import lp
from gateway.sealing.row import RowSealer, associated_data
from gateway.sealing.stream import BlobSealer
from gateway.sealing.wraps import _wrap, join_kms_wrap
from kms.api.secrets import SecretBytes

DIRECTORY = Path(__file__).parent / "object-v1"
SMALL = 1 << 14
LARGE = 1 << 16
KEPT_BYTES = 3 * SMALL + 4096
"""Blobs up to this stored size are kept as files; of larger ones only the hash."""

SIZES = [
    *((f"small-{size}", size, 14, False) for size in (0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL)),
    *((f"two-layers-{size}", size, 14, True) for size in (0, SMALL, SMALL + 1)),
    *((f"default-{size}", size, 16, False) for size in (0, 1, LARGE - 1, LARGE, LARGE + 1, 5 * LARGE + 7)),
    ("two-layers-default", 2 * LARGE + 1, 16, True),
    ("large-segments", (1 << 20) + 1, 20, False),
    ("summed", SMALL + 1, 14, False),
    ("summed-two-layers", SMALL + 1, 14, True),
]
SUMMED = frozenset({"summed", "summed-two-layers"})
"""Of these the envelope has the checksum of the segments, as all have that are written since it was introduced."""


class BlobVector(TypedDict):
    name: str
    data_key: str
    second_key: str | None
    blob_id: str
    salt: str
    seg_log2: int
    plain_length: int
    plain_sha256: str
    header: str
    footer: str
    descriptor: str
    stored_length: int
    stored_sha256: str


class RowVector(TypedDict):
    name: str
    index_key: str
    epoch: int
    row_uid: str
    revision: int
    clear: list[str]
    document: str
    sealed: str


class BucketKeyWrapVector(TypedDict):
    name: str
    bucket_key: str
    ciphertext_blob: str
    aad: str
    data_key: str
    wrapped: str


class TwoWrapsVector(TypedDict):
    name: str
    service_key: str
    epoch: int
    ciphertext_blob: str
    aad: str
    second_key: str
    wrapped: str


class CustomerWrapVector(TypedDict):
    name: str
    customer_key: str
    account_id: str
    bucket_id: str
    aad: str
    data_key: str
    wrapped: str


class WrapVector(TypedDict):
    name: str
    wrapping_key: str
    epoch: int
    aad: str
    data_key: str
    wrapped: str


def fixed(label: str, length: int) -> bytes:
    return hashlib.shake_128(f"sealgate vector {label}".encode()).digest(length)


def envelope(name: str, *, two_layers: bool) -> Envelope:
    wrap = Wrap(Mode.SSE_KMS, fixed(f"{name} wrap", 40), "arn:aws:kms:eu-de:123456789012:key/0", 1)
    second = Wrap(Mode.SSE_S3, fixed(f"{name} second wrap", 69))
    return Envelope(
        account_id="123456789012",
        bucket_id=fixed("bucket id", 16),
        row_uid=fixed(f"{name} row uid", 16),
        kind=BlobKind.PART if two_layers else BlobKind.OBJECT,
        mode=Mode.DSSE_KMS if two_layers else Mode.SSE_KMS,
        wraps=(wrap, second) if two_layers else (wrap,),
        encryption_context={"aws:s3:arn": f"arn:aws:s3:::vectors/{name}", "grüße": "ünïcode"},
        upload_id=fixed("upload id", 16) if two_layers else None,
        part_number=7 if two_layers else None,
    )


def blob_vector(name: str, size: int, seg_log2: int, *, two_layers: bool) -> tuple[BlobVector, bytes]:
    data_key = fixed(f"{name} data key", 32)
    second_key = fixed(f"{name} second key", 32) if two_layers else None
    blob_id = fixed(f"{name} blob id", 16)
    salt = fixed(f"{name} salt", 32)
    plaintext = fixed(f"{name} plaintext", size)
    descriptor = json.dumps({"key": name, "size": size}).encode()
    sealer = BlobSealer(
        SecretBytes(data_key),
        blob_id,
        second_key=SecretBytes(second_key) if second_key else None,
        seg_log2=seg_log2,
        salt=salt,
    )
    segments = sealer.seal(plaintext)
    told = envelope(name, two_layers=two_layers)
    if name in SUMMED:
        footer = sealer.footer(told, descriptor)
    else:
        footer = seal_footer(sealer._layers[0].footer_key(), sealer.header, size, told, descriptor)
    blob = sealer.header + segments + footer
    vector = BlobVector(
        name=name,
        data_key=data_key.hex(),
        second_key=second_key.hex() if second_key else None,
        blob_id=blob_id.hex(),
        salt=salt.hex(),
        seg_log2=seg_log2,
        plain_length=size,
        plain_sha256=hashlib.sha256(plaintext).hexdigest(),
        header=sealer.header.hex(),
        footer=footer.hex(),
        descriptor=descriptor.decode(),
        stored_length=len(blob),
        stored_sha256=hashlib.sha256(blob).hexdigest(),
    )
    return vector, blob


def row_vector(
    name: str, clear: list[bytes], document: bytes, *, epoch: int, revision: int, of_a_block: bool
) -> RowVector:
    """Of a block, or with a key of its own, by hand: that is read, and no longer written."""
    key, row_uid, salt = fixed(f"{name} key", 32), fixed(f"{name} row uid", 16), fixed(f"{name} salt", 16)
    if of_a_block:
        block = RowSealer({epoch: SecretBytes(key)}, epoch)._new_block(salt)
        sealed = block.seal(associated_data(row_uid, revision, clear), document, fixed(f"{name} nonce", 12))
    else:
        numbers = struct.pack(">Q", revision)
        row_key = hmac.digest(key, b"sealgate/v1/row" + row_uid + numbers + salt, "sha256")
        sealed = struct.pack(">I", epoch) + numbers + salt
        sealed += AESGCM(row_key).encrypt(bytes(12), document, lp(clear))
    return RowVector(
        name=name,
        index_key=key.hex(),
        epoch=epoch,
        row_uid=row_uid.hex(),
        revision=revision,
        clear=[column.hex() for column in clear],
        document=document.hex(),
        sealed=sealed.hex(),
    )


def wrap_vector(name: str, aad: bytes, *, epoch: int) -> WrapVector:
    key, data_key, r = fixed(f"{name} key", 32), fixed(f"{name} data key", 32), fixed(f"{name} r", 16)
    return WrapVector(
        name=name,
        wrapping_key=key.hex(),
        epoch=epoch,
        aad=aad.hex(),
        data_key=data_key.hex(),
        wrapped=_wrap(key, epoch, SecretBytes(data_key), aad, r).hex(),
    )


def rows() -> list[RowVector]:
    return [
        row_vector(name + suffix, clear, document, epoch=epoch, revision=revision, of_a_block=of_a_block)
        for of_a_block, suffix in ((False, ""), (True, "-of-block"))
        for name, clear, document, epoch, revision in (
            ("empty", [], b"", 1, 0),
            ("object", [b"object", b"a/key", b"null", b""], b'{"etag":"x"}', 1, 1),
            ("long", [b"object", fixed("long column", 2000)], fixed("long document", 5000), 7, 2**40),
        )
    ]


def wraps() -> list[WrapVector]:
    aad = lp([b"123456789012", fixed("bucket id", 16), fixed("wrap row uid", 16)])
    return [wrap_vector("sse-s3", aad, epoch=1), wrap_vector("empty-aad", b"", epoch=2**32 - 1)]


def bucket_key_wraps() -> list[BucketKeyWrapVector]:
    name = "bucket-key"
    key, data_key, r, blob = (
        fixed(f"{name} {what}", n) for what, n in (("key", 32), ("data key", 32), ("r", 16), ("blob", 134))
    )
    aad = lp([fixed("bucket id", 16), fixed("wrap row uid", 16), "a/kéy".encode()])
    wrapped = lp([blob]) + _wrap(key, 0, SecretBytes(data_key), aad, r)
    return [
        BucketKeyWrapVector(
            name=name,
            bucket_key=key.hex(),
            ciphertext_blob=blob.hex(),
            aad=aad.hex(),
            data_key=data_key.hex(),
            wrapped=wrapped.hex(),
        )
    ]


def two_wraps() -> list[TwoWrapsVector]:
    """Of DSSE-KMS: the KMS's ciphertext blob of the first data key, and the second one wrapped by the service's key."""
    name, epoch = "dsse", 2
    key, second_key, r, blob = (
        fixed(f"{name} {what}", n) for what, n in (("service key", 32), ("second key", 32), ("r", 16), ("blob", 134))
    )
    aad = lp([b"123456789012", fixed("bucket id", 16), fixed("wrap row uid", 16), b"\1"])
    return [
        TwoWrapsVector(
            name=name,
            service_key=key.hex(),
            epoch=epoch,
            ciphertext_blob=blob.hex(),
            aad=aad.hex(),
            second_key=second_key.hex(),
            wrapped=join_kms_wrap(blob, _wrap(key, epoch, SecretBytes(second_key), aad, r)).hex(),
        )
    ]


def customer_wraps() -> list[CustomerWrapVector]:
    account_id, bucket_id = "123456789012", fixed("bucket id", 16)
    aad = lp([account_id.encode(), bucket_id, fixed("wrap row uid", 16)])
    return [customer_wrap_vector("sse-c", account_id, bucket_id, aad)]


def customer_wrap_vector(name: str, account_id: str, bucket_id: bytes, aad: bytes) -> CustomerWrapVector:
    key, data_key, salt = fixed(f"{name} key", 32), fixed(f"{name} data key", 32), fixed(f"{name} salt", 32)
    wrapped = _customer_wrap(
        SecretBytes(key), SecretBytes(data_key), aad, account_id=account_id, bucket_id=bucket_id, salt=salt
    )
    return CustomerWrapVector(
        name=name,
        customer_key=key.hex(),
        account_id=account_id,
        bucket_id=bucket_id.hex(),
        aad=aad.hex(),
        data_key=data_key.hex(),
        wrapped=wrapped.hex(),
    )


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    blobs = []
    for name, size, seg_log2, two_layers in SIZES:
        vector, blob = blob_vector(name, size, seg_log2, two_layers=two_layers)
        blobs.append(vector)
        if len(blob) <= KEPT_BYTES:
            (DIRECTORY / f"{name}.blob").write_bytes(blob)
    answers = {"blobs": blobs, "rows": rows(), "wraps": wraps(), "customer_wraps": customer_wraps()}
    answers["bucket_key_wraps"] = bucket_key_wraps()
    answers["two_wraps"] = two_wraps()
    (DIRECTORY / "vectors.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
