"""Requests to the S3 that holds the blobs: signed, bounded in time and size, tried again where that may help.

HTTP is aiohttp's client; signatures and credentials (environment, profiles, web identity, containers, metadata of
instances) are those of the AWS Common Runtime. Every request may be repeated without harm: a blob's name is used once,
and what is written under it never differs. Pauses between attempts are random up to a bound that doubles ("Exponential
Backoff and Jitter", AWS Architecture Blog), so that gateways which failed together do not come back together.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import aiohttp
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyHeaderType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.exceptions import AwsCrtError
from awscrt.http import HttpHeaders, HttpRequest
from yarl import URL

from gateway.storage.blobs.s3.documents import read_error
from gateway.storage.blobs.s3.location import Location
from gateway.storage.errors import StorageUnavailable

T = TypeVar("T")
Query = Sequence[tuple[str, str]]

MAX_ATTEMPTS: Final = 5
PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 3.0

MAX_ANSWER_BYTES: Final = 3 << 20
"""Of a document; a page of 1 000 uploads has 500 KiB."""

EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PIECE_BYTES: Final = 256 << 10

_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses that another attempt may turn into success: overload, failure, a conditional write that met another one."""

_DAMAGED: Final = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "IncompleteBody"})
"""Codes for a body that did not arrive as it was sent."""

_STALE: Final = frozenset({"ExpiredToken", "RequestTimeTooSkewed", "RequestTimeout"})


@dataclass(frozen=True, slots=True)
class Timing:
    """Deadlines, in seconds, of one attempt: to connect, between two pieces of an answer, and in all."""

    connect_seconds: float = 5.0
    idle_seconds: float = 20.0
    attempt_seconds: float = 120.0


class Refused(StorageUnavailable):
    """The backing store said no, and would say so again. `status` is HTTP's, `code` S3's.

    `attempts` tells how often it was asked: whether an earlier one may have done the work.
    """

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        super().__init__(f"the backing store refuses {what}: {status} {code} {message}".rstrip())
        self.status = status
        self.code = code
        self.attempts = 1


class BrokenOff(StorageUnavailable):
    """An answer ended early; asking again from there may help."""


class _Again(Exception):
    """This attempt failed; another one may not. Its text says why."""


