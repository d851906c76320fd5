"""IAM and STS: requests of the query protocol."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from gateway.protocol.xml.documents.query import error_document
from iam.face.errors import IAMError
from iam.face.json_body import find_json_operation, parse_body
from iam.face.models.iam import IAM
from iam.face.models.organizations import ORGANIZATIONS
from iam.face.parameters import MAX_PARAMETERS, convert, parse_form
from iam.face.query import find_operation, model_of
from iam.face.request import ParsedRequest
from iam.jose import (
    ALGORITHMS,
    MAX_KEYS,
    MAX_TOKEN_CHARACTERS,
    NotAKeySet,
    NotAToken,
    NotVerified,
    parse_key_set,
    parse_token,
)
from iam.oidc_providers import OIDCProvider
from iam.session_tokens import MAX_TOKEN_LENGTH, VERSION, NotASessionToken, SessionTokens, TooLarge
from iam.web_identity import RejectedToken, web_identity
from tests.fuzz.inputs import first_line, text_of
from tests.fuzz.target import TARGETS, check_bounded, target
from tests.iam.face.test_parameters import MODEL
from tests.iam.store.test_sqlite import AESGCMSecretSealer

KEY_SET = (
    b'{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256",'
    b'"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},'
    b'{"kty":"oct","k":"AA"}]}'
)
"""The public key of RFC 7515, appendix A.3, and one that is none."""

KEYS = parse_key_set(KEY_SET)
TOKENS = SessionTokens(AESGCMSecretSealer(bytes(32)))
TOKEN_KEY_ID = "ASIAIOSFODNN7EXAMPLE"


@target("query-protocol", b"Action=CreateUser", b"Action=GetCallerIdentity", b"Version=2010-05-08",
        b"Version=2011-06-15",
        b"&UserName=u", b"&Path=%2Fa%2F", b"&Tags.member.1.Key=k", b"&Tags.member.1.Value=v", b"&Tags.member.01.Key=k",
        b"&Tags=", b".member.", b".1", b"&PolicyDocument=%7B%7D", b"&MaxItems=1", b"&Marker=a", b"&a.b.c.d.e.f.g.h.i=",
        b"&Tags.entry.1=", b"%ED%A0%80", b"%zz")  # fmt: skip
def query_protocol(data: bytes) -> str:
    """A form is refused by IAMError, bounded, or its members are of the kinds that the model gives them.

    By the models of the services, and by one that has every kind of shape.
    """
    try:
        parameters = parse_form(text_of(data))
        assert len(parameters) <= MAX_PARAMETERS
        model, name = model_of(parameters), parameters.get("Action", "")
        if model is not None and name in model.inputs:
            parsed = ParsedRequest(parameters, name, model)
            assert str(parsed)
        convert(parameters, "Request", MODEL)
        find_operation(parameters)
    except IAMError as error:
        document = error_document(error.code, error.message, error.fault, IAM.namespace, "R")
        check_bounded(len(document), len(data))
        return f"{error.code} {error.message[:24]}"
    return "ok"


@target("json-body", b'{"AccountName":', b'"Email":"a@b.example"', b'"Tags":[', b'{"Key":"k","Value":"v"}', b"null",
        b"[]", b"{}", b'"MaxResults":1', b"1e9", b"true", b"\\ud800")  # fmt: skip
def json_body(data: bytes) -> str:
    """The name of an operation in a line, and a body: refused by IAMError, or parameters that are a request or none."""
    name, body = first_line(data)
    try:
        operation = find_json_operation(ORGANIZATIONS, name)
        parameters = parse_body(body, operation)
        assert len(parameters) <= MAX_PARAMETERS
        assert all(type(value) is str for value in parameters.values())
        assert str(operation.request(parameters))
    except IAMError as error:
        check_bounded(len(error.message.encode("utf-8", "surrogatepass")), len(data))
        return error.code
    return "ok"


class _OpenSealer:
    """Seals nothing: what is behind the version is the document, so that its parser sees what is tried."""

    def seal(self, _purpose: bytes, secret: bytes) -> bytes:
        return secret

    def open(self, _purpose: bytes, sealed: bytes) -> bytes:
        return sealed


UNSEALED_TOKENS = SessionTokens(_OpenSealer())


@target("session-token", b"AQ", b"-", b"_", b"=", b"A" * 32)
def session_token(data: bytes) -> str:
    """Text is a token of the corpus, in its one spelling, or NotASessionToken."""
    text = text_of(data)
    try:
        opened = TOKENS.open(TOKEN_KEY_ID, text)
    except NotASessionToken:
        return "refused"
    assert len(text) <= MAX_TOKEN_LENGTH
    assert data in TARGETS["session-token"].corpus(), f"a token that nobody sealed: {opened}"
    return "ok"


@target("session-token-document", b"same", b"role", b"federated", b"\x9b", b"\xc4", b"\xcf", b"\xc0", b"\x90", b"x\xda")
def session_token_document(data: bytes) -> str:
    """What is sealed is a session, which is sealed and opened to the same again, or NotASessionToken."""
    try:
        opened = UNSEALED_TOKENS.open(TOKEN_KEY_ID, _as_token(data))
    except NotASessionToken:
        return "refused"
    try:
        assert UNSEALED_TOKENS.open(TOKEN_KEY_ID, UNSEALED_TOKENS.seal(TOKEN_KEY_ID, opened)) == opened
    except TooLarge:
        return "ok, too large"
    return "ok"


def _as_token(document: bytes) -> str:
    return base64.urlsafe_b64encode(bytes([VERSION]) + document).rstrip(b"=").decode()


PROVIDER = OIDCProvider("123456789012", "https://issuer.example.com", 1, ("client",))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@target("identity-token", b"eyJhbGciOiJSUzI1NiJ9", b"e30", b".", b"-", b"_", b"=", b"A" * 32)
def identity_token(data: bytes) -> str:
    """Text is a token whose parts are spelt in one way and that no key of another signs, or NotAToken."""
    text = text_of(data)
    try:
        token = parse_token(text)
    except NotAToken:
        return "refused"
    assert len(text) <= MAX_TOKEN_CHARACTERS and token.algorithm in ALGORITHMS
    signature = base64.urlsafe_b64encode(token.signature).rstrip(b"=")
    assert data == token.signed + b"." + signature, "a token with two spellings"
    try:
        token.verify(KEYS)
    except NotVerified:
        return f"ok {token.algorithm}"
    raise AssertionError("a token that nobody signed")


@target("identity-claims", b'{"iss":"https://issuer.example.com","sub":"s","aud":"client","iat":1,"exp":9999999999',
        b',"azp":', b',"amr":["', b',"nbf":', b',"https://aws.amazon.com/tags":{"principal_tags":{"a":["b"]}}',
        b',"https://aws.amazon.com/tags/transitive_tag_keys":["a"]', b',"https://aws.amazon.com/source_identity":"s"',
        b"null", b"true", b"1e9", b"[]", b"{}", b'"')  # fmt: skip
def identity_claims(data: bytes) -> str:
    """Claims are refused by RejectedToken, bounded, or are of the provider and its client, now; values are texts."""
    try:
        claims = json.loads(data)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(claims, dict):
        return "no object"
    try:
        identity = web_identity(claims, PROVIDER, NOW)
    except RejectedToken as error:
        check_bounded(len(error.message), 0)
        return error.rejection.value
    assert claims["iss"] == PROVIDER.url and claims["exp"] > NOW.timestamp()
    assert identity.audiences == ("client",) and identity.subject == claims["sub"]
    assert identity.keys["issuer.example.com:sub"] == (identity.subject,)
    assert all(isinstance(each, str) for values in identity.keys.values() for each in values)
    return "ok"


@target("key-set", b'{"keys":[', b'{"kty":"RSA","n":"', b'","e":"AQAB"', b'{"kty":"EC","crv":"P-256","x":"', b'","y":"',
        b',"use":"sig"', b',"kid":"k"', b',"alg":"RS256"', b',"key_ops":["verify"]', b"}]}")  # fmt: skip
def key_set(data: bytes) -> str:
    """A document is NotAKeySet, or a bounded number of keys that can verify something."""
    try:
        found = parse_key_set(data)
    except NotAKeySet:
        return "refused"
    assert len(found) <= MAX_KEYS
    return f"ok {len(found)}"
