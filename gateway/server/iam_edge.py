"""IAM and STS behind the gateway's endpoint: which requests are meant for them, and who signed them.

The operations themselves are `iam.face`; the gateway mounts them on its one edge, and writes their documents.
"""

from __future__ import annotations

import hashlib
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request, Response
from gateway.protocol.request_headers import user_agent
from gateway.protocol.xml.documents.query import CONTENT_TYPE, error_document, result_document
from gateway.server.access_log import Entry
from gateway.server.brakes import Brakes, Family, Throttled
from gateway.server.door import Door
from gateway.server.explanation import explain_anonymous, explain_authentication, explain_iam, explain_throttled
from gateway.server.whole_body import read_whole
from iam.errors import AuthenticationError
from iam.face.auditing import TrailUnavailable
from iam.face.authentication import anonymous_failure, authentication_failure
from iam.face.call import Document
from iam.face.errors import IAMError
from iam.face.models.iam import IAM as IAM_MODEL
from iam.face.parameters import parse_form
from iam.face.query import Operation, find_operation, is_unsigned, model_of
from iam.face.service import IdentityService
from iam.principals import ANONYMOUS, NO_POLICIES, Caller, IdentityPolicies, Principal, Session
from iam.scope import IAM, STS, Service
from iam.store.interface import StoreUnavailable

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
"""The largest legal request holds a policy of 131 072 characters, most of them as they are."""

RETRY_AFTER_SECONDS = 5
"""While the database cannot serve: a writer that others wait for has long given up by then."""

_FORM = "application/x-www-form-urlencoded"
_SERVICES = {service.name: service for service in (IAM, STS)}
_NO_CACHE = {"Cache-Control": "no-cache, no-store, must-revalidate, private"}


def is_query_request(request: Request) -> bool:
    """Query services are asked on `/`, by a form or by a URL that has an Action. S3 has no such requests there, unless
    the host names a bucket."""
    if request.target_path != "/":
        return False
    if request.method == "POST":
        content_type = request.headers.get("content-type", "").partition(";")[0].strip(" \t").lower()
        return content_type == _FORM and not request.target_query
    return request.method == "GET" and any(each.startswith("Action=") for each in request.target_query.split("&"))


class IAMEdge:
    """Answers the requests of IAM and STS clients, or of those whose protocol is another `exchange`'s."""

    def __init__(self, brakes: Brakes, exchange: Callable[[Request, Entry], Exchange] | None = None) -> None:
        self._brakes = brakes
        self._exchange = QueryExchange if exchange is None else exchange

    async def handle(self, request: Request, door: Door, service: IdentityService, entry: Entry) -> Response:
        """Authenticate and answer. Raises only CancelledError."""
        exchange = self._exchange(request, entry)
        try:
            return await exchange.answer(door, service, self._brakes)
        except IAMError as error:
            return exchange.failure(error)
        except AuthenticationError as error:
            explain_authentication(entry, error)
            return exchange.failure(await self._refusal(error, request))
        except Throttled as error:
            explain_throttled(entry, error)
            return exchange.failure(_rate_exceeded())
        except S3Error as error:
            # The body reader's errors: too slow, cut short, or too large.
            code = "RequestEntityTooLarge" if error.code == "EntityTooLarge" else "MalformedQueryString"
            return exchange.failure(IAMError(code, error.message))
        except TrailUnavailable as error:
            return exchange.unavailable(str(error), error.retry_after_seconds)
        except StoreUnavailable as error:
            _log.error("request %s: the identity store: %s", request.request_id, error)
            return exchange.unavailable("The identity store is not available.", RETRY_AFTER_SECONDS)
        except MemoryError:
            raise
        except Exception:
            _log.exception("request %s failed", request.request_id)
            return exchange.failure(IAMError("InternalFailure", "The request failed because of an internal error."))

    async def _refusal(self, error: AuthenticationError, request: Request) -> IAMError:
        """The answer to a refused signature, when it is to be answered."""
        try:
            await self._brakes.hold_back(Family.API, error, request.remote_ip)
        except Throttled:
            return _rate_exceeded()
        return authentication_failure(error)

    def sealed(self, request: Request, retry_after_seconds: int, entry: Entry) -> Response:
        """The answer while the service's own keys are not open."""
        return self._exchange(request, entry).unavailable(
            "The service is sealed: its root key is not available.", retry_after_seconds
        )


