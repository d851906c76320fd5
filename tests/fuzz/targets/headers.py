"""The head of a request: address, query, ranges, conditions, and every header that means something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from gateway.protocol.acl import RequestedACL
from gateway.protocol.addressing import resolve
from gateway.protocol.checksums import ChecksumExpectation, ChecksumType, declared_object_checksum
from gateway.protocol.conditions import check_delete, check_read, check_rename, check_source, check_write, range_applies
from gateway.protocol.content_sha256 import ContentSHA256, anonymous_content_sha256, payload_length, trailer_names
from gateway.protocol.copy_source import parse_copy_source
from gateway.protocol.encryption import format_context, parse_context, parse_encryption
from gateway.protocol.errors import S3Error
from gateway.protocol.names import InvalidName, parse_bucket_name, parse_object_key
from gateway.protocol.object_attributes import ObjectAttributesParameters
from gateway.protocol.object_headers import (
    MAX_METADATA_BYTES,
    ObjectHeaders,
    is_metadata_replaced,
    metadata_headers,
    response_overrides,
)
from gateway.protocol.percent import decode, encode
from gateway.protocol.public_access import requested_ownership
from gateway.protocol.query import (
    ListBucketsParameters,
    ListObjectsV1Parameters,
    ListObjectsV2Parameters,
    ListPartsParameters,
    ListUploadsParameters,
    ListVersionsParameters,
    Query,
    part_number,
)
from gateway.protocol.ranges import parse_copy_range, parse_range
from gateway.protocol.rename_source import client_token, source_keys
from gateway.protocol.request_headers import check_request_headers, expected_owner, user_agent
from gateway.protocol.tags import is_tagging_replaced, tags_of_header
from gateway.protocol.timestamps import format_http_date, parse_http_date_or_none
from gateway.protocol.version_ids import check_version_id, time_of_version
from gateway.server.forwarded import TrustedProxies, canonical_address
from tests.fuzz.inputs import first_line, headers_of, number_of, outcome_of, refused, text_of
from tests.fuzz.target import target

OPERATIONS = (
    "PutObject",
    "GetObject",
    "CopyObject",
    "CreateBucket",
    "UploadPart",
    "DeleteObject",
    "RenameObject",
    "CreateMultipartUpload",
    "CompleteMultipartUpload",
)


@target("range", b"bytes=", b"-", b"0-0", b"-1", b", ", b"BYTES=", b"9" * 40)
def ranges(data: bytes) -> str:
    """A range lies inside of its body and is not empty,
    whatever was asked. First line: the body's size; then the header.

    Where the standard's own form is met, it is what the standard says, computed here once more.
    """
    line, rest = first_line(data)
    size, value = number_of(line, 100, 1 << 40), text_of(rest)
    outcome = ""
    for parse in (parse_range, parse_copy_range):
        try:
            found = parse(value, size)
        except S3Error as error:
            outcome += f"{refused(error, len(data))} "
            continue
        if found is None:
            outcome += "whole "
            continue
        assert 0 <= found.start < found.end <= size and found.length == found.end - found.start
        assert found.format_content_range(size) == f"bytes {found.start}-{found.end - 1}/{size}"
        first, _, last = value.strip().lower().removeprefix("bytes=").partition("-")
        if first:
            assert found.start == int(first) and (not last or found.end == min(int(last) + 1, size))
        else:
            assert found.end == size and found.length == min(int(last), size)
        outcome += "ok "
    return outcome


_LISTINGS: Mapping[str, Callable[[Query], object]] = {
    "buckets": ListBucketsParameters.parse,
    "v1": ListObjectsV1Parameters.parse,
    "v2": ListObjectsV2Parameters.parse,
    "versions": ListVersionsParameters.parse,
    "uploads": ListUploadsParameters.parse,
    "parts": ListPartsParameters.parse,
    "part": part_number,
    "overrides": response_overrides,
}


@target("query", b"prefix=", b"delimiter=", b"marker=", b"start-after=", b"continuation-token=", b"max-keys=",
        b"encoding-type=url", b"key-marker=", b"version-id-marker=", b"upload-id-marker=", b"max-uploads=",
        b"max-parts=",
        b"part-number-marker=", b"uploadId=", b"partNumber=", b"max-buckets=", b"bucket-region=", b"fetch-owner=true",
        b"response-content-type=", b"response-expires=", b"list-type=2", b"versionId=", b"&", b"%E2%82%AC",
        b"%ED%A0%80")  # fmt: skip
def query(data: bytes) -> str:
    """A query is refused by S3Error, or its values are text, and every page is of 0 to 10000."""
    try:
        parsed = Query(text_of(data))
    except S3Error as error:
        return refused(error, len(data))
    for name in parsed:
        name.encode()
        for value in parsed.get_all(name):
            value.encode()
    outcomes = []
    for name, parse in _LISTINGS.items():
        outcome = outcome_of(lambda parse=parse: _check_page(parse(parsed)), data)
        outcomes.append(f"{name}:{outcome}")
    return " ".join(outcomes)


def _check_page(parameters: object) -> None:
    for name in ("max_keys", "max_buckets", "max_uploads", "max_parts"):
        assert 0 <= getattr(parameters, name, 0) <= 10_000
    if isinstance(parameters, dict):
        assert all(value.isascii() and value.replace("\t", " ").isprintable() for value in parameters.values())


@target(
    "address",
    b"/",
    b"//",
    b"%2F",
    b"..",
    b"%00",
    b"%E2%82%AC",
    b"s3.example.com",
    b".s3.example.com",
    b":9000",
    b"[::1]",
)
def address(data: bytes) -> str:
    """A bucket and a key are text, never empty. First line: the host,
    which the edge takes as UTF-8 alone; then the path.

    What percent-encoding reads it writes again: decode(encode(decode(x))) is decode(x).
    """
    line, rest = first_line(data)
    host, path = line.encode("utf-8", "replace").decode(), text_of(rest)
    try:
        found = resolve(host, path, ("s3.example.com", "example.com"))
    except S3Error as error:
        return refused(error, len(data))
    assert found.bucket != "" and found.key != "" and (found.bucket is not None or found.key is None)
    for text in (found.bucket, found.key):
        if text is not None:
            assert decode(encode(text)) == text
    outcome = f"{found.is_virtual_host} {found.bucket is None} {found.key is None}"
    for parse, text in ((parse_bucket_name, found.bucket), (parse_object_key, found.key)):
        try:
            parse(text or "")
        except InvalidName as error:
            assert len(str(error)) < 2048
            outcome += " illegal"
    return outcome


@target("copy-source", b"/", b"?versionId=", b"%2F", b"%3F", b"arn:aws:s3:::", b"bucket", b"+", b"null")
def copy_source(data: bytes) -> str:
    """A copy source is refused by S3Error, or it is what it was read as: written and read again it is the same."""
    value = text_of(data)

    def parse() -> None:
        found = parse_copy_source(value)
        assert parse_copy_source(found.format()) == found
        if found.version_id is not None:
            check_version_id(found.version_id)
            time_of_version(found.version_id)

    outcomes = outcome_of(parse, data)
    headers = {"x-amz-rename-source": value, "x-amz-client-token": value}
    outcomes += outcome_of(lambda: all(source_keys(headers, "bucket")) or _fail("an empty key"), data)
    return outcomes + outcome_of(lambda: client_token(headers), data)


def _fail(why: str) -> None:
    raise AssertionError(why)


_PROXIES = TrustedProxies(("10.0.0.0/8", "fd00::/8"))
_PEER = "10.0.0.1"


_FORWARDED_WORDS = (
    b"X-Forwarded-For: ",
    b"X-Forwarded-Proto: ",
    b", ",
    b"10.0.0.2",
    b"203.0.113.7",
    b"::ffff:",
    b"[fd00::1]:443",
    b"%eth0",
    b"https",
)


@target("forwarded", *_FORWARDED_WORDS)
def forwarded(data: bytes) -> str:
    """Whatever a trusted proxy passes on, its client is an address in its one form, the proxy's own if nothing better
    was told. What stands left of the client's changes nothing. Only `https` is secure.
    """
    headers = headers_of(data)
    origin = _PROXIES.origin(_PEER, headers, is_secure=False)
    told = headers.get("x-forwarded-for", "")
    assert str(ip_address(origin.remote_ip)) == origin.remote_ip == canonical_address(origin.remote_ip)
    assert not origin.is_secure or set(headers["x-forwarded-proto"].lower()) <= set("https, \t")
    if not _PROXIES.trust(origin.remote_ip):
        spoofed = {**headers, "x-forwarded-for": f"6.6.6.6, {told}"}
        assert _PROXIES.origin(_PEER, spoofed, is_secure=False) == origin
    return f"{'peer' if origin.remote_ip == _PEER else ip_address(origin.remote_ip).version} {origin.is_secure}"


@target("tags", b"&", b"=", b"%20", b"+", b"aws:", b"a=b", b"%F0%9F%98%80", b"key=value&")
def tags(data: bytes) -> str:
    """`x-amz-tagging` is refused by S3Error, or gives at most ten tags, within their lengths, that are text."""

    def parse() -> None:
        found = tags_of_header({"x-amz-tagging": text_of(data)})
        assert len(found) <= 10
        for key, value in found.items():
            assert 1 <= len(key.encode("utf-16-le")) <= 256 and len(value.encode("utf-16-le")) <= 512

    return outcome_of(parse, data)


@target("object-headers", b"content-type: ", b"content-encoding: aws-chunked,gzip", b"cache-control: ", b"expires: ",
        b"x-amz-meta-a: ", b"x-amz-storage-class: GLACIER", b"x-amz-metadata-directive: REPLACE", b"x-amz-acl: private",
        b"x-amz-tagging-directive: COPY", b"x-amz-grant-read: ", b"x-amz-object-lock-mode: ",
        b"x-amz-object-ownership: ",
        b"x-amz-object-attributes: ETag,Checksum", b"x-amz-max-parts: ", b"x-amz-part-number-marker: ", b"user-agent: ",
        b"x-amz-expected-bucket-owner: 123456789012", b"x-amz-bucket-namespace: global", b"\xc3\xa9",
        b"\xff")  # fmt: skip
def object_headers(data: bytes) -> str:
    """Headers are refused by S3Error, or what is kept of them is bounded text that can be sent as headers again."""
    headers = headers_of(data)

    def parse() -> None:
        kept = ObjectHeaders.parse(headers)
        assert sum(len((name + value).encode("utf-8", "surrogateescape")) for name, value in kept.metadata.items()) <= (
            MAX_METADATA_BYTES
        )
        for value in (*kept.headers.values(), *metadata_headers(kept.metadata).values(), kept.storage_class):
            assert not set(value) & set(map(chr, (*range(9), *range(10, 32), 127)))
        for value in metadata_headers(kept.metadata).values():
            assert value.isascii()

    told = user_agent(headers).encode()
    assert len(told) <= 4096
    outcomes = [
        outcome_of(parse, data),
        outcome_of(lambda: is_metadata_replaced(headers), data),
        outcome_of(lambda: is_tagging_replaced(headers), data),
        outcome_of(lambda: requested_ownership(headers), data),
        outcome_of(lambda: RequestedACL.parse(headers), data),
        outcome_of(lambda: ObjectAttributesParameters.parse(headers), data),
        outcome_of(lambda: expected_owner(headers, "x-amz-expected-bucket-owner"), data),
        *(outcome_of(lambda name=name: check_request_headers(headers, name), data) for name in OPERATIONS),
    ]
    return " ".join(outcomes)


@target("encryption-headers", b"x-amz-server-side-encryption: aws:kms", b"x-amz-server-side-encryption: AES256",
        b"x-amz-server-side-encryption-aws-kms-key-id: ", b"x-amz-server-side-encryption-context: ", b"eyJhIjoiYiJ9",
        b"x-amz-server-side-encryption-bucket-key-enabled: true",
        b"x-amz-server-side-encryption-customer-algorithm: AES256",
        b"x-amz-server-side-encryption-customer-key: ", b"x-amz-server-side-encryption-customer-key-md5: ",
        b"x-amz-copy-source-server-side-encryption-customer-key: ", b'{"a":"b"}', b'{"aws:s3:arn":"b"}')  # fmt: skip
def encryption_headers(data: bytes) -> str:
    """SSE headers are refused by S3Error without a word of a customer's key, or honoured: a context is a map of text.

    What is no header section is tried as a context by itself.
    """
    headers = headers_of(data)
    outcomes = [outcome_of(lambda name=name: parse_encryption(headers, name), data) for name in OPERATIONS]
    key = headers.get("x-amz-server-side-encryption-customer-key", "")
    for name in OPERATIONS:
        try:
            parse_encryption(headers, name)
        except S3Error as error:
            said_elsewhere = len(key) < 16 or text_of(data).count(key) > 1
            assert said_elsewhere or key not in f"{error} {dict(error.fields)}"

    def parse() -> None:
        context = parse_context(headers.get("x-amz-server-side-encryption-context", text_of(data)))
        for name, value in context.items():
            assert (name + value).encode()
        assert parse_context(format_context(context)) == context

    return " ".join([*outcomes, outcome_of(parse, data)])


@target("payload-headers", b"x-amz-content-sha256: ", b"UNSIGNED-PAYLOAD", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", b"x-amz-trailer: x-amz-checksum-crc32",
        b"x-amz-decoded-content-length: ",
        b"x-amz-checksum-crc32: ", b"x-amz-checksum-sha256: ", b"x-amz-checksum-xxhash64: ",
        b"x-amz-checksum-algorithm: CRC64NVME",
        b"x-amz-checksum-type: FULL_OBJECT", b"x-amz-sdk-checksum-algorithm: CRC32", b"content-md5: ", b"AAAAAA==",
        b"1B2M2Y8AsgTpgAmY7PhCfg==", b"transfer-encoding: chunked", b"-3")  # fmt: skip
def payload_headers(data: bytes) -> str:
    """What is said about a body is refused by S3Error,
    or names digests of the right sizes and a length within 5 GiB."""
    headers = headers_of(data)

    def expectation() -> None:
        found = ChecksumExpectation.parse(headers)
        assert found.value is None or (found.algorithm and len(found.value) == found.algorithm.digest_size)
        assert found.content_md5 is None or len(found.content_md5) == 16
        if found.algorithm is not None and found.value is None:
            found.verify(b"", {found.algorithm.header: headers.get("content-md5", "")})
        found.verify_body(data)

    def payload() -> None:
        content = anonymous_content_sha256(headers)
        trailer_names(headers, content)
        assert 0 <= payload_length(headers, content, None) <= 5 << 30

    outcomes = [
        outcome_of(expectation, data),
        outcome_of(payload, data),
        outcome_of(lambda: ContentSHA256.parse(headers.get("x-amz-content-sha256", "")), data),
        outcome_of(lambda: ChecksumType.requested(headers), data),
        outcome_of(lambda: declared_object_checksum(headers), data),
    ]
    return " ".join(outcomes)


_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
_MODIFIED_US = 1_369_353_600_000_000
_NOW_US = 1_400_000_000_000_000


@target("conditions", b"if-match: ", b"if-none-match: ", b"if-modified-since: ", b"if-unmodified-since: ",
        b"if-range: ",
        b"x-amz-copy-source-if-match: ", b'"d41d8cd98f00b204e9800998ecf8427e"', b"W/", b"*",
        b"Fri, 24 May 2013 00:00:00 GMT",
        b"Friday, 24-May-13 00:00:00 GMT", b"Fri May 24 00:00:00 2013", b"Fri May  4 24:61:61 0000")  # fmt: skip
def conditions(data: bytes) -> str:
    """Conditions hold or are refused by S3Error; a date that can be read is written and read again the same.

    No condition at all always holds. A list of entity tags that has the object's own never fails If-Match.
    """
    headers = headers_of(data)
    about = {"etag": _ETAG, "modified_us": _MODIFIED_US}
    checks: dict[str, Callable[[], object]] = {
        "read": lambda: check_read(headers, **about, now_us=_NOW_US),
        "source": lambda: check_source(headers, "x-amz-copy-source-", **about, now_us=_NOW_US),
        "rename": lambda: check_rename(headers, **about, now_us=_NOW_US),
        "write": lambda: check_write(headers, "k", _ETAG),
        "new": lambda: check_write(headers, "k", None),
        "delete": lambda: check_delete(headers.get("if-match", "*"), "k", _ETAG),
        "range": lambda: range_applies(headers, **about),
    }
    outcomes = {name: outcome_of(check, data) for name, check in checks.items()}
    if not any("if-" in name for name in headers):
        assert set(outcomes.values()) == {"ok"}
    if f'"{_ETAG}"' in [tag.strip() for tag in headers.get("if-match", "").split(",")]:
        assert outcomes["delete"] == "ok"
    for value in headers.values():
        date_us = parse_http_date_or_none(value)
        if date_us is not None:
            assert parse_http_date_or_none(format_http_date(date_us)) == date_us
    return " ".join(outcomes.values())
