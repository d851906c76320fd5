"""What lies on disk, where someone may have written to it: blobs, rows, records of keys, lines of the audit trail."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO

from gateway.blob_open import Blob, BlobError
from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.footer import (
    TAIL_SIZE,
    format_envelope,
    open_descriptor,
    parse_envelope,
    parse_footer,
    parse_tail,
)
from gateway.sealing.format import HEADER_SIZE, Header, sealed_length
from gateway.sealing.row import RowSealer
from gateway.sealing.stream import BlobOpener
from gateway.sealing.wraps import bucket_key_unwrap, local_unwrap, local_wrap, split_kms_wrap
from kms.api.secrets import SecretBytes
from kms.audit.lines import MalformedLine, parse_place, parse_record
from kms.hsm.interface import RootMisconfigured, UnwrapFailed
from kms.hsm.uri import format_uri, parse_uri
from kms.keys.record_format import format_header
from kms.keys.record_format import parse_record as parse_key_record
from kms.store.archive import BadArchive, read_archive, write_archive
from tests.fuzz.inputs import text_of
from tests.fuzz.target import check_bounded, target

DATA_KEY = SecretBytes(bytes(range(32)))
BLOB_ID = bytes(range(16))
PLAINTEXT = b"the body of the corpus"
DESCRIPTOR = b'{"key":"x"}'
"""What was sealed under DATA_KEY, in the corpus."""

ROW_KEY = SecretBytes(bytes(range(1, 33)))
ROW_UID = bytes(range(2, 18))
CLEAR = (b"objects", b"key")
DOCUMENT = b'{"etag":"a"}'
_ROWS = RowSealer({1: ROW_KEY, 7: DATA_KEY}, 1)


@target("blob", b"SEALGT\r\n\x01\x01\x0e\x00", b"\r\nTGLAES", b'{"account_id":"', b'"version":1',
        b'"wraps":[{"mode":', bytes(8),
        b"\xff\xff\xff\xff", b'"kind":', b'"encryption_context":{', b"[" * 600, b"\xff")  # fmt: skip
def blob(data: bytes) -> str:
    """A whole blob is refused by AuthenticationFailed, or its body, envelope and descriptor are those that were sealed.

    What the header says is written and read again the same. The standalone decryptor takes the same blobs, and no
    others. Each is tried once more with a checksum that is right, as whoever forges one would make it.
    """
    return f"{_opened_by_both(data)}, mended: {_opened_by_both(_mended(data))}"


def _mended(data: bytes) -> bytes:
    """With the lengths and the checksum of the tail put right. The body has the length that the tail says."""
    if len(data) < HEADER_SIZE + TAIL_SIZE:
        return data
    tail = data[-TAIL_SIZE:]
    plain_length, envelope_length = struct.unpack_from(">QI", tail)
    start = sealed_length(min(plain_length, len(data)), seg_log2=14)
    descriptor_length = len(data) - TAIL_SIZE - start - envelope_length
    if descriptor_length < 0:
        return data
    lengths = struct.pack(">QII", plain_length, envelope_length, descriptor_length)
    checksum = zlib.crc32(data[:HEADER_SIZE] + data[start:-TAIL_SIZE] + lengths)
    return data[:-TAIL_SIZE] + lengths + struct.pack(">I", checksum) + tail[20:]


def _opened_by_both(data: bytes) -> str:
    outcome = _opened(data)
    try:
        alone = Blob(BytesIO(data), [DATA_KEY.reveal()])
        body = b"".join(alone.segments())
    except BlobError as error:
        check_bounded(len(str(error)), 0)
        assert outcome != "ok", str(error)
        return re.sub(r"[0-9]+", "N", f"{outcome} {error}")
    assert (outcome, body, alone.descriptor) == ("ok", PLAINTEXT, DESCRIPTOR)
    return outcome


def _opened(data: bytes) -> str:
    try:
        header = Header.parse(data[:HEADER_SIZE])
        assert header.pack() == data[:HEADER_SIZE]
        tail = parse_tail(data[-TAIL_SIZE:])
        footer = parse_footer(data[:HEADER_SIZE], data[-tail.footer_length :], stored_length=len(data))
        opened = open_descriptor(DATA_KEY, data[:HEADER_SIZE], footer)
        assert opened == DESCRIPTOR, "a forged descriptor"
        end = sealed_length(footer.plain_length, seg_log2=header.seg_log2, two_layers=header.two_layers)
        opener = BlobOpener(
            DATA_KEY,
            data[:HEADER_SIZE],
            blob_id=BLOB_ID,
            commitment=header.commitment,
            plain_length=footer.plain_length,
            second_key=None,
        )
        body = opener.open(0, data[HEADER_SIZE:end])
        assert body == PLAINTEXT, "a forged body"
    except AuthenticationFailed as error:
        return f"{type(error).__name__} {error}"
    return "ok"


@target("envelope", b'{"account_id":"123456789012"', b'"version":1', b'"version":2',
        b'"wraps":[{"mode":1,"wrapped":"AAAA"}]',
        b'"kind":1', b'"mode":1', b'"encryption_context":{"a":"b"}', b'"bucket_id":"AAAAAAAAAAAAAAAAAAAAAA=="',
        b"null", b'"upload_id":', b'"part_number":', b"[" * 2000, b'{"":' * 2000, b"\xff")  # fmt: skip
def envelope(data: bytes) -> str:
    """An envelope is refused by AuthenticationFailed, or it is what it was read as: written and read again the same."""
    try:
        found = parse_envelope(data)
    except AuthenticationFailed as error:
        return f"{type(error).__name__} {error}"
    assert parse_envelope(format_envelope(found)) == found
    return "ok"


@target("row", b"\x00\x00\x00\x01", b"\x00\x00\x00\x07", bytes(8))
def row(data: bytes) -> str:
    """A sealed row opens to what was sealed for its name, or is refused by AuthenticationFailed. So are local wraps."""
    outcomes = []
    try:
        assert _ROWS.open(ROW_UID, 3, CLEAR, data) == DOCUMENT, "a forged row"
        outcomes.append("row")
    except AuthenticationFailed:
        outcomes.append("no row")
    for unwrap in (_unwrap, _unwrap_by_bucket_key):
        try:
            assert unwrap(data).reveal() == DATA_KEY.reveal(), "a forged wrap"
            outcomes.append("wrap")
        except FormatError as error:
            outcomes.append(str(error)[:16])
        except AuthenticationFailed:
            outcomes.append("no wrap")
    return " ".join(outcomes)


def _unwrap(data: bytes) -> SecretBytes:
    return local_unwrap({1: ROW_KEY}, data, b"aad")


def _unwrap_by_bucket_key(data: bytes) -> SecretBytes:
    _, local = split_kms_wrap(data)
    return bucket_key_unwrap(bytearray(ROW_KEY.reveal()), local, b"aad")


def sealed_row() -> bytes:
    """A row for the corpus."""
    return _ROWS.seal(ROW_UID, 3, CLEAR, DOCUMENT)


def wrapped_key() -> bytes:
    """A local wrap for the corpus."""
    return local_wrap(ROW_KEY, 1, DATA_KEY, b"aad")


@target("key-record", b"\x01\x01", b"\x02\x02", b"sealgate-root", bytes(16), b"\x00\x28", b"\xff\xff")
def key_record(data: bytes) -> str:
    """A key's record is refused by UnwrapFailed,
    or taken apart into exactly its bytes; format 2 is written the same."""
    try:
        found = parse_key_record(data)
    except UnwrapFailed as error:
        check_bounded(len(str(error)), 0)
        return re.sub(r"[0-9]+", "N", str(error))
    assert found.authenticated + found.tag == data
    if data[0] == 2:
        assert format_header(found.header, len(found.wrapped), len(found.sealed)) == found.header_bytes
    return f"ok {found.header.key_spec} {found.header.origin}"


@target(
    "audit-line", b'{"seq":1,"prev":"', b'"time":', b'"event":', b'{"":' * 600, b"[" * 600, b"\xff", b"null", b"1e999"
)
def audit_line(data: bytes) -> str:
    """A line of the audit trail is refused by MalformedLine, or has a place and a record."""
    outcomes = []
    for parse in (parse_place, parse_record):
        try:
            parse(data)
            outcomes.append("ok")
        except MalformedLine as error:
            check_bounded(len(str(error)), 0)
            outcomes.append(str(error)[:40])
    return " ".join(outcomes)


@target("archive", b"SGKB\x01", b"root", bytes(16), b"\x00\x00\x00\x10", b"\xff\xff\xff\xff\xff\xff\xff\xff")
def archive(data: bytes) -> str:
    """A backup of the key store is refused by BadArchive, or it is whole: written again it has the same bytes."""
    database, again = BytesIO(), BytesIO()
    try:
        found = read_archive(BytesIO(data), database)
    except BadArchive as error:
        check_bounded(len(str(error)), 0)
        return str(error)
    size = database.tell()
    database.seek(0)
    digest = write_archive(again, found.header, database, size)
    assert digest == found.digest and again.getvalue() + found.mac == data
    return "ok"


@target("hsm-uri", b"pkcs11:", b"token=", b"serial=", b"object=",
        b"id=%00%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f",
        b"type=secret-key", b"?module-path=/usr/lib/x.so", b"pin-source=file:/pin", b"pin-value=1234", b";",
        b"&", b"%00")  # fmt: skip
def hsm_uri(data: bytes) -> str:
    """A PKCS#11 URI is refused by RootMisconfigured, or it is what it was read as: written and read again the same."""
    try:
        found = parse_uri(text_of(data))
    except RootMisconfigured as error:
        check_bounded(len(str(error)), len(data))
        return str(error)[:50]
    assert parse_uri(format_uri(found)) == found
    return "ok"
