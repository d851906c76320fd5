from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.addressing import Address, resolve
from gateway.protocol.errors import S3Error

DOMAINS = ("s3.example.com", "deep.s3.example.com", "Localhost")


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("127.0.0.1:9000", "/", Address(None, None)),
        ("127.0.0.1:9000", "/bucket", Address("bucket", None)),
        ("127.0.0.1:9000", "/bucket/", Address("bucket", None)),
        ("127.0.0.1:9000", "/bucket/key", Address("bucket", "key")),
        ("s3.example.com", "/bucket/key", Address("bucket", "key")),
        ("bucket.s3.example.com", "/", Address("bucket", None)),
        ("bucket.s3.example.com:443", "/key", Address("bucket", "key")),
        ("BUCKET.S3.example.COM", "/key", Address("bucket", "key")),
        ("my.bucket.s3.example.com", "/a/b", Address("my.bucket", "a/b")),
        ("bucket.localhost:9000", "/bucket/key", Address("bucket", "bucket/key")),
        ("bucket.localhost:", "/key", Address("bucket", "key")),
        ("bucket.deep.s3.example.com", "/key", Address("bucket", "key")),
        ("deep.s3.example.com", "/bucket/key", Address("bucket", "key")),
        (".s3.example.com", "/bucket/key", Address("bucket", "key")),
        ("evils3.example.com", "/bucket/key", Address("bucket", "key")),
        ("[::1]:9000", "/bucket/key", Address("bucket", "key")),
        ("[::1]", "/bucket/key", Address("bucket", "key")),
        ("", "/bucket/key", Address("bucket", "key")),
        # keys are never normalised
        ("h", "/b//k", Address("b", "/k")),
        ("h", "/b/./../k", Address("b", "./../k")),
        ("h", "/b/k/", Address("b", "k/")),
        ("h", "/b/%2e%2E/k", Address("b", "../k")),
        ("bucket.localhost", "//k", Address("bucket", "/k")),
        # decoding happens once, "+" is itself
        ("h", "/b/a%2520b+c%20d", Address("b", "a%20b+c d")),
        ("h", "/b/%E2%82%AC", Address("b", "€")),
        ("h", "/b/€", Address("b", "€")),
        ("h", "/a%2Fb/k", Address("a/b", "k")),
    ],
)
def test_resolve(host: str, path: str, expected: Address) -> None:
    assert resolve(host, path, DOMAINS) == expected


@pytest.mark.parametrize(
    "path",
    ["", "bucket/key", "*", "http://h/b/k", "/b/%", "/b/%4", "/b/%zz", "/b/%ff", "/b/%c3%28", "/%ff/k", "/b/\udcff"],
)
def test_what_is_no_address_is_invalid_uri(path: str) -> None:
    with pytest.raises(S3Error) as caught:
        resolve("h", path, DOMAINS)
    assert caught.value.code == "InvalidURI"


def test_a_key_without_a_bucket_is_refused() -> None:
    with pytest.raises(S3Error) as caught:
        resolve("h", "//key", DOMAINS)
    assert caught.value.code == "InvalidBucketName"


def test_without_domains_every_host_is_path_style() -> None:
    assert resolve("bucket.s3.example.com", "/b/k", ()) == Address("b", "k")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["", "/", "~"]))
def test_every_key_survives_its_encoding(key: str, safe: str) -> None:
    path = quote(key, safe=safe)
    assert resolve("h", f"/b/{path}", ()) == Address("b", key)
    assert resolve("b.localhost", f"/{path}", DOMAINS) == Address("b", key)


@given(st.text(), st.text(st.characters(codec="utf-8") | st.sampled_from("%/\udc80")))
def test_nothing_but_s3_errors(host: str, path: str) -> None:
    try:
        address = resolve(host, "/" + path, DOMAINS)
    except S3Error:
        return
    assert address.bucket != "" and address.key != ""
    assert address.key is None or address.bucket is not None
