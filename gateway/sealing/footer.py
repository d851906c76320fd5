"""The footer of a blob: what it takes to rebuild the index without the index (docs/formats/object.md, "Footer").

envelope (clear JSON) || descriptor (sealed) || tail (32 bytes). Never on the hot path of a read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.format import MAX_PLAIN_BYTES, TAG_SIZE, Buffer, Header, sealed_length
from gateway.sealing.ledger import sealing_aead
from gateway.sealing.segment import ZERO_NONCE, check_header
from iam.quickly_made import quickly_made
from kms.api.secrets import SecretBytes

TAIL_MAGIC: Final = b"\r\nTGLAES"
_LENGTHS = struct.Struct(">QII")
_TAIL = struct.Struct(">QIII4s8s")
TAIL_SIZE: Final = _TAIL.size  # 32

ENVELOPE_VERSION: Final = 1
MAX_ENVELOPE_BYTES: Final = 1 << 17
"""Two ciphertext blobs of 6 KiB in base64 and 8 KiB of encryption context, escaped, with room to spare."""
MAX_DESCRIPTOR_BYTES: Final = 1 << 24
"""10 000 parts of a manifest at 200 bytes are 2 MB."""


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The part of a footer that is readable without a key: whose blob this is, and who can open it.

    `wraps` are the data keys as first written: one, or two for DSSE-KMS; the manifest of an object by SSE-C has the
    object's and one of its own. `encryption_context` is the whole context as
    the KMS was given it. `row_uid` is in the associated data of the gateway's own wraps, and with a bucket key
    `object_key` is, which is told for that mode alone. `upload_id` and `part_number` are set for parts only.
    `segments_crc64` is the sealer's to set: CRC-64/NVME of all stored segments, 8 bytes; blobs of earlier releases have
    none.
    """

    account_id: str
    bucket_id: bytes
    row_uid: bytes
    kind: BlobKind
    mode: Mode
    wraps: tuple[Wrap, ...]
    encryption_context: Mapping[str, str] = field(default_factory=dict)
    upload_id: bytes | None = None
    part_number: int | None = None
    object_key: str | msgspec.UnsetType = msgspec.UNSET
    segments_crc64: bytes | msgspec.UnsetType = msgspec.UNSET
    version: int = ENVELOPE_VERSION


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Envelope)
_version_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def format_envelope(envelope: Envelope) -> bytes:
    """As JSON; bytes as base64, kinds and modes as numbers. Inverse of `parse_envelope`."""
    return _encode(envelope)


def parse_envelope(data: bytes) -> Envelope:
    """Raises FormatError for another version, AuthenticationFailed for what is no envelope at all."""
    try:
        version = _version_decoder.decode(data).get("version", b"")
        if bytes(version) != b"%d" % ENVELOPE_VERSION:
            raise FormatError("an envelope of another version")
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise AuthenticationFailed from None


@dataclass(frozen=True, slots=True)
class Tail:
    """The last 32 bytes of a blob. `checksum` is the CRC-32 of header, envelope, descriptor and the three lengths."""

    plain_length: int
    envelope_length: int
    descriptor_length: int
    checksum: int

    @property
    def footer_length(self) -> int:
        """Bytes of the whole footer, tail included."""
        return self.envelope_length + self.descriptor_length + TAIL_SIZE


@dataclass(frozen=True, slots=True)
class Footer:
    """A footer that is whole; the envelope is authenticated once `open_descriptor` succeeded, not before."""

    plain_length: int
    envelope: bytes
    sealed_descriptor: bytes


def seal_footer(footer_key: bytes, header: bytes, plain_length: int, envelope: Envelope, descriptor: bytes) -> bytes:
    """`footer_key` seals this one message in its life, hence the fixed nonce."""
    clear = format_envelope(envelope)
    if len(clear) > MAX_ENVELOPE_BYTES or len(descriptor) > MAX_DESCRIPTOR_BYTES:
        raise ValueError(f"an envelope has at most {MAX_ENVELOPE_BYTES}, a descriptor {MAX_DESCRIPTOR_BYTES} bytes")
    sealed = sealing_aead(footer_key).encrypt(ZERO_NONCE, descriptor, clear)
    checksum = _checksum(header, clear, sealed, plain_length)
    tail = _TAIL.pack(plain_length, len(clear), len(sealed), checksum, bytes(4), TAIL_MAGIC)
    return b"".join((clear, sealed, tail))


def parse_tail(data: Buffer) -> Tail:
    """Of the last 32 bytes of a blob. Raises AuthenticationFailed unless lengths are within what writers write."""
    if len(data) != TAIL_SIZE:
        raise AuthenticationFailed
    plain_length, envelope_length, descriptor_length, checksum, zero, magic = _TAIL.unpack(data)
    if (
        magic != TAIL_MAGIC
        or zero != bytes(4)
        or plain_length > MAX_PLAIN_BYTES
        or envelope_length > MAX_ENVELOPE_BYTES
        or not TAG_SIZE <= descriptor_length <= MAX_DESCRIPTOR_BYTES + TAG_SIZE
    ):
        raise AuthenticationFailed
    return Tail(plain_length, envelope_length, descriptor_length, checksum)


def parse_footer(header: Buffer, footer: Buffer, *, stored_length: int) -> Footer:
    """Check, without any key, that a blob of `stored_length` bytes ends in a whole footer.

    `footer` is the last `parse_tail(...).footer_length` bytes. Raises AuthenticationFailed for a damaged or cut blob,
    FormatError for a header of another version.
    """
    parsed = Header.parse(header)
    data = bytes(footer)
    tail = parse_tail(data[-TAIL_SIZE:])
    body = sealed_length(tail.plain_length, seg_log2=parsed.seg_log2, two_layers=parsed.two_layers)
    if len(data) != tail.footer_length or body + tail.footer_length != stored_length:
        raise AuthenticationFailed(blob_id=parsed.blob_id)
    envelope = data[: tail.envelope_length]
    sealed = data[tail.envelope_length : -TAIL_SIZE]
    if _checksum(bytes(header), envelope, sealed, tail.plain_length) != tail.checksum:
        raise AuthenticationFailed(blob_id=parsed.blob_id)
    return Footer(tail.plain_length, envelope, sealed)


def open_descriptor(
    data_key: SecretBytes, header: Buffer, footer: Footer, *, second_key: SecretBytes | None = None
) -> bytes:
    """Authenticate envelope and descriptor, and the header's commitment before them; returns the descriptor's JSON.

    Raises AuthenticationFailed.
    """
    parsed = Header.parse(header)
    layer = check_header(parsed, data_key, second_key)[0]
    try:
        return AESGCM(layer.footer_key()).decrypt(ZERO_NONCE, footer.sealed_descriptor, footer.envelope)
    except InvalidTag:
        raise AuthenticationFailed(blob_id=parsed.blob_id) from None


def _checksum(header: bytes, envelope: bytes, sealed_descriptor: bytes, plain_length: int) -> int:
    lengths = _LENGTHS.pack(plain_length, len(envelope), len(sealed_descriptor))
    return zlib.crc32(lengths, zlib.crc32(sealed_descriptor, zlib.crc32(envelope, zlib.crc32(header))))
