"""Checksums of bodies and objects: what a client declared, computing it, and putting those of parts together.

Amazon S3 User Guide, "Checking object integrity". CRC32 is zlib's (4.3 GB/s here; awscrt's takes 3.1), CRC32C and
CRC64NVME are awscrt's (46 GB/s), and so are the XXHash kinds (11 to 26 GB/s).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol, Self

from awscrt import checksums as crt

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer
from iam.quickly_made import quickly_made

_PREFIX = "x-amz-checksum-"
_NOT_VALUES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"})
_SDK = "x-amz-sdk-checksum-algorithm"


class Algorithm(Enum):
    """Members are named as S3 spells them; a value is that name and the digest size in bytes.

    `header` is the one that holds such a checksum, `element` that of the XML documents. `is_combinable`: the checksums
    of parts give that of the whole, as those of CRCs alone do. `is_cheap`: cheap enough for the event loop, at most
    60 µs for a batch of 256 KiB. All are attributes, and `spelt` is the name: every upload asks, and a member's own
    name and its hash are code in Python.
    """

    CRC32 = ("CRC32", 4)
    CRC32C = ("CRC32C", 4)
    CRC64NVME = ("CRC64NVME", 8)
    SHA1 = ("SHA1", 20)
    SHA256 = ("SHA256", 32)
    SHA512 = ("SHA512", 64)
    MD5 = ("MD5", 16)
    XXHASH64 = ("XXHASH64", 8)
    XXHASH3 = ("XXHASH3", 8)
    XXHASH128 = ("XXHASH128", 16)

    __hash__ = object.__hash__

    def __init__(self, spelt: str, digest_size: int) -> None:
        self.spelt = spelt
        self.digest_size = digest_size
        self.header = _PREFIX + spelt.lower()
        self.element = "Checksum" + spelt
        self.is_combinable = spelt.startswith("CRC")
        self.is_cheap = spelt.startswith(("CRC", "XXHASH"))


_BY_HEADER = {algorithm.header: algorithm for algorithm in Algorithm}


class ChecksumType(Enum):
    """How the checksum of a multipart object comes out of those of its parts."""

    COMPOSITE = "COMPOSITE"
    FULL_OBJECT = "FULL_OBJECT"

    @classmethod
    def requested(cls, headers: Mapping[str, str]) -> tuple[Algorithm | None, ChecksumType | None]:
        """What CreateMultipartUpload asks for in `x-amz-checksum-algorithm` and `-type`; both None without the former.

        Raises S3Error InvalidRequest for unknown values and for pairs that S3 does not offer.
        """
        algorithm = requested_algorithm(headers)
        text = headers.get("x-amz-checksum-type")
        if text is not None and text.upper() not in cls.__members__:
            raise _invalid_value("x-amz-checksum-type")
        asked = None if text is None else cls[text.upper()]
        if algorithm is None:
            if asked is not None:
                message = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                raise S3Error("InvalidRequest", message)
            return None, None
        if asked is None:
            asked = cls.FULL_OBJECT if algorithm is Algorithm.CRC64NVME else cls.COMPOSITE
        if (asked is cls.FULL_OBJECT and not algorithm.is_combinable) or (
            asked is cls.COMPOSITE and algorithm is Algorithm.CRC64NVME
        ):
            message = (
                f"The {asked.name} checksum type cannot be used with the {algorithm.name.lower()} checksum algorithm."
            )
            raise S3Error("InvalidRequest", message)
        return algorithm, asked


class Hasher(Protocol):
    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


class _CRC:
    """A CRC as a hasher; CRCs in S3 are big-endian."""

    __slots__ = ("_function", "_size", "_value")

    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _XXHash:
    """One of awscrt's XXHash kinds, seed 0, as a hasher; its digests are big-endian, the canonical form."""

    __slots__ = ("_hash",)

    def __init__(self, new: Callable[[], crt.XXHash]) -> None:
        self._hash = new()

    def update(self, data: Buffer, /) -> None:
        self._hash.update(data if isinstance(data, bytes) else bytes(data))  # takes nothing that may change

    def digest(self) -> bytes:
        digest: bytes = self._hash.finalize()
        return digest


