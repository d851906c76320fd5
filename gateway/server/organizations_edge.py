"""Organizations behind the gateway's endpoint: the JSON protocol, around operations that are `iam.face`'s as well."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.protocol.messages import Request, Response
from gateway.server.access_log import Entry
from gateway.server.iam_edge import Exchange
from iam.face.call import Document
from iam.face.errors import IAMError
from iam.face.json_body import find_json_operation, model_of_target, operation_name, parse_body
from iam.face.models.organizations import ORGANIZATIONS as MODEL
from iam.face.query import Operation
from iam.scope import ORGANIZATIONS

CONTENT_TYPE = "application/x-amz-json-1.1"

_TARGET = "x-amz-target"
_CODES: Mapping[str, str] = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InternalFailure": "ServiceException",
    "InvalidAction": "UnknownOperationException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MalformedInput": "SerializationException",
    "MalformedQueryString": "SerializationException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "NotImplemented": "UnsupportedAPIEndpointException",
    "RequestEntityTooLarge": "SerializationException",
    "RequestExpired": "InvalidSignatureException",
    "ServiceUnavailable": "ServiceUnavailableException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "Throttling": "TooManyRequestsException",
    "ValidationError": "ValidationException",
}
"""What IAM calls by one name and the JSON services by another."""


def is_organizations_request(request: Request) -> bool:
    return model_of_target(request.headers.get(_TARGET, "")) is MODEL


class OrganizationsExchange(Exchange):
    """One request and its answer."""

    service = ORGANIZATIONS

    def __init__(self, request: Request, entry: Entry) -> None:
        super().__init__(request, entry)
        name = operation_name(request.headers[_TARGET])
        entry.operation = f"organizations:{name if name in MODEL.operations else 'unknown'}"
        self._name = name
        self._body = b""

    def _read(self, body: bytes) -> None:
        """Everything that the signature needs is known from the head."""
        self._body = body

    def _find(self) -> tuple[Operation, Mapping[str, str]]:
        operation = find_json_operation(MODEL, self._name)
        return operation, parse_body(self._body, operation)

    def _success(self, operation: Operation, result: Document | None) -> Response:
        body = b"" if result is None else json.dumps(result, separators=(",", ":")).encode()
        return Response(200, self._headers(CONTENT_TYPE), body)

    def _refused(self, error: IAMError) -> Response:
        """Whosever fault it is: the JSON services tell by the status no more than that."""
        code = _CODES.get(error.code, error.code)
        body = json.dumps({"__type": code, "Message": error.message}, separators=(",", ":")).encode()
        status = error.status if error.status in {500, 503} else 400
        return Response(status, {**self._headers(CONTENT_TYPE), "x-amzn-ErrorType": code}, body)
