"""The door: from the head of a request to the principal that signed it, or to nobody, or to a refusal.

Order: which mechanism, parse and scope, time, access key, signature. Nothing waits and nothing reads the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from iam.canonical import Pairs, query_pairs
from iam.chunk_signatures import ChunkVerifier
from iam.credentials import Credential
from iam.errors import AuthenticationError, Reason, security_token_refused, unknown_access_key
from iam.form import parse_form, verify_form
from iam.payload_hash import UNSIGNED_PAYLOAD
from iam.presign import check_validity, is_presigned, is_signed_by_version_2, parse_presigned
from iam.principals import IdentityPolicies, Principal, Session
from iam.quickly_made import quickly_made
from iam.requests import SignableRequest
from iam.scope import ALGORITHM, Authentication, Form, Service
from iam.signing_keys import SigningKey, SigningKeys
from iam.sigv2 import SCHEME as VERSION_2_SCHEME
from iam.sigv2 import SignatureVersion2, parse_form_version_2, parse_version_2, unsigned_payload_hash
from iam.sigv4 import Claims, check_skew, parse_authorization_header, signature_version_2, told_time, verify

FindCredential = Callable[[str], Credential | None]
"""The credential of an access key id, or None if there is none. On the path of every request."""

OpenSession = Callable[[str, str, datetime], Credential]
"""The temporary credentials of an access key id and the session token beside it, at a time. Raises
AuthenticationError."""

NoteUse = Callable[[str, str, str], None]
"""Told of every long-term access key id whose signature was good, with the names of service and region ("" if none)."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Authenticated:
    """A request whose signature was verified.

    `signature_version` is AWS4-HMAC-SHA256 or AWS.

    `payload_hash` is what the signature says about the body: the value of x-amz-content-sha256 for S3 (a presigned URL
    without one: UNSIGNED-PAYLOAD), else the hash of the body. The body must still be held against it.
    """

    principal: Principal
    access_key_id: str
    form: Form
    payload_hash: str
    policies: IdentityPolicies
    session: Session | None = None
    signature_version: str = ALGORITHM
    _authentication: Authentication | None = field(default=None, repr=False)
    _signing_key: SigningKey | None = field(default=None, repr=False)

    @property
    def region(self) -> str:
        """The region that the request was signed for. Not for Signature Version 2, which names none."""
        return self._signed.scope.region

    @property
    def signed_at(self) -> datetime | None:
        """When the signature was made, by the signer's clock. None for Signature Version 2, which may not tell."""
        return None if self._authentication is None else self._authentication.signed_at

    @property
    def _signed(self) -> Authentication:
        assert self._authentication is not None
        return self._authentication

    def chunk_verifier(self) -> ChunkVerifier:
        """A verifier for the chunks of this request's body, if they are signed: never by Signature Version 2."""
        signed = self._signed
        assert self._signing_key is not None
        return ChunkVerifier(self._signing_key, signed.timestamp, signed.scope.text, signed.signature)


@dataclass(frozen=True, slots=True)
class _Mechanism:
    """Where a request means to carry a signature, and of which version."""

    form: Form
    is_version_2: bool


_IN_HEADER, _IN_HEADER_BY_VERSION_2 = _Mechanism(Form.HEADER, False), _Mechanism(Form.HEADER, True)


def _mechanism(request: SignableRequest, pairs: Pairs) -> _Mechanism | None:
    """None for an anonymous request. Raises AuthenticationError(SEVERAL_MECHANISMS)."""
    authorization = request.headers.get("authorization")
    found = []
    if authorization is not None:
        is_version_2 = authorization.lstrip(" \t").startswith(f"{VERSION_2_SCHEME} ")
        found.append(_IN_HEADER_BY_VERSION_2 if is_version_2 else _IN_HEADER)
    if not pairs:
        return found[0] if found else None
    if is_presigned(pairs):
        found.append(_Mechanism(Form.QUERY, False))
    if is_signed_by_version_2(pairs):
        found.append(_Mechanism(Form.QUERY, True))
    if len(found) > 1:
        raise AuthenticationError(
            Reason.SEVERAL_MECHANISMS,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified",
            {"ArgumentName": "Authorization"},
        )
    return found[0] if found else None