_HASHERS: dict[Algorithm, Callable[[], Hasher]] = {
    Algorithm.CRC32: partial(_CRC, zlib.crc32, 4),
    Algorithm.CRC32C: partial(_CRC, crt.crc32c, 4),
    Algorithm.CRC64NVME: partial(_CRC, crt.crc64nvme, 8),
    Algorithm.SHA1: lambda: hashlib.sha1(usedforsecurity=False),
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA512: hashlib.sha512,
    Algorithm.MD5: lambda: hashlib.md5(usedforsecurity=False),
    Algorithm.XXHASH64: lambda: _XXHash(crt.XXHash.new_xxhash64),
    Algorithm.XXHASH3: lambda: _XXHash(crt.XXHash.new_xxhash3_64),
    Algorithm.XXHASH128: lambda: _XXHash(crt.XXHash.new_xxhash3_128),
}


def new_hasher(algorithm: Algorithm) -> Hasher:
    return _HASHERS[algorithm]()


def encode_digest(digest: bytes) -> str:
    return binascii.b2a_base64(digest, newline=False).decode()


def decode_digest(text: str, size: int) -> bytes | None:
    """Base64 of exactly `size` bytes, or None."""
    try:
        digest = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return digest if len(digest) == size else None


@quickly_made
@dataclass(frozen=True, slots=True)
class ChecksumExpectation:
    """What a client declared about a body.

    `algorithm` with `value` came in a header; with `value` None it will come in the trailer of that algorithm's name.
    `content_md5` is the 16 bytes of Content-MD5. All None: nothing was declared.
    """

    algorithm: Algorithm | None = None
    value: bytes | None = None
    content_md5: bytes | None = None

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> Self:
        """Raises S3Error InvalidRequest (checksum headers) or InvalidDigest (Content-MD5).

        Not for CompleteMultipartUpload, whose checksum headers describe the object: see `parse_md5_only`.
        """
        declared = _single_value_header(headers)
        trailer = _trailer_algorithm(headers)
        algorithm, value = trailer, None
        if declared is not None:
            if trailer is not None:
                raise _several()
            algorithm, value = declared
        _check_sdk_algorithm(headers, algorithm)
        return cls(algorithm, value, _content_md5(headers))

    @classmethod
    def parse_md5_only(cls, headers: Mapping[str, str]) -> Self:
        """For bodies whose checksum headers, if any, speak of something else. Raises S3Error InvalidDigest."""
        return cls(content_md5=_content_md5(headers))

    def verify(self, digest: bytes, trailers: Mapping[str, str]) -> None:
        """Compare what was computed with `algorithm` to what the header, or else the trailer, says.

        Raises S3Error BadDigest; InvalidRequest for a trailer value that cannot be one, MalformedTrailerError where it
        is missing.
        """
        if self.algorithm is None:
            return
        value = self.value
        if value is None:
            text = trailers.get(self.algorithm.header)
            if text is None:
                raise S3Error("MalformedTrailerError")
            value = decode_digest(text, self.algorithm.digest_size)
            if value is None:
                raise _invalid_value(self.algorithm.header, " trailing")
        if not hmac.compare_digest(value, digest):
            name = self.algorithm.name
            raise S3Error("BadDigest", f"The {name} you specified did not match the calculated checksum.")

    def verify_md5(self, digest: bytes) -> None:
        """Raises S3Error BadDigest. `digest` is the body's MD5, 16 bytes."""
        if self.content_md5 is not None and not hmac.compare_digest(self.content_md5, digest):
            fields = {
                "ExpectedDigest": encode_digest(self.content_md5),
                "CalculatedDigest": encode_digest(digest),
            }
            raise S3Error("BadDigest", fields=fields)

    def verify_body(self, body: bytes) -> None:
        """Everything declared, against a whole body without trailers. Raises as `verify` and `verify_md5` do."""
        if self.content_md5 is not None:
            self.verify_md5(hashlib.md5(body, usedforsecurity=False).digest())
        if self.algorithm is not None:
            hasher = new_hasher(self.algorithm)
            hasher.update(body)
            self.verify(hasher.digest(), {})


def requested_algorithm(headers: Mapping[str, str]) -> Algorithm | None:
    """`x-amz-checksum-algorithm` of CreateMultipartUpload and CopyObject: what the gateway is to compute.

    Raises S3Error InvalidRequest.
    """
    text = headers.get("x-amz-checksum-algorithm")
    if text is None:
        return None
    name = text.upper()
    if name not in Algorithm.__members__:
        message = (
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            f"[{', '.join(sorted(Algorithm.__members__))}]"
        )
        raise S3Error("InvalidRequest", message)
    return Algorithm[name]


