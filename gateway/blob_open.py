"""The standalone decryptor: a blob file and its data key in, plaintext out, everything verified on the way.

Of an object under a customer's key (SSE-C), that key opens the data key, which the blob itself holds wrapped.

A second reading of docs/formats/object.md that shares no code with the gateway: the standard library and
`cryptography` are all it needs, so it can be copied to another machine as it is.

    python gateway/blob_open.py BLOB --key-file KEY [--second-key-file KEY] [-o OUT] [--descriptor OUT]
    python gateway/blob_open.py BLOB --customer-key-file KEY [-o OUT] [--descriptor OUT]
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import json
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = 128
TAIL = 32
TAG = 16
SSE_C = 5
CUSTOMER_WRAP = 113


class BlobError(Exception):
    """The blob cannot be opened: another version, another key, or not the bytes that were written."""


class Blob:
    """An open blob whose header, lengths, checksum, commitments and footer were verified.

    `keys` are the data keys, 32 bytes each: one, or two for a blob of two layers. `envelope` and `descriptor` are the
    footer's JSON documents. Raises BlobError.
    """

    def __init__(self, file: BinaryIO, keys: list[bytes]) -> None:
        self._file = file
        self._read_header(file.read(HEADER), keys)
        self._read_footer(file.seek(0, os.SEEK_END), keys[0])

    def _read_header(self, header: bytes, keys: list[bytes]) -> None:
        if len(header) != HEADER or header[:8] != b"SEALGT\r\n":
            raise BlobError("this is no blob: it does not begin with the magic bytes")
        version, suite, seg_log2, flags, zero = struct.unpack(">BBBBI", header[8:16])
        if (version, suite) != (1, 1):
            raise BlobError(f"format version {version}, suite {suite}: only version 1, suite 1 can be opened")
        if flags not in {0, 1} or zero or not 14 <= seg_log2 <= 20:
            raise BlobError("the header is damaged")
        if len(keys) != 1 + flags:
            raise BlobError(f"this blob has {1 + flags} layer(s): give as many data keys")
        commitments = b"".join(derive(key, header, "commit", layer) for layer, key in enumerate(keys))
        if not hmac.compare_digest(commitments.ljust(64, b"\0"), header[64:]):
            raise BlobError("this is not the blob's data key, or the header is damaged")
        self.header = header
        self._segment_size = 1 << seg_log2
        self._layers = [AESGCM(derive(key, header, "segment", layer)) for layer, key in enumerate(keys)]

    def _read_footer(self, stored_length: int, key: bytes) -> None:
        if stored_length < HEADER + TAIL:
            raise BlobError("the blob is cut short")
        self._file.seek(stored_length - TAIL)
        tail = self._file.read(TAIL)
        plain_length, envelope_length, descriptor_length, checksum = struct.unpack(">QIII", tail[:20])
        self._plain_length = plain_length
        self._count = max(1, -(-plain_length // self._segment_size))
        footer_start = HEADER + plain_length + self._count * TAG * len(self._layers)
        lengths_agree = footer_start + envelope_length + descriptor_length + TAIL == stored_length
        if tail[20:] != b"\0\0\0\0\r\nTGLAES" or not lengths_agree:
            raise BlobError("the blob is cut short, extended, or its tail is damaged")
        self._file.seek(footer_start)
        self.envelope = self._file.read(envelope_length)
        sealed = self._file.read(descriptor_length)
        if zlib.crc32(self.header + self.envelope + sealed + tail[:16]) != checksum:
            raise BlobError("the checksum of header and footer is wrong")
        try:
            self.descriptor = AESGCM(derive(key, self.header, "footer", 0)).decrypt(bytes(12), sealed, self.envelope)
        except InvalidTag:
            raise BlobError("the footer is damaged") from None

    def segments(self) -> Iterator[bytes]:
        """The plaintext, segment by segment, each authenticated before it is given."""
        self._file.seek(HEADER)
        for index in range(self._count):
            size = min(self._segment_size, self._plain_length - index * self._segment_size)
            segment = self._file.read(size + TAG * len(self._layers))
            nonce = struct.pack(">3xQ?", index, index == self._count - 1)
            try:
                for layer in reversed(self._layers):
                    segment = layer.decrypt(nonce, segment, None)
            except InvalidTag:
                raise BlobError(f"segment {index} is damaged") from None
            yield segment


def derive(key: bytes, header: bytes, purpose: str, layer: int) -> bytes:
    """One of the blob's keys, or a commitment: "Keys of a blob" in the format document."""
    info = f"sealgate/v1/{purpose}".encode() + bytes([layer]) + header[:32]
    return HKDF(algorithm=SHA256(), length=32, salt=header[32:64], info=info).derive(key)


