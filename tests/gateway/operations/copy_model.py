"""What AWS answers to a copy, and what lies underneath, written down apart from the gateway: the matrix of copies.

Sources: API_CopyObject, API_UploadPartCopy and the User Guide ("Copying objects", "Checking object integrity"); tables
2.1 to 2.4 of what was recorded from S3, as the gateway's documents tell it.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tests.clients.digests import checksum
from tests.properties.encryption import BUCKET_KEY, CUSTOMERS, MODES, SSE, asked, brought, brought_for_source

BY_KMS = ("aws:kms", BUCKET_KEY, "aws:kms:dsse")
BY_CUSTOMER = "customer A"
SHARED = ("AES256", "aws:kms", BUCKET_KEY)
"""Modes whose ciphertext two objects may share: docs/formats/object.md, "Footer"."""

CONTEXT = {"matter": "copies"}
"""The client's own encryption context, of whatever is written under the second KMS key."""

PIECES = (bytes(range(250)) * 7, b"the second part " * 120)
"""The bodies of the parts of a source; one of one body has a piece of the first, small enough to lie in the index."""

SOURCE_HEADERS = {
    "Content-Type": "text/x-source",
    "Cache-Control": "max-age=60",
    "x-amz-meta-from": "source",
    "x-amz-tagging": "of=source",
}
REQUEST_HEADERS = {"Content-Type": "text/x-request", "Content-Language": "de", "x-amz-meta-from": "request"}


