"""The standalone decryptor: a blob file and its data key in, plaintext out, everything verified on the way.

Of an object under a customer's key (SSE-C), that key opens the data key, which the blob itself holds wrapped; of one by
SSE-KMS with a bucket key that key does, which the KMS decrypts from what `--show-bucket-key` tells. The service's key
opens what it wraps: the data key of SSE-S3, the second one of DSSE-KMS, that of a manifest by SSE-C.

A manifest (of a multipart upload, a copy, an object under a new key) is opened as its whole object where `--blobs`
names where other blobs lie: directories, or the SQLite index, in which the small ones are. BLOB may then be an id.

A second reading of docs/formats/object.md that shares no code with the gateway: the standard library and
`cryptography` are all it needs, so it can be copied to another machine as it is. That is why it is one file, though
long: two would have to travel together.

    python gateway/blob_open.py BLOB --key-file KEY [-o OUT] [--descriptor OUT]
    python gateway/blob_open.py BLOB --key-file KEY --second-key-file KEY [-o OUT] [--descriptor OUT]
    python gateway/blob_open.py BLOB [--key-file KEY] --service-key-file KEY [-o OUT] [--descriptor OUT]
    python gateway/blob_open.py BLOB --customer-key-file KEY [--service-key-file KEY] [-o OUT] [--descriptor OUT]
    python gateway/blob_open.py BLOB --bucket-key-file KEY [-o OUT] [--descriptor OUT]
    python gateway/blob_open.py BLOB --blobs DATA/store/blobs --blobs DATA/index/index.sqlite (and a key, as above)
    python gateway/blob_open.py BLOB --show-bucket-key
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import io
import json
import os
import re
import sqlite3
import struct
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = 128
TAIL = 32
TAG = 16
SSE_S3, KMS, BUCKET_KEY, DSSE, SSE_C = 1, 2, 3, 4, 5
MANIFEST = 3
LOCAL_WRAP = 69
CUSTOMER_WRAP = 113
MAX_PLAIN, MAX_ENVELOPE, MAX_DESCRIPTOR = 1 << 40, 1 << 17, (1 << 24) + TAG
MAX_INLINE = 1 << 26
MAX_KEY_FILE = 67
"""One byte more than the longest there is, 64 digits and a line end of two."""
INDEX_SECONDS = 60.0
"""Looking for all inline blobs of one object; an index that takes longer is no index of the gateway's."""


class BlobError(Exception):
    """The blob cannot be opened: another version, another key, or not the bytes that were written."""


