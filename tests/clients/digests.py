"""The checksums of S3 as tests compute them: CRCs from their definition, to share no code with the gateway."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache

from awscrt.checksums import XXHash

from tests.clients.checks import base64_of


def crc(bits: int, reflected_polynomial: int) -> Callable[[bytes], bytes]:
    """A reflected CRC with all bits inverted before and after, written down here from its definition."""
    table = []
    for byte in range(256):
        entry = byte
        for _ in range(8):
            entry = entry >> 1 ^ (reflected_polynomial if entry & 1 else 0)
        table.append(entry)
    ones = (1 << bits) - 1

    def digest(data: bytes) -> bytes:
        register = ones
        for byte in data:
            register = table[(register ^ byte) & 0xFF] ^ register >> 8
        return (register ^ ones).to_bytes(bits // 8, "big")

    return digest


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": crc(32, 0xEDB88320),
    "CRC32C": crc(32, 0x82F63B78),
    "CRC64NVME": crc(64, 0x9A6C9329AC4BC9B5),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA512": lambda data: hashlib.sha512(data).digest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    "XXHASH64": XXHash.compute_xxhash64,
    "XXHASH3": XXHash.compute_xxhash3_64,
    "XXHASH128": XXHash.compute_xxhash3_128,
}


@cache
def checksum(algorithm: str, body: bytes) -> str:
    return base64_of(DIGESTS[algorithm](body))


def header(algorithm: str) -> str:
    return f"x-amz-checksum-{algorithm.lower()}"
