"""What keeps a bucket from being opened to the public, and who owns what is written into it.

S3 User Guide, "Blocking public access to your Amazon S3 storage" and "Controlling ownership of objects and disabling
ACLs for your bucket".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.protocol.errors import S3Error, invalid_argument

OWNERSHIP_HEADER = "x-amz-object-ownership"


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """A PublicAccessBlockConfiguration; kept in buckets' documents under these names."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False

    def __or__(self, other: PublicAccessBlock) -> PublicAccessBlock:
        """The most restrictive combination of both."""
        return PublicAccessBlock(
            self.block_public_acls or other.block_public_acls,
            self.ignore_public_acls or other.ignore_public_acls,
            self.block_public_policy or other.block_public_policy,
            self.restrict_public_buckets or other.restrict_public_buckets,
        )


NOTHING_BLOCKED = PublicAccessBlock()
ALL_BLOCKED = PublicAccessBlock(True, True, True, True)


class ObjectOwnership(StrEnum):
    """With `ENFORCED` the bucket's owner owns every object in it and ACLs mean nothing.

    With the others whoever writes an object owns it, but that with `PREFERRED` the ACL bucket-owner-full-control gives
    it to the bucket's owner.
    """

    ENFORCED = "BucketOwnerEnforced"
    PREFERRED = "BucketOwnerPreferred"
    WRITER = "ObjectWriter"


def requested_ownership(headers: Mapping[str, str]) -> ObjectOwnership | None:
    """`x-amz-object-ownership` of CreateBucket. Raises S3Error InvalidArgument."""
    value = headers.get(OWNERSHIP_HEADER)
    if value is None:
        return None
    try:
        return ObjectOwnership(value)
    except ValueError:
        raise invalid_argument(OWNERSHIP_HEADER, value, "Invalid x-amz-object-ownership header") from None


@dataclass(frozen=True, slots=True)
class Prevented:
    """What a setting of a public access block prevents: `what` is `public policies` or the like, `whose` whose block
    it is."""

    what: str
    setting: str
    whose: str

    @property
    def decided_by(self) -> str:
        return f"public access block of {self.whose}, {self.setting}"

    @property
    def reason(self) -> str:
        return f"refused because {self.what} are prevented by {self.setting}"


def prevented(caller_arn: str, action: str, resource_arn: str, by: Prevented) -> S3Error:
    """AccessDenied for what a public access block prevents."""
    return S3Error(
        "AccessDenied",
        f'User: {caller_arn} is not authorized to perform: {action} on resource: "{resource_arn}" because {by.what} '
        f"are prevented by the {by.setting} setting in S3 Block Public Access.",
        decided_by=by.decided_by,
        reason=by.reason,
    )