class Exchange:
    """One request and its answer, in whatever protocol: what differs between them is the subclasses'."""

    service: Service
    """Whose signature the request has to have, once it was read."""

    def __init__(self, request: Request, entry: Entry) -> None:
        self._request = request
        self._entry = entry

    async def answer(self, door: Door, service: IdentityService, brakes: Brakes) -> Response:
        """Raises IAMError, AuthenticationError, Throttled, S3Error, StoreUnavailable."""
        request, entry = self._request, self._entry
        brakes.admit_address(Family.API, request.remote_ip)
        body = await read_whole(request, MAX_BODY_BYTES)
        self._read(body)
        if self._needs_no_signature():  # and one that is there all the same means nothing
            caller = self._caller(ANONYMOUS, door.region)
        else:
            authenticated = await door.authenticate(
                request,
                self.service,
                now=datetime.now(UTC),
                body_sha256=hashlib.sha256(body).hexdigest(),
            )
            if authenticated is None:
                explain_anonymous(entry)
                raise anonymous_failure()
            entry.principal = authenticated.principal.arn
            brakes.admit_principal(Family.API, authenticated.principal)
            caller = self._caller(
                authenticated.principal, authenticated.region, authenticated.policies, authenticated.session
            )
        operation, parameters = self._find()
        return self._success(operation, await service.call(caller, operation, parameters, entry.decisions))

    def _caller(
        self,
        principal: Principal,
        region: str,
        policies: IdentityPolicies = NO_POLICIES,
        session: Session | None = None,
    ) -> Caller:
        request = self._request
        return Caller(
            principal,
            request.request_id,
            request.remote_ip,
            region=region,
            policies=policies,
            is_secure_transport=request.is_secure,
            user_agent=user_agent(request.headers),
            session=session,
        )

    def _needs_no_signature(self) -> bool:
        """Whether what is asked for, once it was read, is asked for without credentials."""
        return False

    @abstractmethod
    def _read(self, body: bytes) -> None:
        """Find out as much as the signature needs: the service, and the operation for the log. Raises IAMError."""

    @abstractmethod
    def _find(self) -> tuple[Operation, Mapping[str, str]]:
        """The operation, and its parameters. Raises IAMError."""

    @abstractmethod
    def _success(self, operation: Operation, result: Document | None) -> Response: ...

    @abstractmethod
    def _refused(self, error: IAMError) -> Response: ...

    def failure(self, error: IAMError) -> Response:
        self._entry.error_code = error.code
        explain_iam(self._entry, error)
        return self._refused(error)

    def unavailable(self, message: str, retry_after_seconds: int) -> Response:
        response = self.failure(IAMError("ServiceUnavailable", message))
        response.headers["Retry-After"] = str(retry_after_seconds)
        return response

    def _headers(self, content_type: str) -> dict[str, str]:
        # Answers carry secrets (CreateAccessKey): none is to be kept on the way.
        return {"Content-Type": content_type, "x-amzn-RequestId": self._request.request_id, **_NO_CACHE}


class QueryExchange(Exchange):
    """The query protocol of IAM and STS. Until the parameters are read a request is taken to be IAM's."""

    def __init__(self, request: Request, entry: Entry) -> None:
        super().__init__(request, entry)
        entry.operation = "iam:unknown"
        self._model = IAM_MODEL
        self._parameters: Mapping[str, str] = {}

    def _read(self, body: bytes) -> None:
        self._parameters = self._parsed(body)
        self._model = model_of(self._parameters) or IAM_MODEL
        self.service = _SERVICES[self._model.name]
        self._entry.operation = f"{self._model.name}:{_known(self._parameters, self._model.operations)}"

    def _parsed(self, body: bytes) -> Mapping[str, str]:
        if self._request.method == "GET":
            return parse_form(self._request.target_query)
        try:
            return parse_form(body.decode("utf-8"))
        except UnicodeDecodeError:
            raise IAMError("MalformedQueryString", "The body is not UTF-8.") from None

    def _needs_no_signature(self) -> bool:
        return is_unsigned(self._parameters)

    def _find(self) -> tuple[Operation, Mapping[str, str]]:
        return find_operation(self._parameters), self._parameters

    def _success(self, operation: Operation, result: Document | None) -> Response:
        document = result_document(operation.name, result, self._model.namespace, self._request.request_id)
        return Response(200, self._headers(CONTENT_TYPE), document)

    def _refused(self, error: IAMError) -> Response:
        namespace, request_id = self._model.namespace, self._request.request_id
        body = error_document(error.code, error.message, error.fault, namespace, request_id)
        return Response(error.status, self._headers(CONTENT_TYPE), body)


def _rate_exceeded() -> IAMError:
    return IAMError("Throttling", "Rate exceeded")


def _known(parameters: Mapping[str, str], operations: tuple[str, ...]) -> str:
    """The operation as logs and metrics name it: never a name that the client made up."""
    name = parameters.get("Action", "")
    return name if name in operations else "unknown"
