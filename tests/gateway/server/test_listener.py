from __future__ import annotations

import asyncio
import socket
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web import RequestPayloadError

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer, Request, Response
from gateway.server import connection as connection_module
from gateway.server.access_log import current_entry
from tests.gateway.server.client import Reply, hello, serving, sink, until

HOST = b"Host: localhost\r\n"


def get(path: bytes = b"/", headers: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n"


def put(length: int, headers: bytes = b"") -> bytes:
    return b"PUT /b/k HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n" % length + headers + b"\r\n"


def error_code(reply: Reply) -> str | None:
    document = ElementTree.fromstring(reply.body)
    assert document.tag == "Error"
    assert document.findtext("RequestId") == reply.headers["x-amz-request-id"]
    return document.findtext("Code")


async def stream(*pieces: bytes, error: Exception | None = None) -> AsyncIterator[Buffer]:
    for piece in pieces:
        yield piece
    if error is not None:
        raise error


# What the handler is given.


async def test_request_arrives_as_sent() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response()

    async with serving(handler) as served:
        await served.ask(get(b"/a%2Fb//../c%20d?list-type=2&prefix=%2f?", b"X-Amz-Meta-A: 1\r\nx-amz-meta-a: 2\r\n"))
    (request,) = seen
    assert request.method == "GET"
    assert request.target_path == "/a%2Fb//../c%20d"
    assert request.target_query == "list-type=2&prefix=%2f?"
    assert request.headers["x-amz-meta-a"] == "1,2"
    assert request.headers["host"] == "localhost"
    assert request.content_length is None
    assert request.remote_ip == "127.0.0.1"
    assert not request.is_secure
    assert request.tls_version is None
    assert len(request.request_id) == 16
    assert request.request_id == request.request_id.upper()


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://h/b/k?x", "/b/k"), (b"http://h", "/"), (b"/%C3%BC", "/%C3%BC"), (b"/http://x", "/http://x")],
)
async def test_target_forms(target: bytes, path: str) -> None:
    async def handler(request: Request) -> Response:
        return Response(body=request.target_path.encode())

    async with serving(handler) as served:
        reply = await served.ask(get(target))
    assert reply.body.decode() == path


async def test_handler_finds_its_entry_in_the_context() -> None:
    async def handler(request: Request) -> Response:
        current_entry.get().operation = request.target_path
        await asyncio.sleep(0)
        return Response(body=current_entry.get().request_id.encode())

    async with serving(handler) as served:
        replies = await asyncio.gather(*(served.ask(get(b"/%d" % number)) for number in range(5)))
    assert {entry.operation for entry in served.entries} == {f"/{number}" for number in range(5)}
    assert all(reply.body.decode() == reply.headers["x-amz-request-id"] for reply in replies)


# Answers.


async def test_every_answer_has_the_common_headers() -> None:
    async with serving(hello) as served:
        reply = await served.ask(get())
        refused = await served.ask(b"nonsense\r\n\r\n")
    for each in (reply, refused):
        assert {"x-amz-request-id", "x-amz-id-2", "date", "server", "content-length"} <= set(each.headers)
        assert each.headers["server"] == "Sealgate"
        assert each.headers["date"].endswith("GMT")
    assert reply.body == b"hello"


async def test_connection_serves_pipelined_requests_in_order() -> None:
    async def handler(request: Request) -> Response:
        return Response(body=request.target_path.encode())

    async with serving(handler) as served:
        client = await served.connect()
        client.send(b"".join(get(b"/%d" % number) for number in range(50)))
        assert [(await client.reply()).body for _ in range(50)] == [b"/%d" % number for number in range(50)]


