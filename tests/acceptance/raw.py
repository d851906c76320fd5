"""Requests by presigned URL over connections of their own: quick, spread over the workers, and with nothing retried."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.harness import Gateway

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`began` and `ended` by time.monotonic. `status` is 0 when the connection broke or was refused."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    began: float
    ended: float

    @property
    def code(self) -> str:
        """The S3 error code."""
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found[1].decode() if found else ""


def presign(gateway: Gateway, operation: str, **parameters: Any) -> str:
    """A URL for one operation of boto3's S3 client, by Signature Version 4 and without a checksum of the body."""
    s3 = gateway.client("s3", signature_version="s3v4", request_checksum_calculation="when_required")
    return str(s3.generate_presigned_url(operation, Params=parameters, ExpiresIn=3600))


def ask(method: str, url: str, body: bytes | None = None) -> Answer:
    """One request over a fresh connection. Raises TimeoutError after TIMEOUT_SECONDS without a byte."""
    began = time.monotonic()
    connection = connect(url)
    try:
        connection.request(method, target(url), body, {"Connection": "close"})
        response = connection.getresponse()
        data = response.read()
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException):
        return Answer(0, b"", {}, began, time.monotonic())
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, data, headers, began, time.monotonic())


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname is not None
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)


def target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def begin_put(url: str, length: int) -> socket.socket:
    """The head of a PUT of `length` bytes was sent; the body is the caller's to send."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=TIMEOUT_SECONDS)
    head = (
        f"PUT {target(url)} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    sock.sendall(head.encode("ascii"))
    return sock