PLACES = ("itself", "another key", "another bucket", "another account")
ELSEWHERE = PLACES[2:]
"""Of the source's bucket; the last is a bucket of another account, whose policy lets the caller do all there."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How something is encrypted: one of `MODES`, or None for what says nothing, with one of two keys.

    `by_default`: the request says nothing either, and the bucket's configuration all.
    """

    mode: str | None
    key: int = 1
    by_default: bool = False

    def __str__(self) -> str:
        return f"{self.mode or 'nothing'} {self.key}{' by default' if self.by_default else ''}"

    @property
    def _name(self) -> str | None:
        """What the other tests call it."""
        return list(CUSTOMERS)[self.key - 1] if self.mode == BY_CUSTOMER else self.mode

    @property
    def secret(self) -> bytes | None:
        """The customer's key."""
        return CUSTOMERS.get(self._name or "")

    def asked(self, kms_keys: Mapping[int, str]) -> dict[str, str]:
        """The headers of a write."""
        if self.by_default:
            return {}
        headers = dict(asked(self._name))
        if self.mode in BY_KMS:
            headers[f"{SSE}-aws-kms-key-id"] = kms_keys[self.key]
            if self.key == 2:
                headers[f"{SSE}-context"] = base64.b64encode(json.dumps(CONTEXT).encode()).decode()
        return headers

    def configuration(self, kms_keys: Mapping[int, str]) -> bytes:
        """A bucket's, which has it so by default."""
        key = f"<KMSMasterKeyID>{kms_keys[self.key]}</KMSMasterKeyID>" if self.mode in BY_KMS else ""
        algorithm = f"<SSEAlgorithm>{self.echoed(kms_keys)[SSE]}</SSEAlgorithm>"
        has_bucket_key = "true" if self.mode == BUCKET_KEY else "false"
        return (
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
            f"{algorithm}{key}</ApplyServerSideEncryptionByDefault>"
            f"<BucketKeyEnabled>{has_bucket_key}</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
        ).encode()

    @property
    def brought(self) -> dict[str, str]:
        return dict(brought(self._name))

    @property
    def brought_for_source(self) -> dict[str, str]:
        return dict(brought_for_source(self._name))

    def echoed(self, kms_keys: Mapping[int, str]) -> dict[str, str]:
        """What each answer says about it, in small letters."""
        if self.mode == BY_CUSTOMER:
            brought = {name.lower(): value for name, value in self.brought.items()}
            return {name: value for name, value in brought.items() if not name.endswith("-key")}
        headers = {SSE: {None: "AES256", BUCKET_KEY: "aws:kms"}.get(self.mode, self.mode or "")}
        if self.mode in BY_KMS:
            headers[f"{SSE}-aws-kms-key-id"] = kms_keys[self.key]
        if self.mode == BUCKET_KEY:
            headers[f"{SSE}-bucket-key-enabled"] = "true"
        return headers

    @property
    def refused_keys(self) -> list[tuple[dict[str, str], tuple[int, str]]]:
        """Headers of a copy that bring something else than the key of its source, which this is, and the refusals."""
        if self.mode != BY_CUSTOMER:
            return [(Encryption(BY_CUSTOMER).brought_for_source, (400, "InvalidRequest"))]
        return [
            ({}, (400, "InvalidRequest")),
            (Encryption(BY_CUSTOMER, 3 - self.key).brought_for_source, (403, "AccessDenied")),
        ]

    @property
    def context(self) -> Mapping[str, str] | None:
        """What CopyObject tells of the context, and nothing else does."""
        return CONTEXT if self.mode in BY_KMS and self.key == 2 and not self.by_default else None

    @property
    def has_md5_etag(self) -> bool:
        return self.mode in {None, "AES256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One copy. In another bucket versioning is what it is not in the source's; `shares` is what that bucket, or the
    only one, says about copies. `is_rotated`: the KMS keys were, since the source was written."""

    source: Encryption
    target: Encryption
    is_multipart: bool
    is_versioned: bool
    place: str
    replaces: bool
    shares: bool
    is_rotated: bool

    def __str__(self) -> str:
        return ", ".join(
            (
                f"{self.source} to {self.target}",
                "parts" if self.is_multipart else "one body",
                "versions" if self.is_versioned else "no versions",
                self.place,
                "REPLACE" if self.replaces else "COPY",
                "share" if self.shares else "reencrypt",
                "after rotation" if self.is_rotated else "before",
            )
        )

    @property
    def is_itself(self) -> bool:
        return self.place == "itself"

    @property
    def is_target_versioned(self) -> bool:
        return self.is_versioned is not (self.place in ELSEWHERE)

    @property
    def pieces(self) -> tuple[bytes, ...]:
        return _pieces(is_multipart=self.is_multipart)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def storage_class(self) -> str:
        """Of the source. It is never copied, so that a copy without one is a change."""
        return "STANDARD_IA" if self.is_multipart else "STANDARD"

    @property
    def algorithm(self) -> str:
        """The checksum that the source has: of a multipart upload a composite one, else S3's default."""
        return "SHA256" if self.is_multipart else "CRC64NVME"

    @property
    def checksum(self) -> str:
        """The copy's: by the source's algorithm, and of the whole object, whatever the source's was."""
        return checksum(self.algorithm, self.body)

    @property
    def is_illegal(self) -> bool:
        """A copy onto itself that changes nothing."""
        names_something = self.replaces or self.target.mode is not None or self.is_multipart
        return self.is_itself and not names_something and self.source.mode == "AES256"

    @property
    def shares_blobs(self) -> bool:
        if not self.shares or self.place == "another account":
            return False
        return self.source.mode in SHARED and self.target.mode in (None, *SHARED)

    @property
    def described(self) -> dict[str, str]:
        """The headers of the copy that say what it is, as GET tells them."""
        given = REQUEST_HEADERS if self.replaces else SOURCE_HEADERS
        headers = {name.lower(): value for name, value in given.items() if name != "x-amz-tagging"}
        return {**headers, "x-amz-tagging-count": "1"}


def cases(source_mode: str, *, is_rotated: bool) -> Iterator[Case]:
    """Every combination. Whether metadata is replaced alternates, and is the other way round after rotation.

    Where no ciphertext could be shared anyway, what the bucket says about it alternates as well.
    """
    source = Encryption(source_mode)
    settings = itertools.product(targets(), (False, True), (False, True), PLACES)
    for number, (target, is_multipart, is_versioned, place) in enumerate(settings):
        could_share = source.mode in SHARED and target.mode in (None, *SHARED)
        for shares in (True, False) if could_share else (number // len(PLACES) % 2 == 0,):
            yield Case(
                source=source,
                target=target,
                is_multipart=is_multipart,
                is_versioned=is_versioned,
                place=place,
                replaces=(number + shares + is_rotated) % 2 == 0,
                shares=shares,
                is_rotated=is_rotated,
            )


def default_cases() -> Iterator[Case]:
    """Of requests that name no encryption, in buckets whose configuration does: a copy onto itself takes it, too."""
    for target in targets():
        if target.mode in (*BY_KMS, "AES256"):
            for mode, place in itertools.product(MODES, PLACES[:2]):
                yield Case(
                    source=Encryption(mode),
                    target=replace(target, by_default=True),
                    is_multipart=False,
                    is_versioned=False,
                    place=place,
                    replaces=False,
                    shares=True,
                    is_rotated=False,
                )


def targets() -> Iterator[Encryption]:
    """Every encryption that can be asked for: none, and in each mode the key of sources and another one."""
    yield Encryption(None)
    yield Encryption("AES256")
    for mode in MODES[1:]:
        yield from (Encryption(mode, key) for key in (1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCase:
    """An upload whose first part is the whole source, and whose second is the border of its parts, or its middle."""

    source: Encryption
    target: Encryption
    is_multipart: bool
    is_versioned: bool
    has_algorithm: bool
    is_rotated: bool

    def __str__(self) -> str:
        return ", ".join(
            (
                f"{self.source} to {self.target}",
                "parts" if self.is_multipart else "one body",
                "versions" if self.is_versioned else "no versions",
                "CRC32" if self.has_algorithm else "no algorithm",
                "after rotation" if self.is_rotated else "before",
            )
        )

    @property
    def pieces(self) -> tuple[bytes, ...]:
        return _pieces(is_multipart=self.is_multipart)

    @property
    def parts(self) -> list[tuple[str | None, bytes]]:
        """Range and bytes of each."""
        body, middle = b"".join(self.pieces), len(self.pieces[0]) - 10
        return [(None, body), (f"bytes={middle}-{middle + 9}", body[middle : middle + 10])]


def part_cases(source_mode: str, *, is_rotated: bool) -> Iterator[PartCase]:
    """Every combination; whether the upload has a checksum algorithm alternates."""
    settings = itertools.product(targets(), (False, True), (False, True))
    for number, (target, is_multipart, is_versioned) in enumerate(settings):
        yield PartCase(
            source=Encryption(source_mode),
            target=target,
            is_multipart=is_multipart,
            is_versioned=is_versioned,
            has_algorithm=(number // 4 + is_rotated) % 2 == 0,
            is_rotated=is_rotated,
        )


def _pieces(*, is_multipart: bool) -> tuple[bytes, ...]:
    return PIECES if is_multipart else (PIECES[0][:1000],)


def is_etag(text: str | None, body: bytes, encryption: Encryption) -> bool:
    """Whether an ETag is what it must be of an object of one body: the MD5 under SSE-S3, and anything but that else."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    digits = (text or "").strip('"')
    if text != f'"{digits}"' or len(digits) != 32 or set(digits) - set("0123456789abcdef"):
        return False
    return (digits == md5) == encryption.has_md5_etag
