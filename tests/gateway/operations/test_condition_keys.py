from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.operations.condition_keys import RequestContext, Signing
from gateway.protocol.messages import Request
from gateway.protocol.query import Query
from iam.principals import ANONYMOUS, Caller, root_principal
from iam.scope import Form

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROOT = root_principal("123456789012")


class NoBody:
    async def read(self) -> bytes:
        return b""


REQUEST = Request("PUT", "/b/k", "", {}, NoBody(), 0, "r", "10.1.2.3", True)


def keys(request: Request = REQUEST, signing: Signing | None = None, caller: Caller | None = None) -> dict[str, str]:
    """Those with one value."""
    caller = caller or Caller(ROOT, "r", "10.1.2.3", is_secure_transport=request.is_secure)
    query = Query(request.target_query)
    context = RequestContext(caller, request, query, operation="PutObject", now=NOW, signing=signing, region="eu-1")
    return {name: values[0] for name, values in context.items() if len(values) == 1}


@pytest.mark.parametrize(
    ("signing", "told"),
    [
        (None, (None, None, None)),
        (
            Signing(Form.HEADER, "AWS4-HMAC-SHA256", NOW - timedelta(seconds=2)),
            ("REST-HEADER", "AWS4-HMAC-SHA256", "2000"),
        ),
        (
            Signing(Form.QUERY, "AWS4-HMAC-SHA256", NOW - timedelta(days=7)),
            ("REST-QUERY-STRING", "AWS4-HMAC-SHA256", "604800000"),
        ),
        (Signing(Form.POST, "AWS4-HMAC-SHA256", NOW + timedelta(seconds=9)), ("POST", "AWS4-HMAC-SHA256", "0")),
        (Signing(Form.HEADER, "AWS", None), ("REST-HEADER", "AWS", None)),
    ],
)
def test_signatures(signing: Signing | None, told: tuple[str | None, ...]) -> None:
    found = keys(signing=signing)
    assert tuple(found.get(name) for name in ("s3:authtype", "s3:signatureversion", "s3:signatureage")) == told


def test_the_connection() -> None:
    assert "s3:tlsversion" not in keys()
    found = keys(replace(REQUEST, tls_version="1.3"))
    assert (found["s3:tlsversion"], found["aws:securetransport"], found["aws:sourceip"]) == ("1.3", "true", "10.1.2.3")
    assert keys(replace(REQUEST, is_secure=False))["aws:securetransport"] == "false"


@pytest.mark.parametrize(
    "header",
    [
        "x-amz-acl",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write",
        "x-amz-grant-write-acp",
        "x-amz-metadata-directive",
        "x-amz-object-ownership",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
    ],
)
def test_headers(header: str) -> None:
    assert keys(replace(REQUEST, headers={header: "value"}))[f"s3:{header}"] == "value"
    assert f"s3:{header}" not in keys()


def test_the_query() -> None:
    found = keys(replace(REQUEST, target_query="prefix=a%2F&delimiter=%2F&max-keys=7&versionId=null"))
    assert [found[f"s3:{name}"] for name in ("prefix", "delimiter", "max-keys", "versionid")] == [
        "a/",
        "/",
        "7",
        "null",
    ]


def test_who_is_nobody_is_named_by_nothing() -> None:
    found = keys(caller=Caller(ANONYMOUS, "r"))
    assert (found["aws:principaltype"], found["aws:userid"]) == ("Anonymous", "anonymous")
    assert not {"aws:principalarn", "aws:principalaccount", "aws:username", "aws:sourceip"} & found.keys()