@pytest.mark.parametrize(
    "response",
    [Response(body=b"12345"), Response(content_length=5), Response(body=stream(b"12345"), content_length=5)],
    ids=["bytes", "length only", "stream"],
)
async def test_head_has_the_length_of_get_and_no_body(response: Response) -> None:
    async def handler(request: Request) -> Response:
        return response

    async with serving(handler) as served:
        client = await served.connect()
        client.send(b"HEAD / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        reply = await client.reply(is_head=True)
        assert reply.headers["content-length"] == "5"
        assert await client.at_end() == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_bodiless_status_has_no_body_and_no_length(status: int) -> None:
    async def handler(request: Request) -> Response:
        return Response(status, {"ETag": '"x"'}, b"ignored")

    async with serving(handler) as served:
        client = await served.connect()
        client.send(get() + get())
        for _ in range(2):
            reply = await client.reply()
            assert reply.status == status
            assert "content-length" not in reply.headers


async def test_stream_is_sent_whole_and_its_buffers_may_be_reused() -> None:
    size, count = 100_000, 40

    async def reusing() -> AsyncIterator[Buffer]:
        buffer = bytearray(size)
        for number in range(count):
            buffer[:] = bytes([number]) * size
            yield memoryview(buffer)
        buffer[:] = b"\xff" * size

    async def handler(request: Request) -> Response:
        return Response(body=reusing(), content_length=size * count)

    async with serving(handler) as served:
        client = await served.connect()
        client.send(get() + get())
        for _ in range(2):
            reply = await client.reply()
            assert reply.body == b"".join(bytes([number]) * size for number in range(count))


async def test_stream_waits_for_a_slow_reader_with_bounded_memory() -> None:
    yielded = 0

    async def endless() -> AsyncIterator[Buffer]:
        nonlocal yielded
        while True:
            yielded += 1
            yield bytes(65_536)

    async def handler(request: Request) -> Response:
        return Response(body=endless(), content_length=1 << 40)

    async with serving(handler, write_seconds=1.0) as served:
        raw = socket.create_connection(("127.0.0.1", served.port))
        raw.sendall(get())
        entry = await served.entry()
        raw.close()
    assert entry.is_aborted
    # What is out is what the kernel's buffers of both sides hold; it is megabytes, never all of it.
    assert yielded * 65_536 < 64 << 20


@pytest.mark.parametrize(("pieces", "length"), [((b"123",), 5), ((b"123", b"456"), 5)], ids=["too short", "too long"])
async def test_stream_of_wrong_length_breaks_the_connection(pieces: tuple[bytes, ...], length: int) -> None:
    async def handler(request: Request) -> Response:
        return Response(body=stream(*pieces), content_length=length)

    async with serving(handler) as served:
        client = await served.connect()
        client.send(get())
        await client.reader.readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.at_end()
        assert (await served.entry()).is_aborted


async def test_stream_that_fails_midway_breaks_the_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        return Response(body=stream(b"x" * 10, error=OSError("the disk")), content_length=20)

    async with serving(handler) as served:
        client = await served.connect()
        client.send(get())
        with pytest.raises(ConnectionResetError):
            await client.at_end()
        assert (await served.entry()).is_aborted
    assert "the disk" in caplog.text


async def test_stream_that_fails_before_its_first_byte_is_an_internal_error() -> None:
    async def handler(request: Request) -> Response:
        return Response(body=stream(error=OSError("the disk")), content_length=20)

    async with serving(handler) as served:
        reply = await served.ask(get())
        entry = await served.entry()
    assert (reply.status, error_code(reply)) == (500, "InternalError")
    assert (entry.status, entry.error_code, entry.is_aborted) == (500, "InternalError", False)


async def test_stream_is_closed_when_the_client_leaves() -> None:
    closed = asyncio.Event()

    async def watched() -> AsyncIterator[Buffer]:
        try:
            while True:
                yield bytes(65_536)
        finally:
            closed.set()

    async def handler(request: Request) -> Response:
        return Response(body=watched(), content_length=1 << 40)

    async with serving(handler) as served:
        client = await served.connect()
        client.send(get())
        await client.reader.readexactly(1)
        client.writer.transport.abort()
        async with asyncio.timeout(60):
            await closed.wait()


async def test_unexpected_exception_is_an_internal_error_with_its_cause_in_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: Request) -> Response:
        raise RuntimeError("a defect")

    async with serving(handler) as served:
        reply = await served.ask(get())
    assert (reply.status, error_code(reply)) == (500, "InternalError")
    assert b"defect" not in reply.body
    assert "a defect" in caplog.text
    assert reply.headers["x-amz-request-id"] in caplog.text


async def test_s3_error_of_the_handler_is_rendered_escaped() -> None:
    async def handler(request: Request) -> Response:
        raise S3Error("NoSuchKey", "<&>", fields={"Key": "a<b"})

    async with serving(handler) as served:
        reply = await served.ask(get())
    assert (reply.status, error_code(reply)) == (404, "NoSuchKey")
    assert ElementTree.fromstring(reply.body).findtext("Key") == "a<b"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\0b"])
async def test_stored_value_cannot_split_the_answer(value: str) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, {"x-amz-meta-a": value})

    async with serving(handler) as served:
        reply = await served.ask(get())
    assert (reply.status, error_code(reply)) == (500, "InternalError")


