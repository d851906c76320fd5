"""A small HTTP and SigV4 client for what stock SDKs never send: every byte of a request is the test's.

Shares no code with the gateway: the signatures follow the Amazon S3 API Reference, "Authenticating Requests".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from tests.harness import REGION

UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
TIMEOUT_SECONDS = 60.0

_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class Answer:
    """`headers` by lower-case name; `code` and `message` out of an S3 or KMS error document, else empty."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        if self.body.startswith(b"{"):
            return str(json.loads(self.body).get("__type", ""))
        return self.element("Code")

    @property
    def message(self) -> str:
        if self.body.startswith(b"{"):
            return str(json.loads(self.body).get("message", ""))
        return self.element("Message")

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.code

    def element(self, name: str) -> str:
        found = re.search(rf"<{name}>([^<]*)</{name}>".encode(), self.body)
        return found[1].decode() if found else ""


class Connection:
    """One TCP connection to the gateway."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, TIMEOUT_SECONDS)
        self._received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer. Raises ConnectionError if the connection ends before it is whole."""
        while True:
            head = self._until(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")
            status = int(status_line.split(" ")[1])
            if status != 100:
                break
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if method == "HEAD" or status in (204, 304) else int(headers["content-length"])
        return Answer(status, headers, self._exactly(length))

    def raw_answer(self) -> bytes:
        """The head of the next answer as it came, an interim one too."""
        return self._until(b"\r\n\r\n") + b"\r\n\r\n"

    def is_ended(self) -> bool:
        """Wait for the end of the connection; False if something else arrives, or nothing in time."""
        if self._received:
            return False
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(end)
        return head

    def _exactly(self, length: int) -> bytes:
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return body

    def _receive(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the connection ended before the answer did")
        self._received += data


@dataclass(frozen=True)
class Signed:
    """Headers with their signature, and what the chunks of a streamed body are signed with."""

    headers: dict[str, str]
    signature: str
    timestamp: str
    scope: str
    key: bytes = field(repr=False)

    def chunk(self, previous: str, data: bytes) -> str:
        """The signature of a chunk after the one signed `previous`."""
        text = ("AWS4-HMAC-SHA256-PAYLOAD", self.timestamp, self.scope, previous, EMPTY_SHA256, _sha256(data))
        return _hmac(self.key, "\n".join(text)).hex()

    def trailer(self, previous: str, lines: bytes) -> str:
        text = ("AWS4-HMAC-SHA256-TRAILER", self.timestamp, self.scope, previous, _sha256(lines))
        return _hmac(self.key, "\n".join(text)).hex()


class Served(Protocol):
    """A `Gateway`, or anything else that says where it is and who may ask it."""

    @property
    def endpoint_url(self) -> str: ...

    @property
    def credentials(self) -> dict[str, str]: ...


class RawClient:
    """Requests of the first account, or of whatever credentials are given, each on a connection of its own."""

    def __init__(self, gateway: Served, access_key_id: str | None = None, secret: str | None = None) -> None:
        parts = urlsplit(gateway.endpoint_url)
        assert parts.hostname is not None and parts.port is not None
        self.address = (parts.hostname, parts.port)
        self.host = f"{parts.hostname}:{parts.port}"
        self.access_key_id = access_key_id or gateway.credentials["AWS_ACCESS_KEY_ID"]
        self.secret = secret or gateway.credentials["AWS_SECRET_ACCESS_KEY"]

    def connect(self) -> Connection:
        return Connection(self.address)

    def sign(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        payload_hash: str = UNSIGNED,
        *,
        service: str = "s3",
        now: datetime | None = None,
        unsigned: Mapping[str, str] | None = None,
        region: str = REGION,
    ) -> Signed:
        """All of `headers` are signed, together with host, x-amz-date and (S3) x-amz-content-sha256."""
        timestamp = f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        signed = {"host": self.host, "x-amz-date": timestamp}
        if service == "s3":
            signed["x-amz-content-sha256"] = payload_hash
        signed |= {name.lower(): value for name, value in (headers or {}).items()}
        path, _, query = target.partition("?")
        names = ";".join(sorted(signed))
        block = "".join(f"{name}:{_BLANKS.sub(' ', signed[name]).strip(' ')}\n" for name in sorted(signed))
        canonical = "\n".join((method, _encode(path, "/"), canonical_query(query), block, names, payload_hash))
        scope = f"{timestamp[:8]}/{region}/{service}/aws4_request"
        key = self.signing_key(scope)
        digest = _sha256(canonical.encode("utf-8", "surrogateescape"))
        signature = _hmac(key, f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}").hex()
        credential = f"Credential={self.access_key_id}/{scope}"
        signed["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return Signed({**signed, **(unsigned or {})}, signature, timestamp, scope, key)

    def sign_body(
        self, method: str, target: str, headers: Mapping[str, str] | None, body: bytes, **options: Any
    ) -> Signed:
        return self.sign(method, target, headers, _sha256(body), **options)

    def signing_key(self, scope: str) -> bytes:
        key = b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key = _hmac(key, part)
        return key

    def presign(
        self,
        method: str,
        target: str,
        *,
        expires: int = 60,
        now: datetime | None = None,
        payload_hash: str = UNSIGNED,
        host: str | None = None,
    ) -> str:
        """`target` with the parameters of a presigned URL, only the host (the gateway's or `host`) signed beside it."""
        timestamp = f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
        path, _, query = target.partition("?")
        query += ("&" if query else "") + (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{self.access_key_id}/{scope}', safe='')}"
            f"&X-Amz-Date={timestamp}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host"
        )
        block = f"host:{host or self.host}\n"
        canonical = "\n".join((method, _encode(path, "/"), canonical_query(query), block, "host", payload_hash))
        to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{_sha256(canonical.encode())}"
        return f"{path}?{query}&X-Amz-Signature={_hmac(self.signing_key(scope), to_sign).hex()}"

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        unsigned: Mapping[str, str] | None = None,
        service: str = "s3",
        now: datetime | None = None,
        region: str = REGION,
    ) -> Answer:
        """Signed with the body's hash."""
        signed = self.sign_body(
            method, target, headers, body, unsigned=unsigned, service=service, now=now, region=region
        )
        return self.send(method, target, signed.headers, body)

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] = b"") -> Answer:
        """As given, with Content-Length if there is a body as a whole and none was named; then the answer."""
        with self.connect() as connection:
            pieces = [body] if isinstance(body, bytes) else body
            if isinstance(body, bytes) and (body or method in ("PUT", "POST")):
                headers = {"content-length": str(len(body)), **headers}
            connection.send(head(method, target, headers))
            for piece in pieces:
                connection.send(piece)
            return connection.answer(method)

    def stream(
        self,
        target: str,
        payload: bytes,
        *,
        kind: str,
        chunks: Sequence[int] = (),
        headers: Mapping[str, str] | None = None,
        trailers: Sequence[tuple[str, str]] = (),
        change: tuple[bytes, bytes] | None = None,
        pieces: int | None = None,
        decoded_length: int | None = None,
    ) -> Answer:
        """PUT `payload` framed as aws-chunked in chunks of these sizes (the last takes the rest).

        `change` replaces bytes of the framed body after it was signed; `pieces` sends it in pieces of so many bytes.
        """
        length = len(payload) if decoded_length is None else decoded_length
        all_headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(length)}
        if trailers:
            all_headers["x-amz-trailer"] = ",".join(name for name, _ in trailers)
        signed = self.sign("PUT", target, {**all_headers, **(headers or {})}, kind)
        body = framed(payload, signed if kind.startswith("STREAMING-AWS4") else None, chunks, trailers)
        if change is not None:
            assert change[0] in body
            body = body.replace(*change, 1)
        all_headers = {**signed.headers, "content-length": str(len(body))}
        step = pieces or len(body)
        return self.send("PUT", target, all_headers, [body[at : at + step] for at in range(0, len(body), step)])


