"""What sealing costs, beside the floor taken in the same run: raw AES-256-GCM in calls of one segment.

    python -m bench.seal_loop

The loop over segments must stay within 20 % of the floor; small bodies and rows are in microseconds each. All figures
are the best of several repeats: those are the ones that a busy machine disturbs least.
"""

from __future__ import annotations

import os
import timeit
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.batcher import SegmentBatcher
from gateway.sealing.footer import Envelope
from gateway.sealing.format import SEGMENT_SIZE, TAG_SIZE
from gateway.sealing.ids import new_id
from gateway.sealing.row import RowSealer
from gateway.sealing.stream import BlobOpener, BlobSealer
from kms.api.secrets import SecretBytes

SEGMENTS = 8
PLAIN_BYTES = SEGMENTS * SEGMENT_SIZE


def best_us(action: Callable[[], object], number: int) -> float:
    action()
    return min(timeit.repeat(action, number=number, repeat=7)) / number * 1e6


def report(name: str, microseconds: float, *, floor: float | None = None, plain_bytes: int = 0) -> None:
    speed = f"{plain_bytes / microseconds / 1e3:8.2f} GB/s" if plain_bytes else " " * 13
    ratio = f"{floor / microseconds:7.0%} of the floor" if floor else ""
    print(f"{name:34}{microseconds:10.2f} us {speed} {ratio}")


def large_bodies() -> None:
    plaintext, nonce = os.urandom(PLAIN_BYTES), bytes(12)
    data_key, blob_id = SecretBytes(os.urandom(32)), new_id()
    source, out = memoryview(plaintext), memoryview(bytearray(SEGMENTS * (SEGMENT_SIZE + TAG_SIZE)))
    aead = AESGCM(os.urandom(32))  # throw-away: the floor repeats a nonce, which nothing but a benchmark may

    def raw() -> None:
        for i in range(SEGMENTS):
            target = out[i * (SEGMENT_SIZE + TAG_SIZE) : (i + 1) * (SEGMENT_SIZE + TAG_SIZE)]
            aead.encrypt_into(nonce, source[i * SEGMENT_SIZE : (i + 1) * SEGMENT_SIZE], None, target)

    floor = best_us(raw, 200)
    report(f"floor: AES-256-GCM, {SEGMENTS} x 64 KiB", floor, plain_bytes=PLAIN_BYTES)
    sealer = BlobSealer(data_key, blob_id)
    sealing = best_us(lambda: sealer.seal_into(plaintext, out, final=False), 200)
    report("BlobSealer.seal_into", sealing, floor=floor, plain_bytes=PLAIN_BYTES)
    whole = BlobSealer(data_key, blob_id)
    whole.seal_into(plaintext, out, final=True)
    opener = BlobOpener(data_key, whole.header, blob_id=blob_id, commitment=whole.commitment, plain_length=PLAIN_BYTES)
    opened = bytearray(PLAIN_BYTES)
    opening = best_us(lambda: opener.open_into(0, out, opened), 200)
    report("BlobOpener.open_into", opening, floor=floor, plain_bytes=PLAIN_BYTES)
    batcher = SegmentBatcher(batch_segments=SEGMENTS)
    batching = best_us(lambda: list(batcher.feed(plaintext)), 200)
    report("SegmentBatcher.feed", batching, plain_bytes=PLAIN_BYTES)


def small_bodies() -> None:
    data_key, blob_id, plaintext = SecretBytes(os.urandom(32)), new_id(), os.urandom(4096)
    arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    envelope = Envelope(
        account_id="123456789012",
        bucket_id=new_id(),
        row_uid=new_id(),
        kind=BlobKind.OBJECT,
        mode=Mode.SSE_KMS,
        wraps=(Wrap(Mode.SSE_KMS, os.urandom(180), arn, 1),),
        encryption_context={"aws:s3:arn": "arn:aws:s3:::bucket/key"},
    )
    descriptor = os.urandom(300)

    def body() -> tuple[BlobSealer, bytes]:
        sealer = BlobSealer(data_key, blob_id)
        return sealer, sealer.seal(plaintext)

    def blob() -> bytes:
        sealer, segments = body()
        return b"".join((sealer.header, segments, sealer.footer(envelope, descriptor)))

    sealer, segments = body()

    def opened() -> bytes:
        commitment = sealer.commitment
        opener = BlobOpener(data_key, sealer.header, blob_id=blob_id, commitment=commitment, plain_length=4096)
        return opener.open(0, segments)

    report("4 KiB: keys, header, segment", best_us(body, 5000))
    report("4 KiB: the same with footer", best_us(blob, 5000))
    report("4 KiB: keys, commitment, open", best_us(opened, 5000))


def rows() -> None:
    sealer = RowSealer({1: SecretBytes(os.urandom(32))}, 1)
    row_uid, document = new_id(), os.urandom(250)
    clear = [
        b"object",
        new_id(),
        os.urandom(40),
        b"null",
        *[os.urandom(8)] * 5,
        os.urandom(75),
        os.urandom(180),
        new_id(),
    ]
    sealed = sealer.seal(row_uid, 1, clear, document)
    report("row: seal", best_us(lambda: sealer.seal(row_uid, 1, clear, document), 5000))
    report("row: open", best_us(lambda: sealer.open(row_uid, 1, clear, sealed), 5000))


if __name__ == "__main__":
    large_bodies()
    small_bodies()
    rows()