# Bodies.


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
async def test_body_arrives_whole(size: int) -> None:
    async with serving(sink) as served:
        client = await served.connect()
        client.send(put(size) + bytes(size) + get())
        assert (await client.reply()).body == str(size).encode()
        assert (await client.reply()).body == b"0"
        assert (await served.entry()).bytes_in == size


async def test_chunked_transfer_is_decoded() -> None:
    async with serving(sink) as served:
        client = await served.connect()
        client.send(
            b"PUT / HTTP/1.1\r\n"
            + HOST
            + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n"
            + get()
        )
        assert (await client.reply()).body == b"8"
        assert (await client.reply()).body == b"0"


async def test_content_encoding_is_not_undone() -> None:
    async def echo(request: Request) -> Response:
        return Response(body=await request.body.read())

    async with serving(echo) as served:
        reply = await served.ask(put(5, b"Content-Encoding: gzip\r\n") + b"plain")
    assert reply.body == b"plain"


async def test_client_that_leaves_midway_is_an_incomplete_body() -> None:
    errors: list[str] = []

    async def handler(request: Request) -> Response:
        try:
            return await sink(request)
        except S3Error as error:
            errors.append(error.code)
            raise

    async with serving(handler) as served:
        client = await served.connect()
        client.send(put(100) + b"only this")
        client.close()
        await until(lambda: bool(errors))
    assert errors == ["IncompleteBody"]


async def test_malformed_chunk_is_an_incomplete_body() -> None:
    async with serving(sink) as served:
        client = await served.connect()
        client.send(b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
        await until(lambda: served.listener.in_flight == 1)
        client.send(b"zz\r\n")
        reply = await client.reply()
    assert (reply.status, error_code(reply), reply.headers["connection"]) == (400, "IncompleteBody", "close")


async def test_stalled_body_is_a_request_timeout() -> None:
    async with serving(sink, body_read_seconds=1.0) as served:
        client = await served.connect()
        client.send(put(100) + b"only this")
        reply = await client.reply()
        assert (reply.status, error_code(reply)) == (400, "RequestTimeout")
        assert reply.headers["connection"] == "close"


async def test_continue_is_sent_when_the_body_is_read() -> None:
    async with serving(sink) as served:
        client = await served.connect()
        client.send(put(3, b"Expect: 100-continue\r\n"))
        assert (await client.reply()).status == 100
        client.send(b"abc")
        assert (await client.reply()).body == b"3"


async def test_continue_is_not_sent_for_an_early_error() -> None:
    async def handler(request: Request) -> Response:
        raise S3Error("AccessDenied")

    async with serving(handler) as served:
        client = await served.connect()
        client.send(put(1 << 30, b"Expect: 100-continue\r\n"))
        reply = await client.reply()
        assert reply.status == 403
        # The client may or may not send the body now; the connection cannot be used for anything else.
        assert reply.headers["connection"] == "close"


async def test_small_unread_body_is_drained_and_the_connection_kept() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(put(200_000) + bytes(200_000) + get())
        assert (await client.reply()).body == b"hello"
        assert (await client.reply()).body == b"hello"


async def test_large_unread_body_closes_the_connection() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(put(1 << 40) + bytes(100_000))
        reply = await client.reply()
        assert (reply.body, reply.headers["connection"]) == (b"hello", "close")


# Limits.


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400, "BadRequest"),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "InvalidURI"),
        (
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "BadRequest",
        ),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "BadRequest"),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \xff\xfe\r\n\r\n", 400, "BadRequest"),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "InvalidURI"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400, "RequestHeaderSectionTooLarge"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400, "RequestHeaderSectionTooLarge"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 400, "RequestHeaderSectionTooLarge"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 50 + b"\r\n",
            400,
            "RequestHeaderSectionTooLarge",
        ),
    ],
)
async def test_malformed_http_is_answered_in_s3s_xml(raw: bytes, status: int, code: str) -> None:
    async with serving(hello) as served:
        reply = await served.ask(raw)
        entry = await served.entry()
    assert (reply.status, error_code(reply)) == (status, code)
    assert (entry.status, entry.error_code) == (status, code)


