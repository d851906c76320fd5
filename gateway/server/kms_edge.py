"""The KMS behind the gateway's endpoint: which requests are meant for it, and who signed them.

The operations themselves are `kms.face`; the gateway only mounts them on its one edge.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request, Response
from gateway.protocol.request_headers import user_agent
from gateway.server.access_log import Entry
from gateway.server.brakes import Brakes, Family, Throttled
from gateway.server.door import Door
from gateway.server.explanation import ExplainedKeyService, explain_anonymous, explain_authentication, explain_throttled
from gateway.server.whole_body import read_whole
from iam.errors import AuthenticationError
from iam.principals import Caller
from iam.scope import KMS
from iam.store.interface import StoreUnavailable
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.face.authentication import anonymous_failure, authentication_failure
from kms.face.aws_json import MAX_BODY_BYTES, answer, operation_name
from kms.face.response import FaceResponse, failure, refusal

_log = logging.getLogger(__name__)

_TARGET = "x-amz-target"


def is_kms_request(request: Request) -> bool:
    """AWS JSON services (Organizations too) are told by X-Amz-Target; S3 has no such header."""
    return _TARGET in request.headers


class KMSEdge:
    """Answers the requests of AWS KMS clients."""

    def __init__(self, service: KeyService, brakes: Brakes) -> None:
        self._service = service
        self._brakes = brakes

    async def handle(self, request: Request, door: Door, entry: Entry) -> Response:
        """Authenticate and answer. Raises only CancelledError and MemoryError."""
        try:
            face = await self._answer(request, door, entry)
        except AuthenticationError as error:
            explain_authentication(entry, error)
            face = await self._refusal(error, request)
        except Throttled as error:
            explain_throttled(entry, error)
            face = _rate_exceeded(request.request_id)
        except S3Error as error:
            # The body reader's errors: too slow, or cut short.
            face = refusal(400, "SerializationException", error.message, request.request_id)
        except StoreUnavailable as error:
            _log.error("request %s: the identity store: %s", request.request_id, error)
            return sealed_response(KMSUnavailable("The identity store is not available."), request.request_id)
        except MemoryError:
            raise
        except Exception:
            _log.exception("request %s failed", request.request_id)
            face = failure(KMSError("KMSInternalException"), request.request_id)
        entry.error_code = face.headers.get("x-amzn-ErrorType")
        return as_response(face)

    async def _answer(self, request: Request, door: Door, entry: Entry) -> FaceResponse:
        target = request.headers[_TARGET]
        entry.operation = _logged_operation(target)
        self._brakes.admit_address(Family.API, request.remote_ip)
        body = await read_whole(request, MAX_BODY_BYTES)
        authenticated = await door.authenticate(
            request, KMS, now=datetime.now(UTC), body_sha256=hashlib.sha256(body).hexdigest()
        )
        if authenticated is None:
            explain_anonymous(entry)
            return anonymous_failure(request.request_id)
        entry.principal = authenticated.principal.arn
        self._brakes.admit_principal(Family.API, authenticated.principal)
        caller = Caller(
            authenticated.principal,
            request.request_id,
            request.remote_ip,
            region=authenticated.region,
            policies=authenticated.policies,
            is_secure_transport=request.is_secure,
            user_agent=user_agent(request.headers),
            session=authenticated.session,
        )
        return await answer(ExplainedKeyService(self._service, entry), caller, target, body)

    async def _refusal(self, error: AuthenticationError, request: Request) -> FaceResponse:
        """The answer to a refused signature, when it is to be answered."""
        try:
            await self._brakes.hold_back(Family.API, error, request.remote_ip)
        except Throttled:
            return _rate_exceeded(request.request_id)
        return authentication_failure(error, request.request_id)


def _rate_exceeded(request_id: str) -> FaceResponse:
    return failure(KMSError("ThrottlingException", "Rate exceeded"), request_id)


def sealed_response(error: KMSUnavailable, request_id: str) -> Response:
    """While nobody can be identified: 503 with Retry-After, as every request then."""
    face = failure(error, request_id)
    return Response(503, face.headers, face.body)


def as_response(face: FaceResponse) -> Response:
    return Response(face.status, face.headers, face.body)


def _logged_operation(target: str) -> str:
    try:
        return f"kms:{operation_name(target)}"
    except KMSError:
        return "kms:unknown"
