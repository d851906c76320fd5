"""The table of S3 Control: the public access block of an account, tags of buckets. All else that it has is not served.

Names and paths are those of the service model (botocore `s3control`).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.operations.account import public_access
from gateway.operations.bucket import resource_tags
from gateway.operations.table import Body, Operation, Target
from gateway.protocol.control import PREFIX, tagged_bucket

_READ, _WRITE = "s3:GetAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"

CONTROL_OPERATIONS = (
    Operation("s3control:GetPublicAccessBlock", "GET", Target.SERVICE, _READ, handler=public_access.get),
    Operation(
        "s3control:PutPublicAccessBlock",
        "PUT",
        Target.SERVICE,
        _WRITE,
        body=Body.DOCUMENT,
        handler=public_access.put,
    ),
    Operation("s3control:DeletePublicAccessBlock", "DELETE", Target.SERVICE, _WRITE, handler=public_access.delete),
    Operation(
        "s3control:ListTagsForResource", "GET", Target.BUCKET, "s3:ListTagsForResource", handler=resource_tags.get
    ),
    Operation(
        "s3control:TagResource",
        "POST",
        Target.BUCKET,
        resource_tags.TAG_ACTION,
        body=Body.DOCUMENT,
        authorises_each=True,
        handler=resource_tags.add,
    ),
    Operation(
        "s3control:UntagResource",
        "DELETE",
        Target.BUCKET,
        resource_tags.UNTAG_ACTION,
        authorises_each=True,
        handler=resource_tags.remove,
    ),
)

_PATH = f"{PREFIX}configuration/publicAccessBlock"
_ROWS: Mapping[tuple[str, Target], Operation] = {(row.method, row.target): row for row in CONTROL_OPERATIONS}
_UNSERVED = Operation("s3control:unknown", "", Target.SERVICE, "s3:*")


def find_control_operation(method: str, target_path: str) -> Operation:
    """The operation meant; one without a handler for what is not served, or is none. Raises S3Error InvalidURI."""
    if target_path == _PATH:
        return _ROWS.get((method, Target.SERVICE), _UNSERVED)
    return _UNSERVED if tagged_bucket(target_path) is None else _ROWS.get((method, Target.BUCKET), _UNSERVED)