class Blob:
    """An open blob whose header, lengths, checksum, commitments and footer were verified.

    `keys` are the data keys, 32 bytes each: one, or two for a blob of two layers. `envelope` and `descriptor` are the
    footer's JSON documents; `plain_length` is that of the body. Raises BlobError.
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

    @property
    def blob_id(self) -> bytes:
        return self.header[16:32]

    @property
    def commitment(self) -> bytes:
        """32 bytes for each layer, as index rows and manifests have it."""
        return self.header[64 : 64 + 32 * len(self._layers)]

    def _read_footer(self, stored_length: int, key: bytes) -> None:
        if stored_length < HEADER + TAIL:
            raise BlobError("the blob is cut short")
        self._file.seek(stored_length - TAIL)
        tail = self._file.read(TAIL)
        plain_length, envelope_length, descriptor_length, checksum = struct.unpack(">QIII", tail[:20])
        if plain_length > MAX_PLAIN or envelope_length > MAX_ENVELOPE or descriptor_length > MAX_DESCRIPTOR:
            raise BlobError("the tail is damaged: no blob has such lengths")
        self.plain_length = plain_length
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
            size = min(self._segment_size, self.plain_length - index * self._segment_size)
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
    envelope = read_envelope(file)
    wrapped = wrap_of_mode(envelope, SSE_C)
    if len(wrapped) != CUSTOMER_WRAP or wrapped[0] != 1:
        raise BlobError("this blob is not under a customer's key, or its wrap is of another version")
    fields = lp_fields(
        member(envelope, "account_id"), member_bytes(envelope, "bucket_id"), member_bytes(envelope, "row_uid")
    )
    info = b"sealgate/v1/sse-c" + b"".join(fields[:2])
    derived = HKDF(algorithm=SHA256(), length=64, salt=wrapped[1:33], info=info).derive(customer_key)
    if not hmac.compare_digest(derived[32:], wrapped[33:65]):
        raise BlobError("this is not the customer's key of the blob")
    return unwrap(derived[:32], wrapped[65:], b"".join(fields))


def bucket_data_key(file: BinaryIO, bucket_key: bytes) -> bytes:
    """The data key of a blob by SSE-KMS with a bucket key, out of the wrap in its footer: "Wrap under a bucket key".

    Raises BlobError; authenticated is what `customer_data_key` says.
    """
    envelope = read_envelope(file)
    _, wrapped = split_bucket_key_wrap(envelope)
    if wrapped[1:5] != bytes(4):
        raise BlobError("this blob's wrap is of another version")
    fields = lp_fields(
        member_bytes(envelope, "bucket_id"), member_bytes(envelope, "row_uid"), member(envelope, "object_key")
    )
    return local_unwrap(bucket_key, wrapped, b"".join(fields))


def service_data_key(file: BinaryIO, service_key: bytes) -> bytes:
    """The data key that the service's key wraps in a blob's footer, whichever layer it is of: "Modes", "Local wrap".

    `service_key` is that of the epoch which the wrap names. Raises BlobError; authenticated is what
    `customer_data_key` says.
    """
    envelope = read_envelope(file)
    wrapped = wrap_of_mode(envelope, SSE_S3)
    if len(wrapped) != LOCAL_WRAP:
        raise BlobError("nothing in this blob is under the service's key, or its footer is damaged")
    fields = lp_fields(
        member(envelope, "account_id"), member_bytes(envelope, "bucket_id"), member_bytes(envelope, "row_uid")
    )
    if envelope.get("mode") == DSSE:
        fields += lp_fields(b"\1")
    return local_unwrap(service_key, wrapped, b"".join(fields))


def wrapped_bucket_key(file: BinaryIO) -> str:
    """What the KMS's Decrypt takes to give the bucket key of a blob, as JSON for aws-cli. Raises BlobError."""
    envelope = read_envelope(file)
    split_bucket_key_wrap(envelope)
    return json.dumps(asked_of_kms(envelope), indent=2)


def asked_of_kms(envelope: dict[str, Any]) -> dict[str, Any]:
    """What the KMS's Decrypt takes to give the data key of a blob, or its bucket key. Raises BlobError."""
    mode, context = envelope.get("mode"), envelope.get("encryption_context")
    if not isinstance(mode, int) or mode not in {KMS, BUCKET_KEY, DSSE}:
        raise BlobError("no key of the KMS opens this blob: it is by SSE-S3 or SSE-C")
    blob = split_bucket_key_wrap(envelope)[0] if mode == BUCKET_KEY else wrap_of_mode(envelope, mode)
    key_arn = next(wrap.get("key_arn") for wrap in envelope["wraps"] if wrap["mode"] == mode) if blob else None
    if not isinstance(key_arn, str) or not isinstance(context, dict):
        raise BlobError("the footer is damaged")
    return {"CiphertextBlob": base64.b64encode(blob).decode(), "KeyId": key_arn, "EncryptionContext": context}


