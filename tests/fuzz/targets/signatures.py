"""Signatures: of heads (both versions, header and URL) and of browser forms."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from iam.authenticator import Authenticator
from iam.errors import AuthenticationError
from iam.requests import RequestHead
from iam.scope import KMS, S3, Service
from iam.sigv2 import SUBRESOURCES
from kms.face.authentication import authentication_failure
from tests.fuzz.inputs import first_line, head_of, headers_of
from tests.fuzz.target import TARGETS, check_bounded, target
from tests.iam.checks import ACCESS_KEY_ID, CREDENTIAL, NOW, SECRET_TEXT

_V4 = Authenticator("us-east-1", {ACCESS_KEY_ID: CREDENTIAL}.get)
_V2 = Authenticator("us-east-1", {ACCESS_KEY_ID: CREDENTIAL}.get, accepts_version_2=True)

_WORDS = (
    b"Authorization: ",
    b"AWS4-HMAC-SHA256 ",
    b"AWS4-ECDSA-P256-SHA256",
    b"Credential=",
    b"SignedHeaders=",
    b"Signature=",
    b"host;x-amz-content-sha256;x-amz-date",
    b"x-amz-content-sha256: ",
    b"UNSIGNED-PAYLOAD",
    b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    b"x-amz-date: ",
    b"Date: ",
    b"20130524T000000Z",
    b"Fri, 24 May 2013 00:00:00 GMT",
    b"Fri May 24 00:00:00 2013 +9999",
    b"x-amz-security-token: ",
    b"/us-east-1/s3/aws4_request",
    b"AKIAIOSFODNN7EXAMPLE",
    b"X-Amz-Algorithm=",
    b"X-Amz-Credential=",
    b"X-Amz-Expires=",
    b"X-Amz-SignedHeaders=",
    b"&",
)
_V2_WORDS = (
    b"Authorization: AWS ",
    b"AWSAccessKeyId=",
    b"Signature=",
    b"Expires=",
    b"x-amz-meta-a: ",
    b"content-md5: ",
    b"content-type: ",
    b"response-content-type=",
    b"versionId=",
    b"acl",
    *_WORDS[12:16],
)


def _authenticate(
    authenticator: Authenticator, head: RequestHead, service: Service, now: datetime, bucket: str | None = None
) -> str:
    body = hashlib.sha256(b"{}").hexdigest()
    try:
        found = authenticator.authenticate(head, service, now=now, body_sha256=body, bucket_of_host=bucket)
    except AuthenticationError as error:
        return _refused(error, _size(head))
    return "anonymous" if found is None else "authenticated"


def _refused(error: AuthenticationError, input_bytes: int) -> str:
    told = f"{error} {error!r} {error.message} {dict(error.fields)}"
    assert SECRET_TEXT not in told
    told.encode()  # what is answered is text, whatever bytes were sent
    check_bounded(len(told), input_bytes)
    check_bounded(len(authentication_failure(error, "R").body), input_bytes)
    return error.reason.value


def _size(head: RequestHead) -> int:
    return (
        len(head.target_path) + len(head.target_query) + sum(len(name + value) for name, value in head.headers.items())
    )


@target("signature-v4", *_WORDS)
def signature_v4(data: bytes) -> str:
    """A head is anonymous, refused by AuthenticationError, or means what a head of the corpus means,
    which was signed."""
    head = head_of(data)
    outcome = _authenticate(_V4, head, S3, NOW)
    if outcome == "authenticated":
        assert _meaning(head) in _signed("signature-v4"), "a request that nobody signed"
    return outcome


@target("signature-v4-kms", *_WORDS)
def signature_v4_kms(data: bytes) -> str:
    """The same for the KMS, which signs the body's hash and encodes the path twice."""
    head = head_of(data)
    outcome = _authenticate(_V4, head, KMS, NOW)
    if outcome == "authenticated":
        assert _meaning_for_kms(head) in _signed("signature-v4-kms"), "a request that nobody signed"
    return outcome


@target("signature-v2", *_V2_WORDS)
def signature_v2(data: bytes) -> str:
    """As `signature-v4`,
    for an endpoint that takes Signature Version 2; the first line names the bucket of the host."""
    bucket, rest = first_line(data)
    head = head_of(rest)
    outcome = _authenticate(_V2, head, S3, NOW, bucket or None)
    if outcome == "authenticated":
        assert _meaning_of_version_2(bucket, head) in _signed("signature-v2"), "a request that nobody signed"
    return outcome


