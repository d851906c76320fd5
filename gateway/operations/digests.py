"""The digests of one body: those that the client declared, and those that the gateway needs.

MD5 is the slowest thing in an upload, so it is computed only where the ETag or Content-MD5 asks for it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.protocol.checksums import Algorithm, ChecksumExpectation, Hasher, encode_digest, new_hasher
from gateway.protocol.content_sha256 import ContentSHA256
from gateway.protocol.messages import Buffer
from iam.quickly_made import quickly_made

DEFAULT_ALGORITHM = Algorithm.CRC64NVME
"""What S3 adds to an object whose client declared no checksum (User Guide, "Checking object integrity")."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Verified:
    """Digests of a body that is what its client declared. `checksums` are in Base64 by algorithm."""

    md5: bytes | None
    checksums: dict[str, str]


class Digests:
    """Hashers of one body. CRCs and XXHash are cheap enough for the event loop, the others are for a thread."""

    def __init__(
        self,
        expectation: ChecksumExpectation,
        content_sha256: ContentSHA256,
        *,
        md5: bool,
        also: Algorithm | None = None,
    ) -> None:
        """`md5` asks for the MD5 whether declared or not; `also` for a checksum beside the declared or default one."""
        self._expectation = expectation
        self._content_sha256 = content_sha256
        algorithm = expectation.algorithm or DEFAULT_ALGORITHM
        self._checksums = {algorithm: new_hasher(algorithm)}
        if also is not None and also is not algorithm:
            self._checksums[also] = new_hasher(also)
        self._md5: Hasher | None = None
        if md5 or expectation.content_md5 is not None:
            self._md5 = self._checksums.get(Algorithm.MD5) or hashlib.md5(usedforsecurity=False)
        self._md5_is_wanted = md5
        self._sha256: Hasher | None = None
        if content_sha256.digest is not None:
            self._sha256 = self._checksums.get(Algorithm.SHA256) or hashlib.sha256()
        self._cheap: list[Hasher] = []
        self._costly: list[Hasher] = []
        for each, hasher in self._checksums.items():
            (self._cheap if each.is_cheap else self._costly).append(hasher)
        if self._md5 is not None and Algorithm.MD5 not in self._checksums:
            self._costly.append(self._md5)
        if self._sha256 is not None and Algorithm.SHA256 not in self._checksums:
            self._costly.append(self._sha256)

    @property
    def has_costly(self) -> bool:
        return bool(self._costly)

    def update_cheap(self, data: Buffer) -> None:
        for hasher in self._cheap:
            hasher.update(data)

    def update_costly(self, data: Buffer) -> None:
        """Blocks for about 1.5 ms a MiB and hasher, without holding the interpreter's lock."""
        for hasher in self._costly:
            hasher.update(data)

    async def update(self, data: Buffer) -> None:
        """Both, with the costly ones in a thread; `data` must not change before this returned."""
        self.update_cheap(data)
        if self._costly:
            await asyncio.to_thread(self.update_costly, data)

    def verify(self, trailers: Mapping[str, str]) -> Verified:
        """Compare with everything declared. Raises S3Error BadDigest, XAmzContentSHA256Mismatch, and kin."""
        if self._sha256 is not None:
            self._content_sha256.verify(self._sha256.digest)
        if self._expectation.algorithm is not None:
            self._expectation.verify(self._checksums[self._expectation.algorithm].digest(), trailers)
        md5 = self._md5.digest() if self._md5 is not None else None
        if md5 is not None:
            self._expectation.verify_md5(md5)
        checksums = {algorithm.spelt: encode_digest(hasher.digest()) for algorithm, hasher in self._checksums.items()}
        return Verified(md5 if self._md5_is_wanted else None, checksums)