class Session:
    """Requests one after the other, on one connection as long as the gateway keeps it."""

    def __init__(self, raw: RawClient) -> None:
        self._raw = raw
        self._connection: Connection | None = None

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes, service: str = "s3") -> Answer:
        signed = self._raw.sign_body(method, target, headers, body, service=service)
        connection = self._connection or self._raw.connect()
        connection.send(head(method, target, {**signed.headers, "content-length": str(len(body))}) + body)
        answer = connection.answer(method)
        self._connection = connection
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None


def framed(
    payload: bytes, signed: Signed | None, chunks: Sequence[int] = (), trailers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """aws-chunked; with signatures if `signed`."""
    sizes = [*chunks, len(payload) - sum(chunks)] if len(payload) > sum(chunks) else list(chunks)
    body = bytearray()
    at, previous = 0, signed.signature if signed else ""
    for size in [*sizes, 0]:
        data = payload[at : at + size]
        at += size
        line = f"{size:x}"
        if signed is not None:
            previous = signed.chunk(previous, data)
            line += f";chunk-signature={previous}"
        body += line.encode() + b"\r\n" + (data + b"\r\n" if size else b"")
    for name, value in trailers:
        body += f"{name}:{value}\r\n".encode()
    if signed is not None and trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in trailers).encode()
        body += f"x-amz-trailer-signature:{signed.trailer(previous, lines)}\r\n".encode()
    return bytes(body + b"\r\n")


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def canonical_query(query: str) -> str:
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encode(name), _encode(value)) for name, _, value in pairs)
    )


def _encode(text: str, safe: str = "") -> str:
    return quote(unquote(text, errors="surrogateescape"), safe=safe + "-._~", errors="surrogateescape")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
