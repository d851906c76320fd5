import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.forms.multipart import MAX_FIELDS_BYTES, MAX_REST_BYTES, Form, FormReader, form_boundary

BOUNDARY = b"9431149156168"


class Pieces:
    """A body that arrives in the given pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter([piece for piece in pieces if piece])

    async def read(self) -> bytes:
        return next(self._pieces, b"")


def part(disposition: str, data: bytes, *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"Content-Disposition: form-data; {disposition}", *headers))
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n" + data + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"


def read(pieces: Iterable[bytes]) -> tuple[Form, bytes]:
    async def whole() -> tuple[Form, bytes]:
        reader = FormReader(Pieces(pieces), BOUNDARY)
        form = await reader.read_form()
        data = b""
        while piece := await reader.read():
            data += piece
        return form, data

    return asyncio.run(whole())


def refusal(*pieces: bytes) -> S3Error:
    with pytest.raises(S3Error) as caught:
        read(pieces)
    return caught.value


FORM = (
    part('name="key"', b"user/${filename}")
    + part('name="Content-Type"', b"image/jpeg")
    + part('name="file"; filename="C:\\a\\b.jpg"', b"\x00\r\n--94311\r\ndata\r\n", "Content-Type: image/jpeg")
    + part('name="submit"', b"after the file, ignored")
    + END
)


def test_fields_by_lower_case_name_then_the_file() -> None:
    form, data = read([FORM])
    assert form == Form({"key": "user/${filename}", "content-type": "image/jpeg"}, "C:\\a\\b.jpg")
    assert data == b"\x00\r\n--94311\r\ndata\r\n"


@given(cuts=st.lists(st.integers(0, len(FORM)), max_size=12))
def test_any_split_of_the_bytes_is_the_same_form(cuts: Sequence[int]) -> None:
    edges = sorted({0, *cuts, len(FORM)})
    assert read([FORM[start:end] for start, end in pairwise(edges)]) == read([FORM])


def test_one_byte_at_a_time() -> None:
    assert read(FORM[at : at + 1] for at in range(len(FORM))) == read([FORM])


@given(data=st.one_of(st.binary(max_size=300), st.text("\r\n-9431", max_size=60).map(str.encode)))
def test_every_file_comes_out_as_it_went_in(data: bytes) -> None:
    if b"\r\n--" + BOUNDARY not in b"\r\n" + data:
        form, found = read([part('name="key"', b"k") + part('name="file"', data) + END])
        assert (form, found) == (Form({"key": "k"}, ""), data)


def test_a_preamble_and_blanks_after_the_boundary_mean_nothing() -> None:
    spaced = FORM.replace(BOUNDARY + b"\r\n", BOUNDARY + b" \t\r\n")
    assert read([b"ignore me\r\n" + spaced]) == read([FORM])


@pytest.mark.parametrize("name", ['"a\\"b"', '"a%22b"'])
def test_a_quote_in_a_file_name(name: str) -> None:
    form, _ = read([part(f'name="file"; filename={name}', b"") + END])
    assert form.filename == 'a"b'


@pytest.mark.parametrize("length", range(len(FORM) - len(part('name="submit"', b"after the file, ignored") + END)))
def test_a_form_that_ends_early_is_malformed(length: int) -> None:
    assert refusal(FORM[:length]).code == "MalformedPOSTRequest"


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"no form at all",
        b"--" + BOUNDARY + b"garbage\r\n\r\ndata\r\n" + END,
        b"--" + BOUNDARY + b"\r\n\r\na part without headers\r\n" + END,
        b"--" + BOUNDARY + b'\r\nContent-Disposition: attachment; name="key"\r\n\r\nk\r\n' + END,
        part("", b"a part without a name") + END,
    ],
)
def test_what_is_no_form_is_malformed(form: bytes) -> None:
    assert refusal(form).code == "MalformedPOSTRequest"


def test_a_form_without_a_file() -> None:
    error = refusal(part('name="key"', b"k") + END)
    assert (error.code, error.message) == ("InvalidArgument", "POST requires exactly one file upload per request.")


def test_a_field_twice() -> None:
    twice = part('name="key"', b"a") + part('name="Key"', b"b") + part('name="file"', b"") + END
    assert refusal(twice).code == "InvalidArgument"


def test_what_stands_before_the_file_is_bounded() -> None:
    form = part('name="x-ignore-me"', b"x" * (MAX_FIELDS_BYTES - 300)) + part('name="file"', b"data") + END
    assert read([form])[1] == b"data"
    too_long = part('name="x-ignore-me"', b"x" * MAX_FIELDS_BYTES) + part('name="file"', b"data") + END
    assert refusal(too_long).code == "MaxPostPreDataLengthExceeded"
    # Neither a field nor a head may go on for ever.
    assert refusal(too_long[: MAX_FIELDS_BYTES + 200]).code == "MaxPostPreDataLengthExceeded"
    assert refusal(b"--" + BOUNDARY + b"\r\n" + b"X: y\r\n" * MAX_FIELDS_BYTES).code == "MaxPostPreDataLengthExceeded"


def test_what_follows_the_file_is_bounded() -> None:
    form = part('name="file"', b"data") + END
    assert read([form, b"x" * (MAX_REST_BYTES - 100)])[1] == b"data"
    assert refusal(form, b"x" * (MAX_REST_BYTES + 100)).code == "MalformedPOSTRequest"


def test_consumed_bytes_are_those_before_the_file() -> None:
    async def consumed() -> int:
        reader = FormReader(Pieces([FORM]), BOUNDARY)
        await reader.read_form()
        return reader.consumed_bytes

    assert FORM[asyncio.run(consumed()) :].startswith(b"\x00\r\n--94311")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=9431149156168", b"9431149156168"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b"', b"a b"),
    ],
)
def test_the_boundary_of_a_content_type(content_type: str, boundary: bytes) -> None:
    assert form_boundary(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("", "PreconditionFailed"),
        ("application/x-www-form-urlencoded", "PreconditionFailed"),
        ("multipart/form-data", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=", "MalformedPOSTRequest"),
        (f"multipart/form-data; boundary={'x' * 71}", "MalformedPOSTRequest"),
        ('multipart/form-data; boundary="ü"', "MalformedPOSTRequest"),
    ],
)
def test_content_types_that_are_no_form(content_type: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        form_boundary(content_type)
    assert caught.value.code == code
