"""Requests that came through a proxy: whose address and whose transport policies see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.access import EVERYONE, open_bucket, put_policy, statement, take_customer_keys
from tests.clients.checks import faults
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.test_sse_c import A
from tests.harness import Gateway, running_gateway

CLIENT = "203.0.113.7"


@pytest.fixture(scope="module", params=["127.0.0.0/8", "192.0.2.0/24"], ids=["trusted", "untrusted"])
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, bool]]:
    """A gateway that trusts us as its proxy, or does not."""
    environment = {"SEALGATE_LISTEN_TRUSTED_PROXIES": request.param}
    with running_gateway(tmp_path_factory.mktemp("proxied"), environment=environment) as made:
        yield made, request.param.startswith("127.")
    assert faults(made) == []


class Reader:
    """Whoever reads an object that anyone may read under a condition."""

    def __init__(self, gateway: Gateway, condition: dict[str, Any]) -> None:
        s3 = gateway.client("s3")
        bucket = open_bucket(s3)
        put_policy(s3, bucket, statement("Allow", EVERYONE, "s3:GetObject", on=f"{bucket}/*", **condition))
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        self._raw = RawClient(gateway)
        self._target = f"/{bucket}/k"

    def status(self, headers: dict[str, str]) -> int:
        return self._raw.send("GET", self._target, {"host": self._raw.host, **headers}).status


def test_source_ip_is_the_clients_behind_a_trusted_proxy_alone(proxied: tuple[Gateway, bool]) -> None:
    gateway, is_trusted = proxied
    reader = Reader(gateway, {"IpAddress": {"aws:SourceIp": CLIENT}})
    assert reader.status({"X-Forwarded-For": f"6.6.6.6, {CLIENT}"}) == (200 if is_trusted else 403)
    for spoofed in (f"{CLIENT}, 6.6.6.6", f"{CLIENT}, nonsense", "", "6.6.6.6"):
        assert reader.status({"X-Forwarded-For": spoofed}) == 403
    assert reader.status({}) == 403


def test_secure_transport_is_the_clients_behind_a_trusted_proxy_alone(proxied: tuple[Gateway, bool]) -> None:
    gateway, is_trusted = proxied
    reader = Reader(gateway, {"Bool": {"aws:SecureTransport": "true"}})
    assert reader.status({"X-Forwarded-Proto": "https"}) == (200 if is_trusted else 403)
    for proto in ("http", "https, http", ""):
        assert reader.status({"X-Forwarded-Proto": proto}) == 403
    assert reader.status({}) == 403


def test_a_customers_key_goes_over_tls_or_stays_on_the_machine(proxied: tuple[Gateway, bool]) -> None:
    gateway, is_trusted = proxied
    bucket = take_customer_keys(gateway.client("s3"), make_bucket(gateway.client("s3")))
    raw, target = RawClient(gateway), f"/{bucket}/k"
    insecure = (
        "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection."
    )
    over_tls = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https"}
    assert raw.request("PUT", target, {**A.headers, **over_tls}, b"body").status == 200
    for way in ({"X-Forwarded-For": CLIENT}, {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https, http"}):
        source = {name.replace("x-amz-", "x-amz-copy-source-"): value for name, value in A.headers.items()}
        answers = [
            raw.request("PUT", target, {**A.headers, **way}, b"x"),
            raw.request("GET", target, {**A.headers, **way}),
            raw.request("PUT", f"{target}2", {"x-amz-copy-source": f"{bucket}/k", **source, **way}),
        ]
        if is_trusted:
            told = {(*answer.refusal, answer.message) for answer in answers}
            assert told == {(400, "InvalidRequest", insecure)}
        else:  # who is no proxy speaks for itself alone, and is on this machine
            assert [answer.status for answer in answers] == [200, 200, 200]
    assert raw.request("GET", target, A.headers).status == 200
