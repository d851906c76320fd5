from __future__ import annotations

import pytest

from gateway.server.heads import DateHeader, UnsafeHeader, format_head


def head(
    status: int = 200, headers: dict[str, str] | None = None, length: int | None = 5, connection: str | None = None
) -> bytes:
    return format_head(
        status, headers or {}, length, request_id="ID", host_id="ID2", date="DATE", connection=connection
    )


def test_head_byte_by_byte() -> None:
    assert (
        head(206, {"ETag": '"x"', "x-amz-meta-ü": "ä"}, 7, "close")
        == (
            "HTTP/1.1 206 Partial Content\r\nx-amz-request-id: ID\r\nx-amz-id-2: ID2\r\n"
            "Date: DATE\r\nServer: Sealgate\r\n"
            'ETag: "x"\r\nx-amz-meta-ü: ä\r\nContent-Length: 7\r\nConnection: close\r\n\r\n'
        ).encode()
    )


def test_length_and_connection_may_be_left_out() -> None:
    assert b"Content-Length" not in head(304, length=None)
    assert b"Connection" not in head()


@pytest.mark.parametrize(
    "headers",
    [
        {"a": "b\r\nc: d"},
        {"a": "b\n"},
        {"a": "\r"},
        {"a\r\nb": "c"},
        {"a": "\0"},
        {"Content-Length": "1"},
        {"DATE": "x"},
    ],
)
def test_unsafe_headers_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsafeHeader):
        head(headers=headers)


def test_date_is_the_second_it_was_asked_for() -> None:
    date = DateHeader()
    assert date.at(784_111_777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert date.at(784_111_778.0) == "Sun, 06 Nov 1994 08:49:38 GMT"
