"""From a request to its answer: service → route → authenticate → authorise → handler, in this order for every one.

This is the one place that knows the order, and the boundary at which lower errors become S3 errors. What nobody
translated is InternalError for the client and the full cause in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.operations.admission import admit
from gateway.operations.authorisation import Permissions
from gateway.operations.browser_form import BrowserForm
from gateway.operations.bucket.head import region_headers
from gateway.operations.condition_keys import RequestContext, Signing
from gateway.operations.context import Authentication, Call, Services
from gateway.operations.control import find_control_operation
from gateway.operations.cross_origin import cross_origin_headers, preflight
from gateway.operations.request_payment import REQUESTER
from gateway.operations.table import Body, Handler, Operation, OperationTable, Target
from gateway.operations.translate import LowerError, to_s3_error
from gateway.protocol.addressing import Address, resolve
from gateway.protocol.content_sha256 import ContentSHA256, anonymous_content_sha256
from gateway.protocol.control import is_control_request, tagged_bucket
from gateway.protocol.cross_origin import origin_of
from gateway.protocol.encryption import CUSTOMER_ALGORITHM, SSE
from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.messages import Request, Response
from gateway.protocol.query import Query
from gateway.protocol.request_headers import check_request_headers, user_agent
from gateway.protocol.xml.documents.error import ErrorDocument
from gateway.sealing.errors import SealingError
from gateway.server.access_log import CUSTOMER_KEY_MODE, Entry, current_entry
from gateway.server.brakes import Brakes, Family, Throttled
from gateway.server.door import Door
from gateway.server.explanation import (
    explain_anonymous,
    explain_authentication,
    explain_kms,
    explain_s3,
    explain_sealed,
    explain_throttled,
)
from gateway.server.iam_edge import RETRY_AFTER_SECONDS, IAMEdge, is_query_request
from gateway.server.kms_edge import KMSEdge, is_kms_request, sealed_response
from gateway.server.organizations_edge import OrganizationsExchange, is_organizations_request
from gateway.storage.errors import NoSuchKey, RowDamaged, StorageError
from iam.authenticator import Authenticated
from iam.errors import AuthenticationError
from iam.face.service import IdentityService
from iam.policy.cache import PolicyCache
from iam.policy.variables import Context
from iam.principals import ANONYMOUS, NO_POLICIES, Caller, IdentityPolicies, Principal, Session
from iam.scope import S3, Form
from iam.store.interface import StoreUnavailable
from kms.api.errors import KMSError, KMSUnavailable

_log = logging.getLogger(__name__)

PREFLIGHT = "PreflightRequest"
"""What the access log calls OPTIONS, which is no operation of the S3 model."""

_NO_BODY_STATUS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What requests need once the service's own keys are open: absent before, and everything answers 503."""

    services: Services
    door: Door
    identities: IdentityService