def declared_object_checksum(headers: Mapping[str, str]) -> tuple[Algorithm, str] | None:
    """The object's checksum that CompleteMultipartUpload declares, as text that `combine` would give.

    A composite one may lack its "-N": compare with `same_checksum`. Raises S3Error InvalidRequest.
    """
    found = _value_headers(headers)
    if not found:
        return None
    algorithm, text = found[0]
    value, _, count = text.partition("-")
    if decode_digest(value, algorithm.digest_size) is None or (count and not count.isdecimal()):
        raise _invalid_value(algorithm.header)
    return algorithm, text


def same_checksum(declared: str, computed: str) -> bool:
    """Whether a checksum that a client declared is the computed one, with or without the number of parts."""
    return declared in (computed, computed.partition("-")[0])


@dataclass(frozen=True, slots=True)
class PartChecksum:
    """`text` is the part's checksum in Base64, `size` the part's length in bytes."""

    text: str
    size: int


def combine(algorithm: Algorithm, checksum_type: ChecksumType, parts: Sequence[PartChecksum]) -> str:
    """The checksum of a multipart object, as S3 shows it: Base64, for a composite one followed by "-" and the count.

    Raises ValueError where a part's checksum is none of `algorithm`, or for a full-object checksum of one that cannot
    be combined.
    """
    digests = [decode_digest(part.text, algorithm.digest_size) for part in parts]
    if any(digest is None for digest in digests):
        raise ValueError(f"a part's checksum is no {algorithm.name}")
    values = [digest for digest in digests if digest is not None]
    if checksum_type is ChecksumType.COMPOSITE:
        hasher = new_hasher(algorithm)
        hasher.update(b"".join(values))
        return f"{encode_digest(hasher.digest())}-{len(parts)}"
    join = _COMBINE.get(algorithm)
    if join is None:
        raise ValueError(f"{algorithm.name} cannot be combined over parts")
    total = 0
    for value, part in zip(values, parts, strict=True):
        total = join(total, int.from_bytes(value, "big"), part.size)
    return encode_digest(total.to_bytes(algorithm.digest_size, "big"))


_COMBINE: dict[Algorithm, Callable[[int, int, int], int]] = {
    Algorithm.CRC32: crt.combine_crc32,
    Algorithm.CRC32C: crt.combine_crc32c,
    Algorithm.CRC64NVME: crt.combine_crc64nvme,
}


def unknown_checksum_header() -> S3Error:
    """For `x-amz-checksum-*` headers that S3 does not have, as recorded from it."""
    return S3Error("InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid.")


def wants_checksums(headers: Mapping[str, str]) -> bool:
    """`x-amz-checksum-mode: ENABLED` on GetObject and HeadObject."""
    return headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"


def _value_headers(headers: Mapping[str, str]) -> list[tuple[Algorithm, str]]:
    found = [name for name in headers if name.startswith(_PREFIX) and name not in _NOT_VALUES]
    if len(found) > 1:
        raise _several()
    for name in found:
        if name not in _BY_HEADER:
            raise unknown_checksum_header()
    return [(_BY_HEADER[name], headers[name]) for name in found]


def _single_value_header(headers: Mapping[str, str]) -> tuple[Algorithm, bytes] | None:
    for algorithm, text in _value_headers(headers):
        value = decode_digest(text, algorithm.digest_size)
        if value is None:
            raise _invalid_value(algorithm.header)
        return algorithm, value
    return None


def _trailer_algorithm(headers: Mapping[str, str]) -> Algorithm | None:
    text = headers.get("x-amz-trailer")
    if text is None:
        return None
    name = text.strip().lower()
    if name not in _BY_HEADER:
        raise S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
    return _BY_HEADER[name]


def _check_sdk_algorithm(headers: Mapping[str, str], algorithm: Algorithm | None) -> None:
    named = headers.get(_SDK)
    if named is None:
        return
    if named.upper() not in Algorithm.__members__:
        raise _invalid_value(_SDK)
    if algorithm is None:
        message = f"{_SDK} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
        raise S3Error("InvalidRequest", message)
    if named.upper() != algorithm.name:
        raise _invalid_value(_SDK)


def _content_md5(headers: Mapping[str, str]) -> bytes | None:
    text = headers.get("content-md5")
    if text is None:
        return None
    digest = decode_digest(text.strip(), 16)
    if digest is None:
        raise S3Error("InvalidDigest", fields={"Content-MD5": text[:256]})
    return digest


def _invalid_value(header: str, kind: str = "") -> S3Error:
    return S3Error("InvalidRequest", f"Value for {header}{kind} header is invalid.")


def _several() -> S3Error:
    message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    return S3Error("InvalidRequest", message)
