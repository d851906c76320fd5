"""Requests that are signed beforehand and sent by hand: quick, spread over the workers, and with nothing retried.

Each over a connection of its own (`ask`), or many over one that stays with its worker (`KeptConnection`).
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.harness import REGION, Gateway

TIMEOUT_SECONDS = 60.0
PRESIGNING: dict[str, Any] = {"signature_version": "s3v4", "request_checksum_calculation": "when_required"}
"""How the client of `presign_by` is configured."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`began` and `ended` by time.monotonic. `status` is 0 when the connection broke or was refused.

    `name` is that of the prepared request.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    began: float
    ended: float
    name: str = ""

    @property
    def code(self) -> str:
        """The error code of S3 or the KMS."""
        if self.body.startswith(b"{"):
            return str(json.loads(self.body).get("__type", ""))
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found[1].decode() if found else ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with its signature, good for some minutes and as often as one likes. `name` is for the test."""

    name: str
    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def presign(gateway: Gateway, operation: str, **parameters: Any) -> str:
    """A URL for one operation of boto3's S3 client, by Signature Version 4 and without a checksum of the body."""
    return presign_by(gateway.client("s3", **PRESIGNING), operation, **parameters)


def presign_by(s3: Any, operation: str, **parameters: Any) -> str:
    """The same by a client of any user, made with PRESIGNING."""
    return str(s3.generate_presigned_url(operation, Params=parameters, ExpiresIn=3600))


def kms_request(endpoint_url: str, credentials: tuple[str, str], operation: str, **members: Any) -> Prepared:
    """A call of the KMS; bytes among `members` in Base64. `credentials` are access key id and secret."""
    body = json.dumps(members).encode()
    headers = {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"{endpoint_url}/", headers, body)
    SigV4Auth(Credentials(*credentials), "kms", REGION).add_auth(request)
    return Prepared(operation, "POST", "/", body, dict(request.headers.items()))


class KeptConnection:
    """One connection, which the kernel gave to one worker, for many requests."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)

    def ask(self, request: Prepared) -> Answer:
        """Raises OSError or HTTPException when there is no whole answer."""
        began = time.monotonic()
        self._connection.request(request.method, request.target, request.body, dict(request.headers))
        response = self._connection.getresponse()
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, body, headers, began, time.monotonic(), request.name)

    @property
    def is_open(self) -> bool:
        """Whether the server left it open after the last answer."""
        return self._connection.sock is not None

    def close(self) -> None:
        self._connection.close()


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