def read_envelope(file: BinaryIO) -> dict[str, Any]:
    """The clear half of a blob's footer, not authenticated yet; rewinds the file. Raises BlobError."""
    stored_length = file.seek(0, os.SEEK_END)
    if stored_length < HEADER + TAIL:
        raise BlobError("the blob is cut short")
    file.seek(stored_length - TAIL)
    envelope_length, descriptor_length = struct.unpack(">II", file.read(TAIL)[8:16])
    start = stored_length - TAIL - descriptor_length - envelope_length
    if start < HEADER or envelope_length > MAX_ENVELOPE:
        raise BlobError("the blob is cut short, extended, or its tail is damaged")
    file.seek(start)
    try:
        envelope = json.loads(file.read(envelope_length))
    except (ValueError, RecursionError):
        envelope = None
    finally:
        file.seek(0)
    if not isinstance(envelope, dict):
        raise BlobError("the footer is damaged")
    if envelope.get("version") != 1:
        raise BlobError("the footer is of another version: only version 1 can be read")
    return envelope


def wrap_of_mode(envelope: dict[str, Any], mode: int) -> bytes:
    """The first wrap of this mode, or nothing: where an envelope has several, they are of different modes."""
    try:
        wraps = [wrap["wrapped"] for wrap in envelope["wraps"] if wrap["mode"] == mode]
        return base64.b64decode(wraps[0], validate=True) if wraps else b""
    except (ValueError, KeyError, TypeError):
        raise BlobError("the footer is damaged") from None


def split_bucket_key_wrap(envelope: dict[str, Any]) -> tuple[bytes, bytes]:
    """The bucket key as the KMS wrapped it, and the data key as the bucket key wraps it."""
    wrapped = wrap_of_mode(envelope, BUCKET_KEY)
    start = len(wrapped) - LOCAL_WRAP
    if start < 4 or struct.unpack(">I", wrapped[:4])[0] != start - 4:
        raise BlobError("this blob is not under a bucket key, or its footer is damaged")
    return wrapped[4:start], wrapped[start:]


def member(envelope: dict[str, Any], name: str) -> bytes:
    text = envelope.get(name)
    if not isinstance(text, str):
        raise BlobError("the footer is damaged")
    return text.encode(errors="surrogatepass")