class Authenticator:
    """Authenticates requests to the home region, and those of some services to further ones as well.

    Holds caches of signing keys and of what clients say before their signatures, no more. `other_regions` are
    by the name of the service. Without `open_session` there are no temporary credentials, and every session token is
    refused.
    """

    def __init__(
        self,
        region: str,
        find_credential: FindCredential,
        signing_keys: SigningKeys | None = None,
        *,
        other_regions: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        accepts_version_2: bool = False,
        note_use: NoteUse | None = None,
        open_session: OpenSession | None = None,
    ) -> None:
        self._region = region
        self._other_regions = other_regions
        self._accepts_version_2 = accepts_version_2
        self._note_use = note_use
        self._open_session = open_session
        self._find_credential = find_credential
        self._signing_keys = SigningKeys() if signing_keys is None else signing_keys
        self._claims = Claims()

    @property
    def region(self) -> str:
        """The home region."""
        return self._region

    def authenticate(
        self,
        request: SignableRequest,
        service: Service,
        *,
        now: datetime,
        body_sha256: str | None = None,
        bucket_of_host: str | None = None,
    ) -> Authenticated | None:
        """Who signed the request; None if nobody did (an anonymous request).

        `now` is an aware time. `body_sha256` (64 lower-case hex digits) is required for services other than S3, whose
        signature covers it. `bucket_of_host` is the bucket that the Host header names, if it does: Signature Version 2
        wants it. Raises AuthenticationError; whatever looks like a signature but is none is never anonymous.
        """
        pairs = query_pairs(request.target_query)
        mechanism = _mechanism(request, pairs)
        if mechanism is None:
            return None
        if mechanism.is_version_2 and self._accepts_version_2 and service.knows_version_2:
            signed = parse_version_2(request, mechanism.form, bucket_of_host, now)
            return self._authenticate_version_2(signed, service, unsigned_payload_hash(request.headers), now)
        authentication = self._parse(request, pairs, mechanism, service)
        if authentication.form is Form.QUERY and service.has_expiring_urls:
            check_validity(authentication, now)
        else:
            told = told_time(request.headers) if authentication.form is Form.HEADER else None
            check_skew(authentication.signed_at, told or authentication.timestamp, now, service)
        payload_hash = authentication.payload_hash
        if payload_hash is None:
            if body_sha256 is None:
                raise TypeError(f"{service.name} signs the hash of the body: body_sha256 is required")
            payload_hash = body_sha256
        credential, signing_key = self._keys(authentication, now)
        verify(request, authentication, service, signing_key, payload_hash)
        if authentication.new_claim is not None:
            self._claims.keep(authentication.new_claim, service, authentication)
        self._used(credential, service, authentication.scope.region)
        return _authenticated(authentication, payload_hash, credential, signing_key)

    def authenticate_form(self, fields: Mapping[str, str], service: Service, *, now: datetime) -> Authenticated | None:
        """Who signed the policy of a browser form; None if nobody did. `fields` by name in lower case.

        How long the signature is good for is the policy's to say; `now` is what a session must outlive. Raises
        AuthenticationError.
        """
        if self._accepts_version_2 and service.knows_version_2:
            signed = parse_form_version_2(fields)
            if signed is not None:
                return self._authenticate_version_2(signed, service, UNSIGNED_PAYLOAD, now)
        authentication = parse_form(fields, service, self._regions(service))
        if authentication is None:
            return None
        credential, signing_key = self._keys(authentication, now)
        verify_form(authentication, fields["policy"], signing_key)
        self._used(credential, service, authentication.scope.region)
        return _authenticated(authentication, UNSIGNED_PAYLOAD, credential, signing_key)

    def _parse(self, request: SignableRequest, pairs: Pairs, mechanism: _Mechanism, service: Service) -> Authentication:
        regions = self._regions(service)
        if mechanism.form is Form.HEADER:
            return parse_authorization_header(request, pairs, service, regions, self._claims)
        if mechanism.is_version_2:
            raise signature_version_2()
        return parse_presigned(request, pairs, service, regions)

    def _authenticate_version_2(
        self, signed: SignatureVersion2, service: Service, payload_hash: str, now: datetime
    ) -> Authenticated:
        credential = self._credential(signed.access_key_id, signed.security_token, now)
        signed.verify(credential.secret)
        self._used(credential, service, "")
        return Authenticated(
            principal=credential.principal,
            access_key_id=credential.access_key_id,
            form=signed.form,
            payload_hash=payload_hash,
            policies=credential.policies,
            session=credential.session,
            signature_version="AWS",
        )

    def _keys(self, authentication: Authentication, now: datetime) -> tuple[Credential, SigningKey]:
        credential = self._credential(authentication.scope.access_key_id, authentication.security_token, now)
        return credential, self._signing_keys.get(credential.secret, authentication.scope)

    def _used(self, credential: Credential, service: Service, region: str) -> None:
        if self._note_use is not None and credential.session is None:
            self._note_use(credential.access_key_id, service.name, region)

    def _regions(self, service: Service) -> tuple[str, ...]:
        return (self._region, *self._other_regions.get(service.name, ()))

    def _credential(self, access_key_id: str, token: str | None, now: datetime) -> Credential:
        """A token decides alone: long-term access keys have none, and temporary ones are in no list."""
        if token is not None:
            if self._open_session is None:
                raise security_token_refused()
            return self._open_session(access_key_id, token, now)
        credential = self._find_credential(access_key_id)
        if credential is None or not credential.active:
            raise unknown_access_key(access_key_id, "is not known" if credential is None else "is inactive")
        return credential


def _authenticated(
    authentication: Authentication, payload_hash: str, credential: Credential, signing_key: SigningKey
) -> Authenticated:
    return Authenticated(
        principal=credential.principal,
        access_key_id=credential.access_key_id,
        form=authentication.form,
        payload_hash=payload_hash,
        policies=credential.policies,
        session=credential.session,
        _authentication=authentication,
        _signing_key=signing_key,
    )
