"""Sealing a body into a blob, and opening it again (docs/formats/object.md).

`BlobSealer` is used once, front to back, by one thread at a time: its nonces are a count. `BlobOpener` keeps no
state, so several threads may open batches at once. Both are plain CPU work (about 7 us a 64 KiB segment and layer):
callers run batches of 256 KiB to 1 MiB in a thread and small bodies in place.
"""

from __future__ import annotations

import hmac
import os
from enum import Enum

from awscrt.checksums import crc64nvme
from cryptography.exceptions import InvalidTag

from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.footer import Envelope, seal_footer
from gateway.sealing.format import (
    DEFAULT_SEG_LOG2,
    MAX_PLAIN_BYTES,
    MAX_SEGMENTS,
    SALT_SIZE,
    Buffer,
    Header,
    overhead,
    pack_core,
    pack_header,
    segment_count,
)
from gateway.sealing.segment import (
    check_header,
    commitment_of,
    layer_keys,
    segment_nonce,
    segment_opener,
    segment_sealer,
)
from iam.quickly_made import replaced
from kms.api.secrets import SecretBytes


class _State(Enum):
    OPEN = "open"
    SEALED = "sealed, without footer"
    ENDED = "ended"
    BROKEN = "broken"


class BlobSealer:
    """Makes one blob: `header`, then the segments of each `seal_into` or `seal`, then `footer`.

    `data_key` (and `second_key`, for two layers) have 32 bytes; `blob_id` has 16 and is never used again. `salt` is for
    test vectors: without it, 32 fresh random bytes make this blob's keys its own.

    After the final segment, and after any failure, it refuses: a count of nonces never starts again. Misuse
    raises ValueError (sizes) or RuntimeError (order).
    """

    __slots__ = (
        "_checksum",
        "_layers",
        "_overhead",
        "_plain_length",
        "_seal",
        "_segment_size",
        "_segments",
        "_state",
        "commitment",
        "header",
    )

    def __init__(
        self,
        data_key: SecretBytes,
        blob_id: bytes,
        *,
        second_key: SecretBytes | None = None,
        seg_log2: int = DEFAULT_SEG_LOG2,
        salt: bytes | None = None,
    ) -> None:
        if salt is None:
            salt = os.urandom(SALT_SIZE)
        elif len(salt) != SALT_SIZE:
            raise ValueError("a salt has 32 bytes")
        core = pack_core(blob_id, seg_log2, two_layers=second_key is not None)
        self._layers = layer_keys(data_key, second_key, salt, core)
        self.commitment = commitment_of(self._layers)
        """What the index row keeps: 32 bytes, or 64 for two layers."""
        self.header = pack_header(core, salt, self.commitment)
        """The first 128 bytes of the blob."""
        self._seal = segment_sealer(self._layers)
        self._overhead = overhead(two_layers=second_key is not None)
        self._segment_size = 1 << seg_log2
        self._segments = 0
        self._plain_length = 0
        self._checksum = 0
        self._state = _State.OPEN

    @property
    def plain_length(self) -> int:
        """Bytes of plaintext sealed so far."""
        return self._plain_length

    @property
    def segment_size(self) -> int:
        return self._segment_size

    def room_for(self, plain_bytes: int) -> int:
        """Bytes that sealing `plain_bytes` in one call writes: how large `out` must be."""
        return plain_bytes + (-(-plain_bytes // self._segment_size) or 1) * self._overhead

    def seal_into(self, plaintext: Buffer, out: bytearray | memoryview, *, final: bool) -> int:
        """Seal whole segments into the front of `out`; returns how many bytes were written.

        `plaintext` is a multiple of the segment size unless `final`, and not empty unless the whole body is. `out` has
        at least `room_for(len(plaintext))` bytes and does not overlap `plaintext`.
        """
        source = memoryview(plaintext).cast("B")
        size = len(source)
        self._begin(size, final=final)
        if len(out) < self.room_for(size):
            raise ValueError("the output is too small")
        target = memoryview(out).cast("B")
        written = self._seal_segments(source, target, size, final=final)
        self._checksum = crc64nvme(target[:written], self._checksum)  # 1 µs for 64 KiB
        self._plain_length += size
        self._state = _State.SEALED if final else _State.OPEN
        return written

    def seal(self, plaintext: Buffer, *, final: bool = True) -> bytes:
        """As `seal_into`, for small bodies: the sealed segments as bytes, header and footer not among them."""
        out = bytearray(self.room_for(len(plaintext)))
        written = self.seal_into(plaintext, out, final=final)
        return bytes(out) if written == len(out) else bytes(out[:written])

    def footer(self, envelope: Envelope, descriptor: bytes) -> bytes:
        """The bytes that end the blob; once, after the final segment. Raises ValueError for one that is too large."""
        if self._state is not _State.SEALED:
            raise RuntimeError(f"a footer follows the final segment, once; this sealer is {self._state.value}")
        self._state = _State.ENDED
        summed = replaced(envelope, segments_crc64=self._checksum.to_bytes(8))
        return seal_footer(self._layers[0].footer_key(), self.header, self._plain_length, summed, descriptor)

    def _begin(self, size: int, *, final: bool) -> None:
        """Refuse, or count as broken until the call succeeded: also keeps a second thread out."""
        if self._state is not _State.OPEN:
            raise RuntimeError(f"a sealer is used once, by one thread at a time; this one is {self._state.value}")
        self._state = _State.BROKEN
        if size % self._segment_size and not final:
            raise ValueError("only the final batch may end inside a segment")
        if not size and (self._segments or not final):
            raise ValueError("only the body as a whole may be empty")
        count = -(-size // self._segment_size) or 1
        if self._plain_length + size > MAX_PLAIN_BYTES or self._segments + count > MAX_SEGMENTS:
            raise ValueError(f"a blob holds at most {MAX_PLAIN_BYTES} bytes")

    def _seal_segments(self, source: memoryview, target: memoryview, size: int, *, final: bool) -> int:
        encrypt_into = self._seal.encrypt_into
        step = self._segment_size
        index = self._segments
        start = written = 0
        last_start = (size - 1) // step * step if final and size else 0
        while start < size:
            is_last = final and start == last_start
            piece = source[start : start + step]
            stop = written + len(piece) + self._overhead
            encrypt_into(segment_nonce(index, is_last), piece, None, target[written:stop])
            index += 1
            start += step
            written = stop
        if not size:
            written = encrypt_into(segment_nonce(0, True), b"", None, target[: self._overhead])
            index = 1
        self._segments = index
        return written


class BlobOpener:
    """Opens segments of one blob, in any order.

    `header` is the blob's first 128 bytes; `blob_id`, `commitment` (32 or 64 bytes) and `plain_length` come from the
    index row, which was authenticated. The constructor compares all of them, and what the keys derive, before anything
    can be decrypted; it raises AuthenticationFailed, or FormatError for a version this program does not know.
    """

    __slots__ = ("_count", "_open", "_overhead", "_plain_length", "_seg_log2", "blob_id")

    def __init__(
        self,
        data_key: SecretBytes,
        header: Buffer,
        *,
        blob_id: bytes,
        commitment: bytes,
        plain_length: int,
        second_key: SecretBytes | None = None,
    ) -> None:
        try:
            parsed = Header.parse(header)
        except AuthenticationFailed as error:
            error.blob_id = blob_id
            raise
        layers = check_header(parsed, data_key, second_key, blob_id=blob_id)
        if not hmac.compare_digest(parsed.commitment, commitment) or not 0 <= plain_length <= MAX_PLAIN_BYTES:
            raise AuthenticationFailed(blob_id=blob_id)
        self.blob_id = blob_id
        self._open = segment_opener(layers)
        self._overhead = overhead(two_layers=parsed.two_layers)
        self._plain_length = plain_length
        self._seg_log2 = parsed.seg_log2
        self._count = segment_count(plain_length, parsed.seg_log2)

    @property
    def seg_log2(self) -> int:
        """For `segment_span`; the header says it, and the commitment covers it."""
        return self._seg_log2

    @property
    def two_layers(self) -> bool:
        return self._overhead == overhead(two_layers=True)

    def plain_size(self, first_segment: int, sealed_bytes: int) -> int:
        """Bytes of plaintext in `sealed_bytes` of stored segments from `first_segment` on: how large `out` must be.

        Raises AuthenticationFailed unless these are whole segments of this blob: a cut or an extended read.
        """
        if not 0 <= first_segment < self._count:
            raise ValueError(f"the blob has {self._count} segments")
        stored_step = (1 << self._seg_log2) + self._overhead
        whole, rest = divmod(sealed_bytes, stored_step)
        count = whole + (rest > 0)
        end = first_segment + count
        plain_end = min(end << self._seg_log2, self._plain_length)
        plain_size = plain_end - (first_segment << self._seg_log2)
        if not count or end > self._count or plain_size + count * self._overhead != sealed_bytes:
            raise AuthenticationFailed(blob_id=self.blob_id, segment=min(end, self._count) - 1)
        return plain_size

    def open_into(self, first_segment: int, sealed: Buffer, out: bytearray | memoryview) -> int:
        """Authenticate and decrypt whole stored segments into the front of `out`; returns the plaintext's length.

        `sealed` is what a `SegmentSpan` says to read; `out` has at least `plain_size` bytes and does not overlap it.
        Raises AuthenticationFailed, and then `out` holds no plaintext, neither of the bad segment nor of the good ones.
        """
        source = memoryview(sealed).cast("B")
        target = memoryview(out).cast("B")
        size = self.plain_size(first_segment, len(source))
        if len(target) < size:
            raise ValueError("the output is too small")
        decrypt_into = self._open.decrypt_into
        step = 1 << self._seg_log2
        stored_step = step + self._overhead
        index = first_segment
        last = self._count - 1
        start = 0
        try:
            for offset in range(0, len(source), stored_step):
                piece = source[offset : offset + stored_step]
                stop = start + len(piece) - self._overhead
                decrypt_into(segment_nonce(index, index == last), piece, None, target[start:stop])
                index += 1
                start = stop
        except InvalidTag:
            target[:size] = bytes(size)  # the library decrypts in place before it knows the tag is wrong
            raise AuthenticationFailed(blob_id=self.blob_id, segment=index) from None
        return size

    def open(self, first_segment: int, sealed: Buffer) -> bytes:
        """As `open_into`, for small bodies and single segments: of one segment without a copy."""
        size = self.plain_size(first_segment, len(sealed))
        if len(sealed) > (1 << self._seg_log2) + self._overhead:
            out = bytearray(size)
            self.open_into(first_segment, sealed, out)
            return bytes(out)
        try:
            return self._open.decrypt(segment_nonce(first_segment, first_segment == self._count - 1), sealed, None)
        except InvalidTag:
            raise AuthenticationFailed(blob_id=self.blob_id, segment=first_segment) from None