@pytest.mark.parametrize("line", [b"%s: %s\x01\r\n", b"%s : %s\r\n", b"%s: %s" + b"y" * 70_000 + b"\r\n"])
async def test_malformed_http_is_quoted_in_no_log(caplog: pytest.LogCaptureFixture, line: bytes) -> None:
    caplog.set_level("DEBUG")
    secret = b"c2VjcmV0IGtleSBvZiBhIGN1c3RvbWVyIG9mIG91cnM="
    async with serving(hello) as served:
        reply = await served.ask(get(headers=line % (b"x-amz-server-side-encryption-customer-key", secret)))
    assert reply.status == 400
    assert secret not in reply.body
    assert secret.decode()[:16] not in caplog.text


async def test_header_section_in_small_pieces_is_bounded_as_a_whole() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for _ in range(30):
            client.send(b"X: " + b"a" * 1000 + b"\r\n")
            await client.writer.drain()
        assert error_code(await client.reply()) == "RequestHeaderSectionTooLarge"


async def test_slow_headers_time_out() -> None:
    async with serving(hello, header_seconds=1.0) as served:
        client = await served.connect()
        client.send(b"GET / HT")
        assert error_code(await client.reply()) == "RequestTimeout"
        assert await client.at_end() == b""


async def test_idle_connection_is_closed_without_a_word() -> None:
    async with serving(hello, idle_seconds=0.1) as served:
        client = await served.connect()
        client.send(get())
        await client.reply()
        assert await client.at_end() == b""


async def test_connection_that_never_says_a_word_is_closed() -> None:
    async with serving(hello, idle_seconds=0.1) as served:
        client = await served.connect()
        assert await client.at_end() == b""


async def test_too_many_connections_are_told_to_slow_down() -> None:
    async with serving(hello, max_connections=2) as served:
        kept = [await served.connect() for _ in range(2)]
        for client in kept:
            client.send(get())
            await client.reply()
        third = await served.connect()
        assert error_code(await third.reply()) == "SlowDown"
        assert await third.at_end() == b""
        kept[0].close()
        await until(lambda: served.listener.connection_count == 1)
        assert (await served.ask(get())).body == b"hello"


async def test_connections_of_one_client_are_bounded() -> None:
    async with serving(hello, connections_per_address=2) as served:
        kept = [await served.connect() for _ in range(2)]
        for client in kept:
            client.send(get())
            await client.reply()
        third = await served.connect()
        assert error_code(await third.reply()) == "SlowDown"
        assert await third.at_end() == b""
        other = await served.connect(local_addr=("127.0.0.2", 0))
        other.send(get())
        assert (await other.reply()).body == b"hello"
        for client in kept:
            client.close()
        await until(lambda: served.listener.connection_count == 1)
        for _ in range(5):  # whoever was refused, and whoever left, is not counted any more
            assert (await served.ask(get())).body == b"hello"
        other.close()
        await until(lambda: served.listener.connection_count == 0)
        assert not served.listener._edge._of_address


async def test_connections_of_a_trusted_proxy_are_not_those_of_one_client() -> None:
    async with serving(hello, connections_per_address=1, trusted_proxies=("127.0.0.0/8",)) as served:
        for client in [await served.connect() for _ in range(5)]:
            client.send(get())
            assert (await client.reply()).body == b"hello"


async def test_http_1_0_closes_unless_asked() -> None:
    async with serving(hello) as served:
        client = await served.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        reply = await client.reply()
        assert reply.headers["connection"] == "close"
        assert await client.at_end() == b""


# The end.


def slow_downloads(may_end: asyncio.Event) -> Callable[[Request], Awaitable[Response]]:
    """Takes any PUT; a GET has its second half once it may."""

    async def handler(request: Request) -> Response:
        if request.method == "PUT":
            return await sink(request)

        async def slowly() -> AsyncIterator[Buffer]:
            yield b"first"
            await may_end.wait()
            yield b"second"

        return Response(body=slowly(), content_length=11)

    return handler


async def test_close_lets_uploads_and_downloads_in_flight_finish() -> None:
    may_end = asyncio.Event()
    async with serving(slow_downloads(may_end)) as served:
        idle, up, down = [await served.connect() for _ in range(3)]
        up.send(put(10) + b"12345")
        down.send(get())
        await down.reader.readuntil(b"first")
        await until(lambda: served.listener.in_flight == 2)
        closing = asyncio.create_task(served.listener.close(5.0))
        assert await idle.at_end() == b""
        with pytest.raises(OSError):
            await served.connect()
        up.send(b"67890")
        reply = await up.reply()
        assert (reply.body, reply.headers["connection"]) == (b"10", "close")
        may_end.set()
        assert await down.at_end() == b"second"
        async with asyncio.timeout(60):
            await closing


