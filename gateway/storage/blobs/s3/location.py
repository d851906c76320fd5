"""Where the blobs lie: a bucket, a prefix, and how the S3 that has them is addressed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.storage.blobs.ids import BLOB_ID_BYTES

SCHEME = "s3://"
SHARDS = "0123456789abcdef"
"""Blob ids begin with their time, so that all that are written at one time would lie side by side, where S3 serves
3 500 writes a second (S3 User Guide, "Optimizing Amazon S3 performance"). By their last digit they lie in 16 places."""

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[A-Za-z0-9._/-]{0,256}))?")
_NAME = re.compile(rf"[0-9a-f]{{{2 * BLOB_ID_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Location:
    """`endpoint` is `scheme://host[:port]`; empty: AWS's own of the region. `prefix` is empty or ends with a slash.

    `is_path_style` tells whether the bucket stands in the path or before the host's name.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    is_path_style: bool

    @property
    def scheme_and_host(self) -> tuple[str, str]:
        if not self.endpoint:
            scheme, host = "https", f"s3.{self.region}.amazonaws.com"
        else:
            parts = urlsplit(self.endpoint)
            scheme, host = parts.scheme, parts.netloc
        return scheme, host if self.is_path_style else f"{self.bucket}.{host}"

    @property
    def root(self) -> str:
        """The path of the bucket itself."""
        return f"/{self.bucket}" if self.is_path_style else ""

    def key(self, blob_id: bytes) -> str:
        name = blob_id.hex()
        return f"{self.prefix}{name[-1]}/{name}"

    def shard_prefix(self, shard: str) -> str:
        return f"{self.prefix}{shard}/"

    def blob_id(self, key: str) -> bytes | None:
        """The inverse of `key`; None for a name that is not ours."""
        name = key[len(self.prefix) + 2 :]
        if not _NAME.fullmatch(name) or key != f"{self.prefix}{name[-1]}/{name}":
            return None
        return bytes.fromhex(name)


def parse_location(url: str, *, endpoint: str, region: str, addressing: str) -> Location:
    """`s3://BUCKET[/PREFIX]`; `addressing` is path, virtual or auto: virtual where it is AWS itself.

    Raises ValueError for what is none.
    """
    found = _URL.fullmatch(url)
    if found is None or ".." in url:
        raise ValueError(f"must be s3://BUCKET or s3://BUCKET/PREFIX, not {url!r}")
    if endpoint:
        check_endpoint(endpoint)
    bucket = found["bucket"]
    prefix = (found["prefix"] or "").strip("/")
    is_path_style = addressing == "path" or (addressing == "auto" and (bool(endpoint) or "." in bucket))
    return Location(bucket, prefix and f"{prefix}/", endpoint, region, is_path_style)


def check_endpoint(endpoint: str) -> None:
    """Raises ValueError unless it is `http[s]://host[:port]`, without user, path or query."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"must be http://HOST[:PORT] or https://HOST[:PORT], not {endpoint!r}")
    if parts.path or parts.query or parts.fragment or parts.port == 0:
        raise ValueError(f"has a scheme, a host and a port, and nothing else; not {endpoint!r}")
