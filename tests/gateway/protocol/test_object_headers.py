import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.object_headers import (
    MAX_REDIRECT_LOCATION_BYTES,
    REDIRECT_LOCATION,
    ObjectHeaders,
    is_metadata_replaced,
    metadata_headers,
    response_overrides,
    storage_class,
)
from gateway.protocol.query import Query


def test_defaults() -> None:
    assert ObjectHeaders.parse({"host": "h", "x-amz-acl": "private"}) == ObjectHeaders(
        {"Content-Type": "binary/octet-stream"}, {}, "STANDARD"
    )


@pytest.mark.parametrize("value", ["/", "/a b?c#d", "//x", "http://", "/" * 2048])
def test_a_redirect_location_is_kept(value: str) -> None:
    assert ObjectHeaders.parse({REDIRECT_LOCATION: value}).headers[REDIRECT_LOCATION] == value


@pytest.mark.parametrize(
    "value", ["", "a", "ftp://x", "HTTP://x", "http:/x", " /x", "/é", "/a\rb", "/" * (MAX_REDIRECT_LOCATION_BYTES + 1)]
)
def test_what_is_no_redirect_location_is_refused(value: str) -> None:
    with pytest.raises(S3Error, match="InvalidRedirectLocation"):
        ObjectHeaders.parse({REDIRECT_LOCATION: value})


def test_a_copy_takes_over_neither_redirect_location_nor_storage_class() -> None:
    source = ObjectHeaders({"Content-Type": "x/y", REDIRECT_LOCATION: "/old"}, {"a": "b"}, "STANDARD_IA")
    assert source.copied({}) == ObjectHeaders({"Content-Type": "x/y"}, {"a": "b"}, "STANDARD")
    given = source.copied({REDIRECT_LOCATION: "/new", "content-type": "u/v"})
    assert given.headers == {"Content-Type": "x/y", REDIRECT_LOCATION: "/new"}


def test_content_headers_are_kept_as_given() -> None:
    parsed = ObjectHeaders.parse(
        {
            "cache-control": "no-cache",
            "content-disposition": 'attachment; filename="ä.txt"',
            "content-encoding": "gzip",
            "content-language": "de",
            "content-type": "text/plain; charset=utf-8",
            "expires": "whenever",
            "content-length": "5",
            "x-amz-storage-class": "STANDARD_IA",
        }
    )
    assert parsed.headers == {
        "Cache-Control": "no-cache",
        "Content-Disposition": 'attachment; filename="ä.txt"',
        "Content-Encoding": "gzip",
        "Content-Language": "de",
        "Content-Type": "text/plain; charset=utf-8",
        "Expires": "whenever",
    }
    assert parsed.storage_class == "STANDARD_IA"


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, AWS-Chunked", "gzip"),
        ("gzip, br", "gzip, br"),
        ("", None),
    ],
)
def test_the_framing_is_no_content_encoding(given_value: str, kept: str | None) -> None:
    assert ObjectHeaders.parse({"content-encoding": given_value}).headers.get("Content-Encoding") == kept


def test_an_empty_content_type_is_the_default() -> None:
    assert ObjectHeaders.parse({"content-type": ""}).headers["Content-Type"] == "binary/octet-stream"


def test_user_metadata() -> None:
    parsed = ObjectHeaders.parse({"x-amz-meta-a": "1", "x-amz-meta-": "", "x-amz-meta-b-c": " x "})
    assert parsed.metadata == {"a": "1", "": "", "b-c": " x "}
    assert metadata_headers(parsed.metadata) == {"x-amz-meta-a": "1", "x-amz-meta-": "", "x-amz-meta-b-c": " x "}


def test_metadata_has_at_most_two_kilobytes() -> None:
    fits = {"x-amz-meta-ab": "v" * 1000, "x-amz-meta-cd": "é" * 522}
    assert len(ObjectHeaders.parse(fits).metadata) == 2
    with pytest.raises(S3Error) as caught:
        ObjectHeaders.parse(fits | {"x-amz-meta-ab": "v" * 1001})
    assert caught.value.code == "MetadataTooLarge"
    assert caught.value.fields == {"Size": "2049", "MaxSizeAllowed": "2048"}


def test_text_beyond_ascii_is_told_in_encoded_words() -> None:
    parsed = ObjectHeaders.parse({"x-amz-meta-a": "ÄMÄZÕÑ S3"})
    assert metadata_headers(parsed.metadata) == {"x-amz-meta-a": "=?UTF-8?B?w4RNw4Raw5XDkSBTMw==?="}
    kept = ObjectHeaders.parse({"x-amz-meta-a": "=?UTF-8?B?w4Q=?="})
    assert metadata_headers(kept.metadata) == {"x-amz-meta-a": "=?UTF-8?B?w4Q=?="}


def test_bytes_that_are_no_utf8_are_taken_for_latin1() -> None:
    assert ObjectHeaders.parse({"x-amz-meta-a": "\udcc4"}).metadata == {"a": "Ä"}


@pytest.mark.parametrize("name", ["content-type", "expires", "x-amz-meta-a"])
@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\x00", "\x7f"])
def test_control_characters_are_refused(name: str, value: str) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        ObjectHeaders.parse({name: value})


def test_content_headers_are_bounded() -> None:
    with pytest.raises(S3Error, match="RequestHeaderSectionTooLarge"):
        ObjectHeaders.parse({"cache-control": "a" * 8192})


@pytest.mark.parametrize("value", ["GLACIER", "DEEP_ARCHIVE", "EXPRESS_ONEZONE", "standard", ""])
def test_storage_classes_that_are_not_offered(value: str) -> None:
    with pytest.raises(S3Error, match="InvalidStorageClass"):
        storage_class({"x-amz-storage-class": value})


def test_response_overrides() -> None:
    query = Query(
        "response-content-type=text%2Fplain&response-cache-control=x&response-expires=y&response-content-language=z"
        "&response-content-encoding=gzip&response-content-disposition=attachment%3B+filename%3D%22a%22"
        "&response-server=evil&versionId=null&response-etag="
    )
    assert response_overrides(query) == {
        "Content-Type": "text/plain",
        "Cache-Control": "x",
        "Expires": "y",
        "Content-Language": "z",
        "Content-Encoding": "gzip",
        "Content-Disposition": 'attachment; filename="a"',
    }


@pytest.mark.parametrize("value", ["a%0D%0ASet-Cookie:%20x", "%00", "%E2%82%AC"])
def test_overrides_cannot_break_out_of_their_header(value: str) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        response_overrides(Query(f"response-content-type={value}"))


def test_metadata_directive() -> None:
    assert not is_metadata_replaced({})
    assert not is_metadata_replaced({"x-amz-metadata-directive": "COPY"})
    assert is_metadata_replaced({"x-amz-metadata-directive": "REPLACE"})
    with pytest.raises(S3Error, match="InvalidArgument"):
        is_metadata_replaced({"x-amz-metadata-directive": "KEEP"})


NAMES = st.sampled_from(
    ["content-type", "content-encoding", "x-amz-storage-class", "x-amz-meta-a", "x-amz-meta-\udc80"]
)


@given(
    st.dictionaries(
        NAMES, st.text(st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
    )
)
def test_nothing_but_s3_errors_and_only_safe_headers_come_out(headers: dict[str, str]) -> None:
    try:
        parsed = ObjectHeaders.parse(headers)
    except S3Error:
        return
    told = parsed.headers | metadata_headers(parsed.metadata)
    assert not any(character in value for value in told.values() for character in "\r\n\x00")