def customer_data_key(file: BinaryIO, customer_key: bytes) -> bytes:
    """The data key of a blob under a customer's key, out of the wrap in its footer: "Wrap under a customer's key".

    The wrap is authenticated, and so is what it is bound to; the rest is for `Blob` to verify. Raises BlobError.
    """
    stored_length = file.seek(0, os.SEEK_END)
    if stored_length < HEADER + TAIL:
        raise BlobError("the blob is cut short")
    file.seek(stored_length - TAIL)
    envelope_length, descriptor_length = struct.unpack(">II", file.read(TAIL)[8:16])
    start = stored_length - TAIL - descriptor_length - envelope_length
    if start < HEADER:
        raise BlobError("the blob is cut short, extended, or its tail is damaged")
    file.seek(start)
    try:
        envelope = json.loads(file.read(envelope_length))
        first = envelope["wraps"][0]
        mode, wrapped = first["mode"], base64.b64decode(first["wrapped"], validate=True)
        ids = [base64.b64decode(envelope[name], validate=True) for name in ("bucket_id", "row_uid")]
        bound_to = [envelope["account_id"].encode(), *ids]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise BlobError("the footer is damaged") from None
    finally:
        file.seek(0)
    if mode != SSE_C or len(wrapped) != CUSTOMER_WRAP or wrapped[0] != 1:
        raise BlobError("this blob is not under a customer's key, or its wrap is of another version")
    fields = [struct.pack(">I", len(each)) + each for each in bound_to]
    info = b"sealgate/v1/sse-c" + b"".join(fields[:2])
    derived = HKDF(algorithm=SHA256(), length=64, salt=wrapped[1:33], info=info).derive(customer_key)
    if not hmac.compare_digest(derived[32:], wrapped[33:65]):
        raise BlobError("this is not the customer's key of the blob")
    try:
        return AESGCM(derived[:32]).decrypt(bytes(12), wrapped[65:], b"".join(fields))
    except InvalidTag:
        raise BlobError("the wrapped data key is damaged") from None


def parse_customer_key(data: bytes) -> bytes:
    """As `parse_key`, or Base64, as requests carry the key."""
    try:
        key = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        key = b""
    return key if len(key) == 32 else parse_key(data)


def parse_key(data: bytes) -> bytes:
    """32 raw bytes, or 64 hexadecimal digits with or without a line end."""
    if len(data) == 32:
        return data
    try:
        key = bytes.fromhex(data.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BlobError("a key file holds 32 bytes, or 64 hexadecimal digits")
    return key


def open_blob(
    source: Path,
    key_files: list[Path],
    output: Path | None,
    descriptor: Path | None,
    customer_key_file: Path | None = None,
) -> None:
    """Decrypt `source` to `output` (None: standard output), with its data keys or with the customer's key.

    A file appears under its name only when all of it was verified. What goes to standard output was verified segment
    by segment: BlobError after some of it means that the rest is missing. Raises BlobError and OSError.
    """
    keys = [parse_key(read_key(path)) for path in key_files]
    with source.open("rb") as file:
        if customer_key_file is not None:
            keys.append(customer_data_key(file, parse_customer_key(read_key(customer_key_file))))
        blob = Blob(file, keys)
        if output is None:
            sys.stdout.buffer.writelines(blob.segments())
            sys.stdout.buffer.flush()
        else:
            write_whole(output, blob.segments())
    if descriptor is not None:
        write_whole(descriptor, [blob.descriptor])


def read_key(path: Path) -> bytes:
    return sys.stdin.buffer.read(66) if str(path) == "-" else path.read_bytes()


def write_whole(path: Path, pieces: Iterator[bytes] | list[bytes]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(pieces)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """0: opened and verified; 1: refused, with one sentence on standard error; 2: wrong use."""
    parser = argparse.ArgumentParser(prog="blob_open", description="Decrypt and verify one blob of the blob store.")
    parser.add_argument("blob", type=Path, help="the blob file")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--key-file", type=Path, help='data key: 32 bytes or 64 hex digits; "-" is stdin')
    keys.add_argument("--customer-key-file", type=Path, help="the customer's key (SSE-C); Base64 will do, too")
    parser.add_argument("--second-key-file", type=Path, help="second data key, for a blob of two layers")
    parser.add_argument("-o", "--output", type=Path, help="where the plaintext goes (default: standard output)")
    parser.add_argument("--descriptor", type=Path, help="also write the object's metadata, as JSON, to this file")
    given = parser.parse_args(arguments)
    key_files = [path for path in (given.key_file, given.second_key_file) if path is not None]
    try:
        open_blob(given.blob, key_files, given.output, given.descriptor, given.customer_key_file)
    except (BlobError, OSError) as error:
        print(f"blob_open: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
