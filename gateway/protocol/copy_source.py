"""The `x-amz-copy-source` header of CopyObject and UploadPartCopy."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from gateway.protocol.errors import S3Error, invalid_argument, not_implemented
from gateway.protocol.percent import decode_form

HEADER = "x-amz-copy-source"
RANGE = "x-amz-copy-source-range"
_VERSION = "?versionId="


@dataclass(frozen=True, slots=True)
class CopySource:
    """`key` was decoded, not judged; `version_id` None means the current version."""

    bucket: str
    key: str
    version_id: str | None = None

    def format(self) -> str:
        """The header that `parse_copy_source` reads as this."""
        path = f"{quote(self.bucket, safe='')}/{quote(self.key, safe='/')}"
        return path if self.version_id is None else f"{path}{_VERSION}{quote(self.version_id, safe='')}"


def parse_copy_source(value: str) -> CopySource:
    """Read `[/]bucket/key[?versionId=id]`, percent-encoded.

    Raises S3Error InvalidArgument; NotImplemented for the ARN of an access point.
    """
    path, _, version_id = value.removeprefix("/").partition(_VERSION)
    try:
        bucket, slash, key = decode_form(path).partition("/")
        version = decode_form(version_id)
    except S3Error:
        raise invalid_argument(HEADER, value, "Invalid copy source encoding.") from None
    if bucket.startswith("arn:"):
        raise not_implemented(HEADER, "Copy sources that are ARNs of access points are not implemented.")
    if not (bucket and slash and key):
        raise invalid_argument(HEADER, HEADER, "Invalid copy source object key")  # recorded from S3, the value too
    if _VERSION in value and not version:
        raise invalid_argument("versionId", "", "Version id cannot be the empty string")
    return CopySource(bucket, key, version or None)