class Body(Protocol):
    """What a request carries: `pieces` may be asked for any number of times."""

    @property
    def length(self) -> int: ...

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        ...

    def pieces(self) -> AsyncIterator[bytes | memoryview]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Download:
    """The body of an answer, as it comes; `size` is the length of the whole blob."""

    def __init__(self, response: aiohttp.ClientResponse, size: int) -> None:
        self._response = response
        self.size = size

    async def read(self, length: int) -> bytes:
        """Exactly `length` bytes. Raises BrokenOff."""
        pieces = []
        missing = length
        try:
            while missing:
                piece = await self._response.content.read(min(missing, PIECE_BYTES))
                if not piece:
                    break
                pieces.append(piece)
                missing -= len(piece)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokenOff(f"the backing store broke off: {_named(error)}") from error
        if missing:
            raise BrokenOff("the backing store sent less than it has")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give the connection back if all was read, else end it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Backend:
    """One bucket. Belongs to one event loop. `connections` are open at once, at most."""

    def __init__(
        self,
        location: Location,
        *,
        credentials: AwsCredentialsProvider | None = None,
        connections: int = 64,
        timing: Timing | None = None,
    ) -> None:
        self.location = location
        self._credentials = credentials
        self._connections = connections
        self._timing = timing or Timing()
        self._scheme, self._host = location.scheme_and_host
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        key: str = "",
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        attempts: int = MAX_ATTEMPTS,
    ) -> Answer:
        """One request with a small answer. Raises Refused, and StorageUnavailable when no attempt was answered."""

        async def attempt() -> Answer:
            async with asyncio.timeout(self._timing.attempt_seconds):
                async with await self._send(method, key, query, headers or {}, body) as response:
                    found = await _bounded(response)
                    _check(f"{method} {key or 'of the bucket'}", response.status, found)
                    return Answer(response.status, response.headers, found)

        return await self._repeat(attempt, attempts)

    async def get(self, key: str, first: int, last: int, *, head_bytes: int = 0) -> tuple[bytes, Download]:
        """The bytes from `first` to `last`, both counted in: `head_bytes` of them at once, the rest to come.

        A blob that ends before has fewer. Raises Refused (404, 416), StorageUnavailable.
        """

        async def attempt() -> tuple[bytes, Download]:
            response = await self._send("GET", key, (), {"range": f"bytes={first}-{last}"}, None)
            try:
                if response.status not in (200, 206):
                    _check(f"GET {key}", response.status, await _bounded(response))
                download = Download(response, _size_of(response, first))
                return await download.read(min(head_bytes, download.size - first)), download
            except BaseException:
                response.close()
                raise

        return await self._repeat(attempt, MAX_ATTEMPTS)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _repeat(self, attempt: Callable[[], Awaitable[T]], attempts: int) -> T:
        for number in range(attempts):
            if number:
                most = min(MAX_PAUSE_SECONDS, PAUSE_SECONDS * 2**number)
                await asyncio.sleep(random.uniform(0, most))  # noqa: S311  # a pause is no secret
            try:
                return await attempt()
            except Refused as error:
                error.attempts = number + 1
                raise
            except (_Again, BrokenOff, aiohttp.ClientError, TimeoutError, OSError) as error:
                problem = error
        raise StorageUnavailable(f"the backing store does not answer: {_named(problem)}") from problem

    async def _send(
        self, method: str, key: str, query: Query, headers: Mapping[str, str], body: Body | None
    ) -> aiohttp.ClientResponse:
        path = f"{self.location.root}/{quote(key, safe='/-_.~')}"
        if query:
            path += "?" + "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)
        signed = await self._signed(method, path, headers, EMPTY_SHA256 if body is None else body.sha256)
        if body is not None:
            signed["content-length"] = str(body.length)
        return await self._opened().request(
            method,
            URL(f"{self._scheme}://{self._host}{path}", encoded=True),
            headers=signed,
            data=None if body is None else body.pieces(),
            allow_redirects=False,
        )

    async def _signed(self, method: str, path: str, headers: Mapping[str, str], sha256: str) -> dict[str, str]:
        request = HttpRequest(method, path, HttpHeaders([("host", self._host), *headers.items()]))
        if self._credentials is None:
            self._credentials = AwsCredentialsProvider.new_default_chain()
        config = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._credentials,
            region=self.location.region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=sha256,
            signed_body_header_type=AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        try:
            signed: Any = await asyncio.wrap_future(aws_sign_request(request, config))
        except AwsCrtError as error:
            raise _Again(f"no credentials for it ({error.name})") from error
        return dict(signed.headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timing = self._timing
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=timing.attempt_seconds,
                    sock_connect=timing.connect_seconds,
                    sock_read=timing.idle_seconds,
                ),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                auto_decompress=False,
            )
        return self._session


def _check(what: str, status: int, body: bytes) -> None:
    if 200 <= status < 300:
        return
    code, message = read_error(body)
    if status in _AGAIN or code in _DAMAGED or code in _STALE:
        raise _Again(f"{status} {code} {message}".rstrip())
    raise Refused(what, status, code, message)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    pieces = []
    length = 0
    while piece := await response.content.read(PIECE_BYTES):
        length += len(piece)
        if length > MAX_ANSWER_BYTES:
            raise _Again(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _size_of(response: aiohttp.ClientResponse, first: int) -> int:
    """The length of the whole, of which the answer is a range from `first`."""
    if response.status == 200:
        if first:
            raise _Again("ranges are not honoured")
        size = response.content_length
    else:
        text = response.headers.get("Content-Range", "")
        unit, _, rest = text.partition(" ")
        span, _, total = rest.partition("/")
        is_right = unit == "bytes" and span.startswith(f"{first}-") and total.isascii() and total.isdecimal()
        size = int(total) if is_right and len(total) <= 18 else None
    if size is None:
        raise _Again("an answer without its length")
    return size


def _named(error: BaseException) -> str:
    return str(error) if isinstance(error, _Again | BrokenOff) else f"{type(error).__name__} {error}".rstrip()
