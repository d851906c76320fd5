"""The table of S3 Control: the public access block of an account. All else that it has is not served.

Names and paths are those of the service model (botocore `s3control`).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.operations.account import public_access
from gateway.operations.table import Body, Operation, Target
from gateway.protocol.control import PREFIX

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
)

_PATH = f"{PREFIX}configuration/publicAccessBlock"
_BY_METHOD: Mapping[str, Operation] = {row.method: row for row in CONTROL_OPERATIONS}
_UNSERVED = Operation("s3control:unknown", "", Target.SERVICE, "s3:*")


def find_control_operation(method: str, target_path: str) -> Operation:
    """The operation meant; one without a handler for what is not served, or is none."""
    return _BY_METHOD.get(method, _UNSERVED) if target_path == _PATH else _UNSERVED
