"""botocore as the second implementation: it signs, and what it signed comes back as a request head."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from iam.requests import RequestHead
from tests.iam.checks import ACCESS_KEY_ID, NOW, SECRET_TEXT

BASE_URL = "http://127.0.0.1:9000"
_CREDENTIALS = Credentials(ACCESS_KEY_ID, SECRET_TEXT)


def _sign(signer: SigV4Auth, request: AWSRequest, now: datetime) -> RequestHead:
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: now):
        signer.add_auth(request)
    url = urlsplit(request.url)
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    return RequestHead(request.method, url.path, url.query, {"host": url.netloc, **headers})


def signed_by_s3_header(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    now: datetime = NOW,
    signs_payload: bool = True,
) -> RequestHead:
    request = AWSRequest(method=method, url=BASE_URL + target, headers=dict(headers or {}), data=body)
    request.context["payload_signing_enabled"] = signs_payload
    return _sign(S3SigV4Auth(_CREDENTIALS, "s3", "us-east-1"), request, now)


def presigned_by_s3(
    method: str, target: str, headers: Mapping[str, str] | None = None, *, expires: int = 3600, now: datetime = NOW
) -> RequestHead:
    request = AWSRequest(method=method, url=BASE_URL + target, headers=dict(headers or {}))
    return _sign(S3SigV4QueryAuth(_CREDENTIALS, "s3", "us-east-1", expires), request, now)


def presigned_for(service: str, target: str, *, expires: int = 3600, now: datetime = NOW) -> RequestHead:
    """A URL of another service than S3, to be fetched with GET."""
    request = AWSRequest(method="GET", url=BASE_URL + target)
    return _sign(SigV4QueryAuth(_CREDENTIALS, service, "us-east-1", expires), request, now)


def signed_for(service: str, *, now: datetime = NOW) -> RequestHead:
    """A request to another service than S3, without a body."""
    request = AWSRequest(
        method="POST", url=BASE_URL + "/", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    return _sign(SigV4Auth(_CREDENTIALS, service, "us-east-1"), request, now)


def signed_for_kms(
    target: str, body: bytes, headers: Mapping[str, str] | None = None, *, path: str = "/", now: datetime = NOW
) -> tuple[RequestHead, str]:
    """The head, and the hash of the body that KMS's edge computes."""
    all_headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", **(headers or {})}
    request = AWSRequest(method="POST", url=BASE_URL + path, headers=all_headers, data=body)
    return _sign(SigV4Auth(_CREDENTIALS, "kms", "us-east-1"), request, now), sha256(body).hexdigest()
