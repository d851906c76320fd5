"""What botocore signs is accepted, however odd; and not with any byte of it changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iam.errors import AuthenticationError, Reason
from iam.requests import RequestHead
from iam.scope import KMS, S3, Form, Service
from tests.iam.botocore_signing import presigned_by_s3, signed_by_s3_header, signed_for_kms
from tests.iam.checks import NOW, PRINCIPAL, authenticate, check_refused, with_headers

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
odd_texts = st.one_of(texts, st.text("/.%+ ~*'()!&=?#:;,@$äé世\u00a0\u0085-_aZ09", max_size=20))
keys = odd_texts.map(lambda key: "/bucket/" + quote(key.encode(), safe="/-._~"))
parameters = st.lists(st.tuples(odd_texts.filter(bool), odd_texts), max_size=5)
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=20)
header_names = st.from_regex(r"x-amz-meta-[a-z0-9-]{1,8}|content-type|range|cache-control", fullmatch=True)


def query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(
        f"{quote(name.encode(), safe='-._~')}={quote(value.encode(), safe='-._~')}" for name, value in pairs
    )


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    path=keys,
    pairs=parameters,
    headers=st.dictionaries(header_names, header_values, max_size=4),
    body=st.binary(max_size=20),
    signs_payload=st.booleans(),
)
def test_s3_requests_that_botocore_signed_are_accepted(
    method: str,
    path: str,
    pairs: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    signs_payload: bool,
) -> None:
    target = f"{path}?{query(pairs)}" if pairs else path
    head = signed_by_s3_header(method, target, headers, body, signs_payload=signs_payload)
    authenticated = authenticate(head)
    assert authenticated is not None
    assert authenticated.principal == PRINCIPAL
    assert authenticated.form is Form.HEADER
    assert authenticated.payload_hash == head.headers["x-amz-content-sha256"]


@settings(max_examples=100, deadline=None)
@given(path=keys, pairs=parameters, headers=st.dictionaries(header_names, header_values, max_size=3))
def test_urls_that_botocore_presigned_are_accepted(
    path: str, pairs: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    head = presigned_by_s3("GET", f"{path}?{query(pairs)}" if pairs else path, headers)
    authenticated = authenticate(head)
    assert authenticated is not None
    assert authenticated.form is Form.QUERY
    assert authenticated.payload_hash == "UNSIGNED-PAYLOAD"


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=50), path=st.sampled_from(["/", "//", "/a/../b/./c/", "/a%20b", "/a%2Fb"]))
def test_kms_requests_that_botocore_signed_are_accepted(body: bytes, path: str) -> None:
    head, body_sha256 = signed_for_kms("TrentService.Encrypt", body, path=path)
    authenticated = authenticate(head, KMS, body_sha256=body_sha256)
    assert authenticated is not None
    assert authenticated.payload_hash == body_sha256


def flipped(text: str, index: int) -> str:
    return text[:index] + chr(ord(text[index]) ^ 1) + text[index + 1 :]


def mutations(head: RequestHead, covered: list[str]) -> list[RequestHead]:
    """The head with one character changed, at each place that the signature covers."""
    changed = [RequestHead(flipped(head.method, 0), head.target_path, head.target_query, head.headers)]
    changed += [
        RequestHead(head.method, flipped(head.target_path, i), head.target_query, head.headers)
        for i in range(1, len(head.target_path))  # the first is "/" in every request
    ]
    changed += [
        RequestHead(head.method, head.target_path, flipped(head.target_query, i), head.headers)
        for i in range(len(head.target_query))
    ]
    changed += [
        with_headers(head, {name: flipped(head.headers[name], i)})
        for name in covered
        for i in range(len(head.headers[name]))
    ]
    return changed


def is_accepted(head: RequestHead, service: Service = S3, now: datetime = NOW, body_sha256: str | None = None) -> bool:
    try:
        return authenticate(head, service, now=now, body_sha256=body_sha256) is not None
    except AuthenticationError:
        return False


def s3_get() -> tuple[RequestHead, Service, str | None]:
    headers = {"x-amz-meta-a": "value", "range": "bytes=0-9"}
    return signed_by_s3_header("GET", "/bucket/a%20key?versionId=3&list-type=2", headers), S3, None


def s3_presigned() -> tuple[RequestHead, Service, str | None]:
    return presigned_by_s3("GET", "/bucket/a%20key?versionId=3"), S3, None


def kms_post() -> tuple[RequestHead, Service, str | None]:
    head, body_sha256 = signed_for_kms("TrentService.Encrypt", b"{}")
    return head, KMS, body_sha256


@pytest.mark.parametrize("make", [s3_get, s3_presigned, kms_post])
def test_every_changed_byte_is_refused(make: Callable[[], tuple[RequestHead, Service, str | None]]) -> None:
    head, service, body_sha256 = make()
    assert is_accepted(head, service, body_sha256=body_sha256)
    covered = [name for name in head.headers if name != "content-length"]
    changed = mutations(head, covered)
    assert len(changed) > 100
    accepted = [each for each in changed if is_accepted(each, service, body_sha256=body_sha256)]
    assert accepted == []


def test_another_body_is_refused_for_kms() -> None:
    head, _ = signed_for_kms("TrentService.Encrypt", b"{}")
    check_refused(head, Reason.SIGNATURE_MISMATCH, KMS, body_sha256=sha256(b"{ }").hexdigest())


def test_a_signature_for_kms_is_none_for_s3() -> None:
    head, _ = signed_for_kms("TrentService.Encrypt", b"{}")
    error = check_refused(head, Reason.WRONG_SCOPE)
    assert 'This endpoint belongs to "s3"' in error.message


def test_kms_needs_the_hash_of_the_body() -> None:
    head, _ = signed_for_kms("TrentService.Encrypt", b"{}")
    with pytest.raises(TypeError):
        authenticate(head, KMS)


def test_bytes_that_are_no_utf8_are_covered_as_they_came() -> None:
    """A raw byte on the wire equals its percent-encoded form, and no other byte's."""
    head = signed_by_s3_header("GET", "/bucket/%FF")
    raw = RequestHead("GET", "/bucket/\udcff", "", head.headers)
    assert is_accepted(raw)
    assert not is_accepted(RequestHead("GET", "/bucket/\udcfe", "", head.headers))
