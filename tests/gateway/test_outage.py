"""Workers that are started again while the index cannot be opened: clients wait for nothing."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3

from tests.harness import Gateway, running_gateway, wait_until

ASKED = {
    "s3": ("GET", "/bucket/key", {}, b"ServiceUnavailable"),
    "kms": (
        "POST",
        "/",
        {"X-Amz-Target": "TrentService.ListKeys", "Content-Type": "application/x-amz-json-1.1"},
        b"KeyUnavailableException",
    ),
}


def kill_workers(gateway: Gateway) -> None:
    for pid in gateway.children("gateway.worker"):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("damage", ["missing", "overwritten"])
def test_requests_are_refused_until_the_index_is_there_again(tmp_path: Path, damage: str) -> None:
    with running_gateway(tmp_path) as gateway, urllib3.PoolManager(retries=False, timeout=60) as http:
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=b"body")
        index = gateway.data / "index" / "index.sqlite"
        aside = index.with_name("aside")
        index.rename(aside)
        if damage == "overwritten":
            index.write_bytes(b"no database" * 1000)
        kill_workers(gateway)

        def refusal() -> urllib3.BaseHTTPResponse | None:
            """The worker that was killed may still have had the connection."""
            try:
                reply = http.request("GET", gateway.endpoint_url + "/bucket/key")
            except (urllib3.exceptions.HTTPError, OSError):
                return None
            return reply if reply.status == 503 else None

        assert wait_until(refusal, "requests are refused").headers["Retry-After"]
        for method, path, headers, code in ASKED.values():
            reply = http.request(method, gateway.endpoint_url + path, headers=headers)
            assert (reply.status, code in reply.data) == (503, True)
        readiness = http.request("GET", f"{gateway.admin_url}/healthz/ready")
        assert (readiness.status, str(index) in readiness.json()["reasons"][0]) == (503, True)
        assert index.exists() is (damage == "overwritten"), "a new index was made in the place of the one that is gone"

        aside.replace(index)

        def is_ready() -> bool:
            """A connection that is idle ends with the worker's refusals."""
            with suppress(urllib3.exceptions.HTTPError):
                return http.request("GET", f"{gateway.admin_url}/healthz/ready").status == 200
            return False

        wait_until(is_ready, "it serves again", 90)
        assert gateway.client("s3").get_object(Bucket="bucket", Key="key")["Body"].read() == b"body"


def test_a_worker_that_refuses_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        (gateway.data / "index" / "index.sqlite").rename(gateway.data / "index" / "aside")
        kill_workers(gateway)
        log = gateway.log_path
        wait_until(lambda: b"every request is refused" in log.read_bytes(), "requests are refused")
        gateway.stop()
        assert b"Traceback" not in log.read_bytes()