class Dispatcher:
    """Answers requests of every service behind the one endpoint."""

    def __init__(
        self,
        *,
        operations: OperationTable,
        kms_edge: KMSEdge,
        brakes: Brakes,
        region: str,
        domains: tuple[str, ...],
        unsealed: Callable[[], Unsealed],
        integrity_event: Callable[[str, str], None],
    ) -> None:
        """`unsealed` raises KMSUnavailable while the service's own keys are not open."""
        self._operations = operations
        self._kms_edge = kms_edge
        self._iam_edge = IAMEdge(brakes)
        self._organizations_edge = IAMEdge(brakes, OrganizationsExchange)
        self._brakes = brakes
        self._region = region
        self._via_service = f"s3.{region}.amazonaws.com"
        self._domains = domains
        self._unsealed = unsealed
        self._integrity_event = integrity_event
        self._policies = PolicyCache()

    async def handle(self, request: Request) -> Response:
        """The answer, whatever happens; raises only CancelledError and MemoryError."""
        entry = current_entry.get(None) or Entry(request.request_id, request.remote_ip, request.method)
        try:
            unsealed = self._unsealed()
        except KMSUnavailable as error:
            return self._sealed(error, request, entry)
        if is_kms_request(request):
            if is_organizations_request(request):
                return await self._organizations_edge.handle(request, unsealed.door, unsealed.identities, entry)
            return await self._kms_edge.handle(request, unsealed.door, entry)
        if self._is_query(request):
            return await self._iam_edge.handle(request, unsealed.door, unsealed.identities, entry)
        return await self._answer_s3(request, unsealed, entry)

    async def _answer_s3(self, request: Request, unsealed: Unsealed, entry: Entry) -> Response:
        cross_origin: dict[str, str] = {}
        if_refused: dict[str, str] = {}
        try:
            self._brakes.admit_address(Family.S3, request.remote_ip)
            address = self._address(request)
            entry.bucket, entry.key = address.bucket, address.key
            if request.method == "OPTIONS":
                entry.operation = PREFLIGHT
                return await preflight(unsealed.services, address, request)
            if origin_of(request.headers) is not None:
                cross_origin = await cross_origin_headers(unsealed.services, address, request)
            if request.method == "HEAD" and address.bucket is not None and address.key is None:
                if_refused = await region_headers(unsealed.services, address.bucket)
            response = await self._handle_s3(request, address, unsealed, entry)
        except S3Error as error:
            response = self._render(error, request, entry)
        except AuthenticationError as error:
            explain_authentication(entry, error)
            response = self._render(await self._refusal(error, request), request, entry)
        except Throttled as error:
            explain_throttled(entry, error)
            response = self._render(_slow_down(error), request, entry)
        except (StorageError, SealingError, KMSError) as error:
            response = self._render(self._translated(error, request, entry), request, entry)
        except StoreUnavailable as error:
            _log.error("request %s: the identity store: %s", request.request_id, error)
            later = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            response = self._render(S3Error("ServiceUnavailable", headers=later), request, entry)
        except MemoryError:
            raise
        except Exception:
            _log.exception("request %s failed", request.request_id)
            response = self._render(S3Error("InternalError"), request, entry)
        if cross_origin:
            response.headers.update(cross_origin)
        if if_refused and response.status in (400, 403):
            response.headers.update(if_refused)
        return response

    def _address(self, request: Request) -> Address:
        """Raises S3Error InvalidURI, InvalidBucketName."""
        if is_control_request(request.target_path, request.headers):
            return Address(tagged_bucket(request.target_path), None)
        return resolve(request.headers.get("host", ""), request.target_path, self._domains)

    def _find(self, request: Request, address: Address, query: Query) -> Operation:
        """The operation meant. Raises what `OperationTable.find` does."""
        if is_control_request(request.target_path, request.headers):
            return find_control_operation(request.method, request.target_path)
        return self._operations.find(request.method, _target(address), query, request.headers)

    async def _refusal(self, error: AuthenticationError, request: Request) -> S3Error:
        """What a request is answered whose signature was refused, when it is to be answered."""
        try:
            await self._brakes.hold_back(Family.S3, error, request.remote_ip)
        except Throttled as throttled:
            return _slow_down(throttled)
        return S3Error(error.s3_code, error.message, fields=error.fields)

    def _is_query(self, request: Request) -> bool:
        if not is_query_request(request):
            return False
        return resolve(request.headers.get("host", ""), request.target_path, self._domains).bucket is None

    def _sealed(self, error: KMSUnavailable, request: Request, entry: Entry) -> Response:
        explain_sealed(entry)
        if is_organizations_request(request):
            return self._organizations_edge.sealed(request, error.retry_after_seconds, entry)
        if is_kms_request(request):
            entry.error_code = error.code
            return sealed_response(error, request.request_id)
        if self._is_query(request):
            return self._iam_edge.sealed(request, error.retry_after_seconds, entry)
        return self._render(to_s3_error(error), request, entry)

    async def _handle_s3(self, request: Request, address: Address, unsealed: Unsealed, entry: Entry) -> Response:
        query = Query(request.target_query)
        operation = self._find(request, address, query)
        entry.operation = operation.name
        now = datetime.now(UTC)
        authenticated = await unsealed.door.authenticate(request, S3, now=now, bucket_of_host=address.bucket_of_host)
        browser_form = None
        if operation.body is Body.FORM:
            browser_form = await BrowserForm.read(request)
            authenticated = await self._signer_of(browser_form, authenticated, unsealed, now)
            browser_form.check(address.bucket or "", now)
            request, address = browser_form.as_put(request), replace(address, key=browser_form.upload.key)
            entry.key = address.key
        signing = None
        if authenticated is not None:
            entry.principal = authenticated.principal.arn
            self._brakes.admit_principal(Family.S3, authenticated.principal)
            signing = Signing(authenticated.form, authenticated.signature_version, authenticated.signed_at)
        if signing is not None and signing.form is Form.QUERY:
            request = _with_hoisted_headers(request, query)
            # x-amz-copy-source makes another operation of a PUT, wherever it stands.
            operation = self._find(request, address, query)
            entry.operation = operation.name
        if operation.handler is None:
            if authenticated is None:
                explain_anonymous(entry)
                raise S3Error("AccessDenied")
            raise S3Error("NotImplemented", fields={"Operation": operation.name})
        check_request_headers(request.headers, operation.name)
        authentication = self._authentication(authenticated, request)
        caller, services = authentication.caller, unsealed.services

        def conditions(known: Context) -> Context:
            return RequestContext(
                caller,
                request,
                query,
                operation=operation.name,
                now=now,
                signing=signing,
                region=services.region,
                known=known,
            )

        call = Call(
            services=services,
            request=request,
            operation_name=operation.name,
            address=address,
            query=query,
            authentication=authentication,
            permissions=Permissions(caller, conditions, self._policies, services.canonical_id, entry.decisions),
            form=browser_form,
            now_us=int(now.timestamp() * 1_000_000),
        )
        await admit(call, operation)
        response = await self._call(operation.handler, call)
        if call.is_requester_charged:
            response.headers["x-amz-request-charged"] = REQUESTER
        entry.mode = response.headers.get(SSE, CUSTOMER_KEY_MODE if CUSTOMER_ALGORITHM in response.headers else None)
        return response

    @staticmethod
    async def _signer_of(
        form: BrowserForm, authenticated: Authenticated | None, unsealed: Unsealed, now: datetime
    ) -> Authenticated | None:
        """Who signed a form. Its policy says what may be uploaded, so that no other signature does."""
        if authenticated is not None:
            raise S3Error("InvalidArgument", "A browser form is signed by its fields, not by Authorization or its URL.")
        return await unsealed.door.authenticate_form(form.upload.fields, S3, now=now)

    def _authentication(self, authenticated: Authenticated | None, request: Request) -> Authentication:
        if authenticated is None:
            content = anonymous_content_sha256(request.headers)
            return Authentication(self._caller(request, ANONYMOUS), content, None)
        content = ContentSHA256.parse(authenticated.payload_hash)
        caller = self._caller(request, authenticated.principal, authenticated.policies, authenticated.session)
        return Authentication(caller, content, authenticated.chunk_verifier() if content.is_signed_stream else None)

    def _caller(
        self,
        request: Request,
        principal: Principal,
        policies: IdentityPolicies = NO_POLICIES,
        session: Session | None = None,
    ) -> Caller:
        return Caller(
            principal,
            request.request_id,
            request.remote_ip,
            via_service=self._via_service,
            policies=policies,
            is_secure_transport=request.is_secure,
            user_agent=user_agent(request.headers),
            session=session,
        )

    async def _call(self, handler: Handler, call: Call) -> Response:
        """The handler's answer; that a key is missing is told to those alone who may list the bucket."""
        try:
            return await handler(call)
        except (S3Error, NoSuchKey) as error:
            if call.request.method not in {"GET", "HEAD"} or call.address.key is None:
                raise
            told = error if isinstance(error, S3Error) else to_s3_error(error, key=call.address.key)
            raise call.permissions.conceal(told, call.bucket_name, call.address.key) from error

    def _translated(self, error: LowerError, request: Request, entry: Entry) -> S3Error:
        if isinstance(error, KMSError):
            explain_kms(entry, error)
        elif isinstance(error, SealingError | RowDamaged):
            self._integrity_event("row", f"{_place(error)} request {request.request_id}: {error}")
        elif isinstance(error, StorageError):
            _log.info("request %s: %s: %s", request.request_id, type(error).__name__, error)
        return to_s3_error(error, bucket=entry.bucket, key=entry.key)

    def _render(self, error: S3Error, request: Request, entry: Entry) -> Response:
        entry.error_code = error.code
        explain_s3(entry, error)
        headers = dict(error.headers)
        if request.method == "HEAD" or error.status in _NO_BODY_STATUS:
            return Response(error.status, headers)
        document = ErrorDocument(
            code=error.code,
            message=error.message,
            fields=dict(error.fields),
            resource=request.target_path,
            request_id=request.request_id,
            is_wrapped=is_control_request(request.target_path, request.headers),
        )
        return Response(error.status, {"Content-Type": "application/xml", **headers}, document.format())


