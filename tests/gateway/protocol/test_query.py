from collections.abc import Callable
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.percent import decode, encode
from gateway.protocol.query import (
    MAX_PARAMETERS,
    ListBucketsParameters,
    ListObjectsV1Parameters,
    ListObjectsV2Parameters,
    ListPartsParameters,
    ListUploadsParameters,
    Query,
    part_number,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LISTINGS: list[Callable[[Query], object]] = [
    ListBucketsParameters.parse,
    ListObjectsV1Parameters.parse,
    ListObjectsV2Parameters.parse,
    ListPartsParameters.parse,
    ListUploadsParameters.parse,
]


def test_query_values() -> None:
    query = Query("uploads&prefix=a%2Fb+c&empty=&x=1&x=2&%65ncoded=%3D&a=b=c&&")
    assert list(query) == ["uploads", "prefix", "empty", "x", "encoded", "a"]
    assert (query.get("uploads"), query.has("uploads")) == ("", True)
    assert query.get("prefix") == "a/b c"
    assert (query.get("empty"), query.get("absent"), query.has("absent")) == ("", None, False)
    assert (query.get("x"), query.get_all("x"), query.get_all("absent")) == ("1", ("1", "2"), ())
    assert (query.get("encoded"), query.get("a")) == ("=", "b=c")
    assert len(query) == 6


def test_an_empty_query() -> None:
    assert list(Query("")) == []


@pytest.mark.parametrize("raw", ["a=%", "a=%f", "%zz=1", "a=%ff", "a=%c3"])
def test_a_query_that_cannot_be_decoded(raw: str) -> None:
    with pytest.raises(S3Error) as caught:
        Query(raw)
    assert caught.value.code == "InvalidURI"


def test_the_number_of_parameters_is_bounded() -> None:
    assert len(Query("&".join(f"a{i}" for i in range(MAX_PARAMETERS)))) == MAX_PARAMETERS
    with pytest.raises(S3Error):
        Query("&" * MAX_PARAMETERS)


@given(st.dictionaries(TEXT, TEXT, max_size=8))
def test_every_query_survives_its_encoding(values: dict[str, str]) -> None:
    query = Query(urlencode(values, quote_via=quote_plus))
    assert {name: query.get(name) for name in query} == values


@given(TEXT)
def test_percent_encoding_round_trips(text: str) -> None:
    encoded = encode(text)
    assert encoded.isascii() and decode(encoded) == text
    assert not set(encoded) & set("+ &<>\"'")


@pytest.mark.parametrize(
    ("text", "expected"), [("asdf+b", "asdf%2Bb"), ("quux ab/", "quux%20ab/"), ("a/b_c.d-e~f", "a/b_c.d-e~f")]
)
def test_encoding_of_listings(text: str, expected: str) -> None:
    assert encode(text) == expected


def test_list_objects_v2_parameters() -> None:
    parsed = ListObjectsV2Parameters.parse(
        Query(
            "list-type=2&prefix=p&delimiter=%2F&start-after=s&continuation-token=t&fetch-owner=true&max-keys=7"
            "&encoding-type=url"
        )
    )
    assert parsed == ListObjectsV2Parameters("p", "/", "s", "t", True, 7, True)
    assert ListObjectsV2Parameters.parse(Query("")) == ListObjectsV2Parameters("", "", "", None, False, 1000, False)


def test_list_objects_v1_parameters() -> None:
    parsed = ListObjectsV1Parameters.parse(Query("prefix=p&delimiter=d&marker=m&max-keys=0&encoding-type=url"))
    assert parsed == ListObjectsV1Parameters("p", "d", "m", 0, True)


def test_list_uploads_parameters() -> None:
    query = Query("uploads&prefix=p&delimiter=d&key-marker=k&upload-id-marker=u&max-uploads=5")
    assert ListUploadsParameters.parse(query) == ListUploadsParameters("p", "d", "k", "u", 5, False)
    assert ListUploadsParameters.parse(Query("upload-id-marker=u")).upload_id_marker == ""


def test_list_parts_parameters() -> None:
    parsed = ListPartsParameters.parse(Query("uploadId=u&part-number-marker=3&max-parts=2000"))
    assert parsed == ListPartsParameters("u", 3, 1000, False)


def test_list_buckets_parameters() -> None:
    parsed = ListBucketsParameters.parse(Query("prefix=p&continuation-token=t&max-buckets=10&bucket-region=eu-de"))
    assert parsed == ListBucketsParameters("p", "t", 10, "eu-de")
    assert ListBucketsParameters.parse(Query("")) == ListBucketsParameters("", None, 10_000, None)


@pytest.mark.parametrize(
    ("value", "expected"), [("", 1000), ("0", 0), ("1", 1), ("1000", 1000), ("1001", 1000), ("2147483647", 1000)]
)
def test_max_keys(value: str, expected: int) -> None:
    assert ListObjectsV2Parameters.parse(Query(f"max-keys={value}")).max_keys == expected


@pytest.mark.parametrize(
    ("value", "argument", "message"),
    [
        ("abc", "max-keys", "Provided max-keys not an integer or within integer range"),
        ("1.5", "max-keys", "Provided max-keys not an integer or within integer range"),
        ("٣", "max-keys", "Provided max-keys not an integer or within integer range"),
        ("2147483648", "max-keys", "Provided max-keys not an integer or within integer range"),
        ("9" * 5000, "max-keys", "Provided max-keys not an integer or within integer range"),
        ("-1", "maxKeys", "Argument maxKeys must be an integer between 0 and 2147483647"),
    ],
)
def test_max_keys_refused(value: str, argument: str, message: str) -> None:
    with pytest.raises(S3Error) as caught:
        ListObjectsV1Parameters.parse(Query(f"max-keys={quote_plus(value)}"))
    assert (caught.value.code, caught.value.message) == ("InvalidArgument", message)
    assert caught.value.fields == {"ArgumentName": argument, "ArgumentValue": value[:256]}


@pytest.mark.parametrize(
    ("raw", "parse", "argument"),
    [
        ("encoding-type=xml", ListObjectsV1Parameters.parse, "encoding-type"),
        ("continuation-token=", ListObjectsV2Parameters.parse, "continuation-token"),
        ("max-parts=-1", ListPartsParameters.parse, "max-parts"),
        ("part-number-marker=x", ListPartsParameters.parse, "part-number-marker"),
        ("max-uploads=x", ListUploadsParameters.parse, "max-uploads"),
        ("max-buckets=0", ListBucketsParameters.parse, "max-buckets"),
        ("max-buckets=10001", ListBucketsParameters.parse, "max-buckets"),
    ],
)
def test_bad_listing_arguments(raw: str, parse: Callable[[Query], object], argument: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse(Query(raw))
    assert caught.value.code == "InvalidArgument"
    assert caught.value.fields["ArgumentName"] == argument


def test_names_longer_than_keys_are_refused() -> None:
    assert ListObjectsV1Parameters.parse(Query("prefix=" + "a" * 1024)).prefix == "a" * 1024
    for raw in ("prefix=" + "a" * 1025, "marker=" + "%C3%A9" * 513):
        with pytest.raises(S3Error) as caught:
            ListObjectsV1Parameters.parse(Query(raw))
        assert caught.value.code == "KeyTooLongError"


def test_part_numbers() -> None:
    assert [part_number(Query(f"partNumber={text}")) for text in ("1", "10000", "007")] == [1, 10_000, 7]
    for raw in ("", "partNumber=", "partNumber=0", "partNumber=10001", "partNumber=-1", "partNumber=x", "partNumber=²"):
        with pytest.raises(S3Error) as caught:
            part_number(Query(raw))
        assert caught.value.code == "InvalidArgument"


NAMES = st.sampled_from(["max-keys", "prefix", "encoding-type", "continuation-token", "max-parts", "partNumber"])


PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=12))).map(lambda pairs: "&".join(f"{n}={v}" for n, v in pairs))


@given(st.text() | PAIRS)
def test_nothing_but_s3_errors(raw: str) -> None:
    for parse in (*LISTINGS, part_number):
        try:
            parse(Query(raw))
        except S3Error as error:
            assert 400 <= error.status < 500
