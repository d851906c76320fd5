"""The KMS as AWS speaks it: JSON 1.1, one document in, one document out.

Pure but for the key service it asks: whoever calls has authenticated the caller, bounded the body, and sends the
answer. AWS KMS API Reference; wire protocol: Smithy, "AWS JSON 1.1 protocol".
"""

from __future__ import annotations

from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.face.model import INPUTS, TARGET_PREFIX
from kms.face.request import ParsedRequest
from kms.face.response import FaceResponse, failure, success
from kms.face.table import OPERATIONS
from kms.face.validation import parse_document

MAX_BODY_BYTES = 1 << 20
"""What the caller of `answer` must hold bodies to; the largest legal request has a tenth of it."""

_PREFIX = TARGET_PREFIX + "."


async def answer(service: KeyService, caller: Caller, target: str, body: bytes) -> FaceResponse:
    """Answer one request; `target` is the value of X-Amz-Target, `body` at most MAX_BODY_BYTES.

    Every KMSError becomes its answer. Anything else that the service raises is a fault and passes through.
    """
    try:
        name = operation_name(target)
        handler = OPERATIONS[name]
        if handler is None:
            raise KMSError("UnsupportedOperationException", f"{name} is not supported.")
        request = ParsedRequest(parse_document(body), INPUTS[name])
        return success(await handler(service, caller, request), caller.request_id)
    except KMSError as error:
        return failure(error, caller.request_id)


def operation_name(target: str) -> str:
    """The operation that an X-Amz-Target names. Raises KMSError(UnknownOperationException)."""
    name = target.removeprefix(_PREFIX)
    if name == target or name not in OPERATIONS:
        raise KMSError("UnknownOperationException")
    return name