_SIGNING_PARAMETERS = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110 §5.6.2)."""


def _with_hoisted_headers(request: Request, query: Query) -> Request:
    """A presigned URL may carry x-amz-* headers as parameters: they mean the same, and are signed with the URL.

    What the sender puts into a header of the same name counts for nothing then: the signer chose. Raises S3Error
    InvalidArgument for a name that no header can have: the parser never saw it, and metadata is told again as headers.
    """
    hoisted = {}
    for parameter in query:
        name = parameter.lower()
        if name.startswith("x-amz-") and name not in _SIGNING_PARAMETERS:
            if not _HEADER_NAME.fullmatch(parameter):
                raise invalid_argument(ascii(parameter), "", "The parameter stands for a header and is no header name.")
            hoisted[name] = query.get(parameter) or ""
    return replace(request, headers={**request.headers, **hoisted}) if hoisted else request


def _slow_down(error: Throttled) -> S3Error:
    return S3Error("SlowDown", headers={"Retry-After": str(error.retry_after_seconds)})


def _place(error: Exception) -> str:
    """Where the damage is, for the log."""
    row_uid: bytes | None = getattr(error, "row_uid", None)
    return row_uid.hex() if row_uid else "-"


def _target(address: Address) -> Target:
    if address.bucket is None:
        return Target.SERVICE
    return Target.BUCKET if address.key is None else Target.OBJECT