async def test_close_breaks_off_what_does_not_finish() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with serving(handler) as served:
        client = await served.connect()
        client.send(get())
        await until(lambda: served.listener.in_flight == 1)
        await served.listener.close(0.05)
        assert served.listener.in_flight == 0
        assert (await served.entry()).is_aborted


async def test_retiring_serves_open_connections_once_more_and_says_so() -> None:
    may_end = asyncio.Event()
    async with serving(slow_downloads(may_end)) as served:
        idle, up, down = [await served.connect() for _ in range(3)]
        up.send(put(10) + b"12345")
        down.send(get())
        await down.reader.readuntil(b"first")
        await until(lambda: served.listener.in_flight == 2)
        retiring = asyncio.create_task(served.listener.retire(600.0, asyncio.Event()))
        await asyncio.sleep(0)
        with pytest.raises(OSError):
            await served.connect()
        up.send(b"67890")
        reply = await up.reply()
        assert (reply.body, reply.headers["connection"]) == (b"10", "close")
        # Its head promised that the connection stays: the next answer ends it.
        may_end.set()
        assert await down.reader.readexactly(6) == b"second"
        for client in (idle, down):
            client.send(put(2) + b"12")
            assert (await client.reply()).headers["connection"] == "close"
            assert await client.at_end() == b""
        async with asyncio.timeout(60):
            await retiring


async def test_retiring_ends_when_told_and_in_time() -> None:
    async with serving(sink) as served:
        idle = await served.connect()
        await until(lambda: served.listener.connection_count == 1)
        stop = asyncio.Event()
        retiring = asyncio.create_task(served.listener.retire(600.0, stop))
        stop.set()
        async with asyncio.timeout(60):
            await retiring
            await served.listener.retire(0.01, asyncio.Event())
        assert served.listener.connection_count == 1
        await served.listener.close(5.0)
        assert await idle.at_end() == b""


# Without memory.


async def broken_stream(*pieces: bytes) -> AsyncIterator[Buffer]:
    for piece in pieces:
        yield piece
    raise MemoryError


@pytest.mark.parametrize("when", ["in the handler", "before the first byte"])
async def test_a_request_without_memory_is_refused_and_told(when: str) -> None:
    async def handler(request: Request) -> Response:
        if when == "in the handler":
            raise MemoryError
        return Response(200, {}, broken_stream(), 5)

    told: list[bool] = []
    async with serving(handler, out_of_memory=lambda: told.append(True)) as served:
        reply = await served.ask(get())
        entry = await served.entry()
    assert (reply.status, error_code(reply), reply.headers["retry-after"]) == (503, "SlowDown", "1")
    assert (entry.status, entry.error_code) == (503, "SlowDown")
    assert told == [True]


async def test_an_answer_that_runs_out_of_memory_is_broken_off_and_told() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, {}, broken_stream(b"12345"), 10)

    told: list[bool] = []
    async with serving(handler, out_of_memory=lambda: told.append(True)) as served:
        client = await served.connect()
        client.send(get())
        with pytest.raises(ConnectionResetError):
            await client.at_end()
        assert (await served.entry()).is_aborted
    assert told == [True]


async def test_a_body_that_the_parser_had_no_memory_for_is_not_the_clients_fault() -> None:
    async def handler(request: Request) -> Response:
        failed = RequestPayloadError("")
        failed.__cause__ = MemoryError()
        request.body._payload.set_exception(failed)  # type: ignore[attr-defined]
        await request.body.read()
        return Response()

    async with serving(handler) as served:
        reply = await served.ask(put(5))
    assert (reply.status, error_code(reply)) == (503, "SlowDown")


async def test_a_parser_without_memory_is_not_the_clients_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = HttpRequestParser.feed_data

    class Forgetful:
        """The parser, which has no memory for a body."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._parser = HttpRequestParser(*arguments, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._parser, name)

        def feed_data(self, data: bytes) -> Any:
            if data.startswith((b"12345", b"GET /2")):
                raise BadHttpMessage("400, message:\n  Span callback error in on_body:")
            return feed(self._parser, data)

    monkeypatch.setattr(connection_module, "HttpRequestParser", Forgetful)
    told: list[bool] = []
    async with serving(sink, out_of_memory=lambda: told.append(True)) as served:
        client = await served.connect()
        client.send(put(10))
        await until(lambda: served.listener.in_flight == 1)
        client.send(b"12345")
        assert (await client.reply()).status == 503
        assert (await served.ask(get(b"/2"))).status == 503
    assert told == [True, True]