def member_bytes(envelope: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(member(envelope, name), validate=True)
    except ValueError:
        raise BlobError("the footer is damaged") from None


def lp_fields(*fields: bytes) -> list[bytes]:
    return [struct.pack(">I", len(each)) + each for each in fields]


def local_unwrap(wrapping_key: bytes, wrapped: bytes, bound_to: bytes) -> bytes:
    """The data key in a local wrap of 69 bytes."""
    if wrapped[0] != 1:
        raise BlobError("this blob's wrap is of another version")
    one_time_key = hmac.digest(wrapping_key, b"sealgate/v1/wrap" + wrapped[5:21], "sha256")
    epoch = int.from_bytes(wrapped[1:5], "big")
    return unwrap(one_time_key, wrapped[21:], bound_to, f" (it is under the key of epoch {epoch})" if epoch else "")


def unwrap(key: bytes, sealed: bytes, bound_to: bytes, hint: str = "") -> bytes:
    try:
        return AESGCM(key).decrypt(bytes(12), sealed, bound_to)
    except InvalidTag:
        raise BlobError(f"the key is not the one of the wrapped data key, or this is damaged{hint}") from None


def parse_text_key(data: bytes) -> bytes:
    """As `parse_key`, or Base64, as requests carry a customer's key, and the KMS answers a bucket key."""
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


@dataclass(frozen=True, repr=False)
class Keys:
    """What whoever opens an object has: its data keys themselves, or keys that open those which the blob holds."""

    data: tuple[bytes, ...] = ()
    customer: bytes | None = None
    bucket: bytes | None = None
    service: bytes | None = None

    def of(self, file: BinaryIO) -> list[bytes]:
        """The data keys of a blob. Raises BlobError."""
        keys = list(self.data)
        # The manifest of an object by SSE-C is under the service's key alone, its parts under the customer's.
        both = self.customer is not None and self.service is not None
        by_service = self.service is not None and not (both and not is_manifest(read_envelope(file)))
        if self.customer is not None and not by_service:
            keys.append(customer_data_key(file, self.customer))
        if self.bucket is not None:
            keys.append(bucket_data_key(file, self.bucket))
        if self.service is not None and by_service:
            keys.append(service_data_key(file, self.service))
        return keys


def is_manifest(envelope: dict[str, Any]) -> bool:
    return envelope.get("kind") == MANIFEST


class BlobPlaces:
    """Where blobs are found by their ids: directories, at any depth, by file names; and SQLite indexes.

    With a backing S3 or an index elsewhere: a copy of its objects, or of the column `data` of the table `inline_blob`,
    in files called by the ids as 32 hexadecimal digits.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places

    def find(self, blob_ids: Iterable[str]) -> dict[str, Path | bytes]:
        """Files, or the bytes of inline blobs. Raises BlobError, naming one that is nowhere, and OSError."""
        missing, found = set(blob_ids), dict[str, Path | bytes]()
        for place in self._places:
            for name, blob in self._look(place, missing) if missing else ():
                found[name] = blob
                missing.discard(name)
        if missing:
            raise BlobError(f"{len(missing)} blob(s) are in none of the places, such as {min(missing)}")
        return found

    @staticmethod
    def _look(place: Path, wanted: set[str]) -> Iterator[tuple[str, Path | bytes]]:
        if not place.is_dir():
            yield from inline_blobs(place, sorted(wanted))
            return

        def refuse(error: OSError) -> None:
            raise error

        for directory, _, names in os.walk(place, onerror=refuse):
            for name in wanted.intersection(names):
                path = Path(directory, name)
                if path.is_file():
                    yield name, path


def inline_blobs(index: Path, blob_ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Those that lie in the gateway's SQLite index, which may be in use. Raises BlobError and OSError."""
    index.stat()
    deadline = time.monotonic() + INDEX_SECONDS
    try:
        with closing(sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)) as database:
            # Not even views and triggers of a file that is made to look like an index hold this up.
            database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            database.execute("PRAGMA trusted_schema = OFF")
            columns = {column for _, column, *_ in database.execute("PRAGMA table_info(inline_blob)")}
            joined = "" if "blob_id" in columns else "JOIN blob USING (blob_no)"  # as releases before schema 9 have it
            query = (
                f"SELECT data FROM inline_blob {joined} "  # noqa: S608  # one of the two above
                "WHERE blob_id = ? AND typeof(data) = 'blob' AND length(data) <= ?"
            )
            for name in blob_ids:
                for (data,) in database.execute(query, (bytes.fromhex(name), MAX_INLINE)):
                    yield name, data
    except sqlite3.Error as error:
        raise BlobError(f"{index} is no index that can be read: {error}") from None


