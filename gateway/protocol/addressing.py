"""Which bucket and key a request names: path style and virtual-host style.

Amazon S3 User Guide, "Virtual hosting of general purpose buckets". Names are not judged here: whether a bucket name is
legal matters to CreateBucket only, and to everyone else an illegal one is a bucket that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.protocol.errors import S3Error
from gateway.protocol.percent import decode
from iam.quickly_made import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Address:
    """`bucket` None: the service itself. `key` None: the bucket itself. Neither is ever an empty string.

    `is_virtual_host` tells the style: whether the host named the bucket.
    """

    bucket: str | None
    key: str | None
    is_virtual_host: bool = field(default=False, compare=False)

    @property
    def bucket_of_host(self) -> str | None:
        return self.bucket if self.is_virtual_host else None


def resolve(host: str, target_path: str, domains: Sequence[str]) -> Address:
    """Find the address of a request.

    `host` is the Host header, with or without port; `target_path` the request target before "?", undecoded;
    `domains` those under which buckets are hosts. The path is decoded once and never normalised: `//`, `.` and `..`
    are parts of keys. Raises S3Error InvalidURI.
    """
    if not target_path.startswith("/"):
        raise S3Error("InvalidURI")
    bucket = _bucket_of_host(host, domains)
    if bucket is not None:
        return Address(bucket, decode(target_path[1:]) or None, is_virtual_host=True)
    name, _, key = target_path[1:].partition("/")
    if not name:
        if key:  # "//key": a key without a bucket
            raise S3Error("InvalidBucketName", fields={"BucketName": ""})
        return Address(None, None)
    return Address(decode(name), decode(key) or None)


def _bucket_of_host(host: str, domains: Sequence[str]) -> str | None:
    """The name before the longest of the domains that fits: one domain may lie within another."""
    if not domains:
        return None
    name = _without_port(host).lower()
    bucket: str | None = None
    for domain in map(str.lower, domains):
        if name == domain:
            return None
        suffix = "." + domain
        if name.endswith(suffix) and len(name) > len(suffix):
            shorter = name[: -len(suffix)]
            bucket = shorter if bucket is None or len(shorter) < len(bucket) else bucket
    return bucket


def _without_port(host: str) -> str:
    if host.endswith("]"):  # an IPv6 address without port
        return host
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host.rstrip(":")
