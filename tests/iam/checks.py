"""What the tests of signatures share: a key, a clock, and the one way in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from iam.authenticator import Authenticated, Authenticator
from iam.credentials import Credential
from iam.errors import AuthenticationError, Reason
from iam.principals import root_principal
from iam.requests import RequestHead
from iam.scope import S3, Service
from iam.secrets import Secret

ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET_TEXT = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PRINCIPAL = root_principal("123456789012")
CREDENTIAL = Credential(ACCESS_KEY_ID, Secret(SECRET_TEXT.encode()), PRINCIPAL)
NOW = datetime(2013, 5, 24, tzinfo=UTC)
"""The time of the examples in the S3 API Reference."""


def authenticate(
    head: RequestHead,
    service: Service = S3,
    *,
    credential: Credential = CREDENTIAL,
    region: str = "us-east-1",
    now: datetime = NOW,
    body_sha256: str | None = None,
) -> Authenticated | None:
    authenticator = Authenticator(region, {credential.access_key_id: credential}.get)
    return authenticator.authenticate(head, service, now=now, body_sha256=body_sha256)


def check_refused(
    head: RequestHead,
    reason: Reason,
    service: Service = S3,
    *,
    credential: Credential = CREDENTIAL,
    now: datetime = NOW,
    body_sha256: str | None = None,
) -> AuthenticationError:
    """The request is refused for `reason`; the refusal names no secret."""
    with pytest.raises(AuthenticationError) as caught:
        authenticate(head, service, credential=credential, now=now, body_sha256=body_sha256)
    assert caught.value.reason is reason
    told = f"{caught.value!r} {caught.value} {caught.value.message} {dict(caught.value.fields)}"
    assert credential.secret.reveal().decode() not in told
    return caught.value


def with_headers(head: RequestHead, changes: Mapping[str, str | None]) -> RequestHead:
    """The head with headers set, or left out where the value is None."""
    headers = {**head.headers, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if value is None:
            headers.pop(name, None)
    return RequestHead(head.method, head.target_path, head.target_query, headers)
