"""Signature Version 2 of S3: refused, unless the endpoint was told to accept it for clients that know nothing newer.

Amazon S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)" and "Browser-based uploads
using POST (AWS signature version 2)". It covers neither the body nor headers other than `x-amz-*`, Content-Type,
Content-MD5 and Date, and it is an HMAC-SHA1 under the secret itself.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import unquote

from iam.canonical import to_wire
from iam.errors import AuthenticationError, Reason, missing_form_field
from iam.payload_hash import UNSIGNED_PAYLOAD, check_payload_hash, is_signed_stream
from iam.requests import SignableRequest
from iam.scope import SECURITY_TOKEN, Form, format_iso
from iam.secrets import Secret
from iam.sigv4 import MISMATCH_MESSAGE, check_skew, request_time, told_time

SCHEME = "AWS"

SUBRESOURCES = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "delete",
        "encryption",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
"""Parameters that are part of what is signed; what clients leave out is not in their signature either."""

_CONTENT_HEADERS = frozenset({"content-md5", "content-type"})
_EXPIRES = re.compile(r"[0-9]{1,12}")
_BLANKS = re.compile(r"\s+")
Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SignatureVersion2:
    """What a request or a form says about its signature; its time was checked. `text` is what was signed."""

    form: Form
    access_key_id: str
    signature: str
    text: str
    security_token: str | None = field(default=None, repr=False)

    def verify(self, secret: Secret) -> None:
        """In constant time. Raises AuthenticationError(SIGNATURE_MISMATCH)."""
        if not hmac.compare_digest(sign(secret, self.text).encode(), to_wire(self.signature)):
            fields = {
                "AWSAccessKeyId": self.access_key_id,
                "StringToSign": self.text,
                "SignatureProvided": self.signature,
                "StringToSignBytes": to_wire(self.text).hex(" "),
            }
            raise AuthenticationError(Reason.SIGNATURE_MISMATCH, MISMATCH_MESSAGE, fields)


def sign(secret: Secret, text: str) -> str:
    """Base64 of the HMAC-SHA1 of a string to sign."""
    return base64.b64encode(hmac.digest(secret.reveal(), to_wire(text), "sha1")).decode("ascii")


def parse_version_2(
    request: SignableRequest, form: Form, bucket_of_host: str | None, now: datetime
) -> SignatureVersion2:
    """The signature in the Authorization header or the URL, whichever `form` says.

    `bucket_of_host` is the bucket that the Host header names, if it does. Raises AuthenticationError.
    """
    parameters = _parameters(request.target_query)
    if form is Form.QUERY:
        return _of_url(request, parameters, bucket_of_host, now)
    headers = request.headers
    access_key_id, colon, signature = headers["authorization"].strip().removeprefix(SCHEME).strip().rpartition(":")
    if not colon or not access_key_id or not signature:
        message = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature"
        raise AuthenticationError(Reason.UNSUPPORTED_AUTHORIZATION, message, {"ArgumentName": "Authorization"})
    _, signed_at = request_time(headers)
    check_skew(signed_at, told_time(headers) or "", now)
    date = "" if "x-amz-date" in headers else headers["date"]
    text = _string_to_sign(request, headers, date, parameters, bucket_of_host)
    return SignatureVersion2(Form.HEADER, access_key_id, signature, text, headers.get(SECURITY_TOKEN))


def unsigned_payload_hash(headers: Mapping[str, str]) -> str:
    """What the headers of a request say about its body where the signature says nothing.

    Raises AuthenticationError(INVALID_CONTENT_SHA256): there are no signatures that chunks could follow.
    """
    value = check_payload_hash(headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD).strip(" \t"))
    if is_signed_stream(value):
        fields = {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": value}
        message = "Signature Version 2 has no chunk signatures."
        raise AuthenticationError(Reason.INVALID_CONTENT_SHA256, message, fields)
    return value


def parse_form_version_2(fields: Mapping[str, str]) -> SignatureVersion2 | None:
    """The signature of a browser form; None if there is none of this version. `fields` by name in lower case.

    Raises AuthenticationError.
    """
    if not {"awsaccesskeyid", "signature"} & fields.keys():
        return None
    for name, shown in (("awsaccesskeyid", "AWSAccessKeyId"), ("signature", "signature"), ("policy", "policy")):
        if name not in fields:
            raise missing_form_field(shown)
    return SignatureVersion2(
        Form.POST, fields["awsaccesskeyid"], fields["signature"], fields["policy"], fields.get(SECURITY_TOKEN)
    )


def _of_url(
    request: SignableRequest, parameters: Parameters, bucket_of_host: str | None, now: datetime
) -> SignatureVersion2:
    given = dict(parameters)
    expires = given.get("Expires", "")
    if not _EXPIRES.fullmatch(expires):
        _denied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    if int(expires) < now.timestamp():
        expired_at = format_iso(datetime.fromtimestamp(int(expires), UTC))
        fields = {"Expires": expired_at, "ServerTime": format_iso(now)}
        raise AuthenticationError(Reason.EXPIRED, "Request has expired", fields)
    # What an SDK signed as headers of the request may have become parameters of the URL. Of x-amz-* the parameters
    # count, here as later; of the others the headers, if there are any.
    moved = {name.lower(): value for name, value in parameters}
    headers = {name: value for name, value in moved.items() if name in _CONTENT_HEADERS}
    headers |= request.headers
    headers |= {name: value for name, value in moved.items() if name.startswith("x-amz-")}
    text = _string_to_sign(request, headers, expires, parameters, bucket_of_host)
    return SignatureVersion2(Form.QUERY, given["AWSAccessKeyId"], given["Signature"], text, headers.get(SECURITY_TOKEN))


def _denied(message: str) -> NoReturn:
    raise AuthenticationError(Reason.MALFORMED_QUERY, message)


def _string_to_sign(
    request: SignableRequest,
    headers: Mapping[str, str],
    date: str,
    parameters: Parameters,
    bucket_of_host: str | None,
) -> str:
    named = sorted(name for name in headers if name.startswith("x-amz-"))
    amz = "".join(f"{name}:{_BLANKS.sub(' ', headers[name]).strip()}\n" for name in named)
    resource = ("" if bucket_of_host is None else f"/{bucket_of_host}") + (request.target_path or "/")
    if resource.count("/") == 1 and resource != "/":  # a bucket is signed as if it were addressed by its host
        resource += "/"
    asked = sorted((name, value) for name, value in parameters if name in SUBRESOURCES)
    written = "&".join(f"{name}={value}" if value else name for name, value in asked)
    head = (request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date)
    return "\n".join((*head, f"{amz}{resource}{'?' if written else ''}{written}"))


def _parameters(target_query: str) -> Parameters:
    """Decoded; a "+" is itself, since a signature is Base64 and clients do not all encode it."""
    pairs = (pair.partition("=") for pair in target_query.split("&") if pair)
    return [(unquote(name), unquote(value, errors="surrogateescape")) for name, _, value in pairs]