@target("signature-form", b"policy:", b"x-amz-algorithm:", b"x-amz-credential:", b"x-amz-date:", b"x-amz-signature:",
        b"awsaccesskeyid:", b"signature:", b"x-amz-security-token:", *_WORDS[13:19])  # fmt: skip
def signature_form(data: bytes) -> str:
    """A form is anonymous, refused by AuthenticationError, or has the policy of one of the corpus."""
    fields = headers_of(data)
    try:
        found = _V2.authenticate_form(fields, S3, now=NOW)
    except AuthenticationError as error:
        return _refused(error, len(data))
    if found is None:
        return "anonymous"
    assert fields["policy"] in _signed("signature-form"), "a policy that nobody signed"
    return "authenticated"


def _meaning(head: RequestHead) -> tuple[str, bytes, object, object]:
    """What whoever reads the request later will make of it, as far as the signature must cover it."""
    query = sorted(pair for pair in _parameters(head) if pair[0] != b"X-Amz-Signature")
    path = unquote_to_bytes(_bytes(head.target_path or "/"))
    covered = {name: value for name, value in head.headers.items() if name == "host" or name.startswith("x-amz-")}
    return (head.method, path, tuple(query), _folded(covered))


def _meaning_for_kms(head: RequestHead) -> object:
    """The path means nothing there."""
    method, _, query, headers = _meaning(head)
    return (method, query, headers)


def _meaning_of_version_2(bucket: str, head: RequestHead) -> object:
    """It covers some headers and some parameters alone, wherever they stand, and of the host the bucket."""
    covered = {name: value for name, value in head.headers.items() if name in ("content-md5", "content-type")}
    moved = {name.decode("utf-8", "replace").lower(): value for name, value in _parameters(head)}
    covered |= {name: value for name, value in head.headers.items() if name.startswith("x-amz-")}
    covered |= {name: value.decode("utf-8", "surrogateescape") for name, value in moved.items() if name[:6] == "x-amz-"}
    resource = (f"/{bucket}" if bucket else "") + (head.target_path or "/")
    asked = sorted(pair for pair in _parameters(head) if pair[0].decode("utf-8", "replace") in SUBRESOURCES)
    return (head.method, f"{resource}/" if resource.count("/") == 1 else resource, tuple(asked), _folded(covered))


def _parameters(head: RequestHead) -> list[tuple[bytes, bytes]]:
    pairs = (pair.partition("=") for pair in head.target_query.split("&") if pair)
    return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]


def _folded(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Without the blanks that mean nothing; a header that is empty is as good as none."""
    folded = {name: re.sub(r"[ \t]+", " ", value).strip(" ") for name, value in headers.items()}
    return tuple(sorted((name, value) for name, value in folded.items() if value))


def _unquoted(text: str) -> bytes:
    return unquote_to_bytes(_bytes(text.replace("+", " ")))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@lru_cache
def _signed(name: str) -> frozenset[object]:
    """The meanings of what was signed: of each input of the corpus whose signature is right."""
    found: set[object] = set()
    for data in TARGETS[name].corpus():
        if name == "signature-form":
            fields = headers_of(data)
            if _is_right(lambda fields=fields: _V2.authenticate_form(fields, S3, now=NOW)):
                found.add(fields["policy"])
            continue
        bucket, rest = first_line(data) if name == "signature-v2" else ("", data)
        head = head_of(rest)
        authenticator, service = _V2 if name == "signature-v2" else _V4, KMS if name == "signature-v4-kms" else S3
        if _authenticate(authenticator, head, service, NOW, bucket or None) == "authenticated":
            found.add(_MEANINGS[name](bucket, head))
    return frozenset(found)


_MEANINGS: Mapping[str, Callable[[str, RequestHead], object]] = {
    "signature-v4": lambda _, head: _meaning(head),
    "signature-v4-kms": lambda _, head: _meaning_for_kms(head),
    "signature-v2": _meaning_of_version_2,
}


def _is_right(authenticate: Callable[[], object]) -> bool:
    try:
        return authenticate() is not None
    except AuthenticationError:
        return False