def pieces_of_object(manifest: Blob, key_of_parts: list[bytes], places: BlobPlaces) -> Iterator[bytes]:
    """The body of the object that a manifest describes, each piece authenticated before it is given.

    Nothing is given before every blob was found; each is held to the id, commitment and length that the manifest has,
    which its descriptor's tag vouches for. Raises BlobError and OSError.
    """
    try:
        told = json.loads(manifest.descriptor)
        names = [base64.b64decode(each, validate=True).hex() for each in told["blob_ids"]]
        parts = [(entry[1], entry[2]) for entry in told.get("parts", ())]
        parts = parts or [(told["size"], told["document"]["commitment"])]
        expected = [(size, base64.b64decode(commitment, validate=True)) for size, commitment in parts]
        whole = len(names) == len(expected) and sum(size for size, _ in expected) == told["size"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        whole = False
    if not whole:
        raise BlobError("the manifest does not say what the object consists of")
    found = places.find(names)
    for name, (size, commitment) in zip(names, expected, strict=True):
        where = found[name]
        with io.BytesIO(where) if isinstance(where, bytes) else where.open("rb") as file:
            try:
                blob = Blob(file, key_of_parts)
                if (blob.blob_id.hex(), blob.commitment, blob.plain_length) != (name, commitment, size):
                    raise BlobError("it is not the one that the manifest names")
                yield from blob.segments()
            except BlobError as error:
                raise BlobError(f"blob {name}: {error}") from None


def open_blob(
    source: Path, keys: Keys, output: Path | None, descriptor: Path | None, places: Sequence[Path] = ()
) -> None:
    """Decrypt `source` to `output` (None: standard output); a manifest as its whole object, given `places` of blobs.

    Where there are places, `source` may be a blob's id. A file appears under its name only when all of it was verified.
    What goes to standard output was verified segment by segment: BlobError after some of it means that the rest is
    missing. Raises BlobError and OSError.
    """
    with open_source(source, places) as file:
        blob = Blob(file, keys.of(file))
        pieces = blob.segments()
        if places and is_manifest(read_envelope(file)):
            parts = [customer_data_key(file, keys.customer)] if keys.customer is not None else keys.of(file)
            pieces = pieces_of_object(blob, parts, BlobPlaces(places))
        if output is None:
            sys.stdout.buffer.writelines(pieces)
            sys.stdout.buffer.flush()
        else:
            write_whole(output, pieces)
    if descriptor is not None:
        write_whole(descriptor, [blob.descriptor])


def open_source(source: Path, places: Sequence[Path]) -> BinaryIO:
    """A blob by its path or, where there are places, by its id. Raises BlobError and OSError."""
    if not places or source.exists() or not re.fullmatch("[0-9a-f]{32}", str(source)):
        return source.open("rb")
    found = BlobPlaces(places).find([str(source)])[str(source)]
    return io.BytesIO(found) if isinstance(found, bytes) else found.open("rb")


def read_keys(
    data: Iterable[Path | None], customer: Path | None = None, bucket: Path | None = None, service: Path | None = None
) -> Keys:
    """From files, each as its option says. Raises BlobError and OSError."""
    return Keys(
        tuple(parse_key(read_key(path)) for path in data if path is not None),
        *(None if path is None else parse_text_key(read_key(path)) for path in (customer, bucket, service)),
    )


def read_key(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_KEY_FILE)
    with path.open("rb") as file:
        return file.read(MAX_KEY_FILE)


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
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
    parser.add_argument("blob", type=Path, help="the blob file; with --blobs, a blob's id will do")
    first = parser.add_mutually_exclusive_group()
    first.add_argument("--key-file", type=Path, help='data key: 32 bytes or 64 hex digits; "-" is stdin')
    first.add_argument("--customer-key-file", type=Path, help="the customer's key (SSE-C); Base64 will do, too")
    first.add_argument("--bucket-key-file", type=Path, help="the bucket key (SSE-KMS); Base64 will do, too")
    first.add_argument("--show-bucket-key", action="store_true", help="tell what the KMS's Decrypt needs for that")
    last = parser.add_mutually_exclusive_group()
    last.add_argument("--second-key-file", type=Path, help="second data key, for a blob of two layers (DSSE-KMS)")
    last.add_argument("--service-key-file", type=Path, help="the service's key (SSE-S3; DSSE-KMS, beside the data key)")
    places = "where other blobs lie, for a manifest: a directory, or an index of SQLite; may be repeated"
    parser.add_argument("--blobs", type=Path, action="append", default=[], metavar="PLACE", help=places)
    parser.add_argument("-o", "--output", type=Path, help="where the plaintext goes (default: standard output)")
    parser.add_argument("--descriptor", type=Path, help="also write the object's metadata, as JSON, to this file")
    given = parser.parse_args(arguments)
    first_files = (given.key_file, given.customer_key_file, given.bucket_key_file, given.service_key_file)
    if not given.show_bucket_key and not any(first_files):
        parser.error("one of the keys is needed")
    try:
        if given.show_bucket_key:
            with open_source(given.blob, given.blobs) as file:
                print(wrapped_bucket_key(file))
            return 0
        data = (given.key_file, given.second_key_file)
        keys = read_keys(data, given.customer_key_file, given.bucket_key_file, given.service_key_file)
        open_blob(given.blob, keys, given.output, given.descriptor, given.blobs)
    except (BlobError, OSError) as error:
        print(f"blob_open: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
