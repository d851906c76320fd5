"""A moment of whole requests against a real gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.http import Broken, HTTPFuzzer, is_whole
from tests.harness import running_gateway

SECONDS = 5.0
SEED = 20130524
MIN_REQUESTS = 100


@pytest.mark.slow
def test_a_moment_of_changed_requests(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        fuzzer = HTTPFuzzer(gateway, SEED)
        while fuzzer.sent < MIN_REQUESTS:  # on a busy machine a moment is short
            fuzzer.run(SECONDS)
        assert sum(fuzzer.answers.values()) > fuzzer.sent // 2
        assert {200, 400, 404} <= fuzzer.answers.keys()
        with gateway.log_path.open("a") as log:
            log.write('{"status":500}\n')
        with pytest.raises(Broken, match="the log tells of faults"):
            fuzzer.check_gateway()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab", True),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na", False),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\ncontent-length: 0\r\n", False),
        (b"GET / HTTP/1.1\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nx: \n\r\ncontent-length: 0\r\n\r\n", False),
    ],
)
def test_which_requests_are_whole(request_: bytes, expected: bool) -> None:
    assert is_whole(request_) is expected
