"""ListObjects and ListObjectsV2, held against a listing computed here by S3's rules."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from tests.clients.checks import error_of, headers_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient

KEYS = [
    "a", "a b", "a+b", "a%20b", "a/", "a/1", "a/2", "a//3", "a/b/c", "a/b/d", "b", "b/..", "b/../c", "b/./d", "//",
    "/x", "c&d", "<Key>x</Key>", "]]>", "'q\"", "é", "é/1", "日本/語", "🔑", "\uffff", "z\nz", "z\tz",
    "photos/2006/January/s.jpg", "photos/2006/February/s2.jpg", "photos/2006/index.html", "A", "Z/1", "~",
]  # fmt: skip
QUESTIONS = [
    ("", ""), ("a", ""), ("a/", ""), ("", "/"), ("a/", "/"), ("photos/2006/", "/"), ("photos/", "/"),
    ("a", "b"), ("b/.", "/"), ("é", "/"), ("", "//"), ("nothing", "/"),
    ("", "é"), ("", "a"), ("<", ""), ("a", " "), ("a", "+"), ("z", "\n"),
]  # fmt: skip


@pytest.fixture(scope="module")
def listed(s3: Any) -> str:
    bucket = make_bucket(s3)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def entries(prefix: str, delimiter: str, after: str = "") -> list[str]:
    """Keys and common prefixes in the order in which S3 lists them, which is that of their UTF-8 bytes."""
    found: dict[str, None] = {}
    for key in sorted(KEYS, key=str.encode):
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if cut < 0 else key[: cut + len(delimiter)]
        if cut < 0 or not (after.startswith(entry)):
            found[entry] = None
    return list(found)


def in_order(page: Any) -> list[str]:
    names = [item["Key"] for item in page.get("Contents", [])]
    return sorted(names + [item["Prefix"] for item in page.get("CommonPrefixes", [])], key=str.encode)


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize(("prefix", "delimiter"), QUESTIONS)
def test_listing(s3: Any, listed: str, operation: str, prefix: str, delimiter: str) -> None:
    answer = getattr(s3, operation)(Bucket=listed, Prefix=prefix, Delimiter=delimiter)
    assert in_order(answer) == entries(prefix, delimiter)
    assert not answer["IsTruncated"]
    # botocore asks for encoding-type=url, and decodes every name again but the prefix of the first version.
    shown = unquote(answer["Prefix"]) if operation == "list_objects" else answer["Prefix"]
    assert (answer["Name"], shown, answer.get("Delimiter", "")) == (listed, prefix, delimiter)
    sizes = {item["Key"]: item["Size"] for item in answer.get("Contents", [])}
    assert sizes == {key: len(key.encode()) for key in sizes}


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(("prefix", "delimiter"), [("", ""), ("", "/"), ("a", ""), ("a", "/"), ("photos/", "/")])
def test_pages_joined_are_the_whole(
    s3: Any, listed: str, operation: str, prefix: str, delimiter: str, size: int
) -> None:
    pages = list(
        s3.get_paginator(operation).paginate(
            Bucket=listed, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}
        )
    )
    whole = entries(prefix, delimiter)
    assert [name for page in pages for name in in_order(page)] == whole
    assert [len(in_order(page)) for page in pages[:-1]] == [size] * (len(pages) - 1), "common prefixes count as keys do"
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]


@pytest.mark.parametrize("after", ["a", "a/", "a/b", "a/b/c", "photos/2006/", "é", "zzzz", "🔑", "\U0010ffff", "a//"])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_start_after_and_marker(s3: Any, listed: str, after: str, delimiter: str) -> None:
    second = s3.list_objects_v2(Bucket=listed, StartAfter=after, Delimiter=delimiter)
    first = s3.list_objects(Bucket=listed, Marker=after, Delimiter=delimiter)
    assert (second["StartAfter"], first["Marker"]) == (after, after)
    assert in_order(first) == in_order(second) == entries("", delimiter, after)


def test_v2_tells_counts_and_tokens(s3: Any, listed: str) -> None:
    first = s3.list_objects_v2(Bucket=listed, MaxKeys=5, Delimiter="/")
    assert (first["KeyCount"], first["MaxKeys"]) == (5, 5)
    token = first["NextContinuationToken"]
    second = s3.list_objects_v2(Bucket=listed, MaxKeys=5, Delimiter="/", ContinuationToken=token, StartAfter="zzz")
    assert second["ContinuationToken"] == token
    assert in_order(first) + in_order(second) == entries("", "/")[:10], "the token goes before start-after"


def test_v1_gives_a_next_marker_with_a_delimiter_only(s3: Any, listed: str) -> None:
    assert "NextMarker" not in s3.list_objects(Bucket=listed, MaxKeys=2)
    page = s3.list_objects(Bucket=listed, MaxKeys=2, Delimiter="/")
    assert page["NextMarker"] == in_order(page)[-1]


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_no_keys_are_asked_for(s3: Any, listed: str, operation: str) -> None:
    answer = getattr(s3, operation)(Bucket=listed, MaxKeys=0)
    assert (in_order(answer), answer["IsTruncated"], answer["MaxKeys"]) == ([], False, 0)


def test_more_than_a_page_is_cut_to_a_page(s3: Any, listed: str) -> None:
    assert s3.list_objects_v2(Bucket=listed, MaxKeys=5000)["MaxKeys"] == 1000


def test_entries_say_what_head_object_says(s3: Any, listed: str) -> None:
    (item,) = s3.list_objects_v2(Bucket=listed, Prefix="photos/2006/index", FetchOwner=True)["Contents"]
    found = s3.head_object(Bucket=listed, Key=item["Key"])
    assert (item["ETag"], item["Size"]) == (found["ETag"], found["ContentLength"])
    assert item["LastModified"].replace(microsecond=0) == found["LastModified"]
    assert (item["StorageClass"], item["ChecksumAlgorithm"], item["ChecksumType"]) == (
        "STANDARD",
        ["CRC32"],
        "FULL_OBJECT",
    )
    assert item["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]


def test_v2_tells_owners_on_request_only(s3: Any, listed: str) -> None:
    assert "Owner" not in s3.list_objects_v2(Bucket=listed, MaxKeys=1)["Contents"][0]
    assert "Owner" in s3.list_objects(Bucket=listed, MaxKeys=1)["Contents"][0]


@pytest.mark.parametrize("version", ["", "list-type=2&"])
def test_keys_come_as_they_are_unless_encoding_is_asked_for(raw: RawClient, listed: str, version: str) -> None:
    plain = raw.request("GET", f"/{listed}?{version}prefix=a").body.decode()
    assert "<Key>a b</Key>" in plain
    assert "<Key>a+b</Key>" in plain
    assert "EncodingType" not in plain
    encoded = raw.request("GET", f"/{listed}?{version}prefix=a&encoding-type=url").body.decode()
    assert "<Key>a%20b</Key>" in encoded
    assert "<Key>a%2Bb</Key>" in encoded
    assert "<Key>a%2520b</Key>" in encoded
    assert "<EncodingType>url</EncodingType>" in encoded


def test_encoding_covers_delimiter_and_marker_but_not_the_prefix_of_version_1(raw: RawClient, listed: str) -> None:
    query = "prefix=a%20&delimiter=%2B&marker=a%20a&encoding-type=url"
    body = raw.request("GET", f"/{listed}?{query}").body.decode()
    assert "<Prefix>a </Prefix>" in body, "SDKs do not decode the prefix of version 1"
    assert "<Delimiter>%2B</Delimiter>" in body
    assert "<Marker>a%20a</Marker>" in body


def test_keys_that_xml_cannot_spell_survive_with_encoding(s3: Any, raw: RawClient, bucket: str) -> None:
    for escaped in ("%01", "a%00b", "%EF%BF%BE"):
        assert raw.request("PUT", f"/{bucket}/{escaped}", body=b"1").status == 200
    found = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == [unquote("%01"), unquote("a%00b"), "\ufffe"]
    assert raw.request("GET", f"/{bucket}?list-type=2").status == 200


REFUSED = [
    "max-keys=-1", "max-keys=x", "max-keys=1.5", "max-keys=99999999999", "encoding-type=base64",
    "list-type=2&continuation-token=", "list-type=2&continuation-token=nonsense", "list-type=2&continuation-token=%FF",
    f"list-type=2&continuation-token={'A' * 64}",
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_refused_parameters(raw: RawClient, listed: str, query: str) -> None:
    answer = raw.request("GET", f"/{listed}?{query}")
    assert answer.status == 400
    assert answer.code == ("InvalidURI" if "%FF" in query else "InvalidArgument")


def test_a_token_is_good_for_its_own_bucket_only(s3: Any, listed: str, bucket: str) -> None:
    token = s3.list_objects_v2(Bucket=listed, MaxKeys=1)["NextContinuationToken"]
    assert refusal(s3.list_objects_v2, Bucket=bucket, ContinuationToken=token) == (400, "InvalidArgument")


def test_a_listing_of_no_bucket(s3: Any) -> None:
    assert refusal(s3.list_objects, Bucket="never-created") == (404, "NoSuchBucket")
    assert error_of(s3.list_objects_v2, Bucket="never-created")["Error"]["BucketName"] == "never-created"


def test_an_empty_bucket_lists_nothing(s3: Any, bucket: str) -> None:
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert (answer["KeyCount"], answer["IsTruncated"]) == (0, False)
    assert not {"Contents", "CommonPrefixes", "NextContinuationToken"} & answer.keys()


def test_objects_written_and_deleted_are_listed_at_once(s3: Any, bucket: str) -> None:
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{number}")
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == number + 1
    s3.delete_object(Bucket=bucket, Key="k2")
    assert in_order(s3.list_objects_v2(Bucket=bucket)) == ["k0", "k1", "k3", "k4"]


def test_the_listing_is_xml(raw: RawClient, listed: str) -> None:
    answer = raw.request("GET", f"/{listed}")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')


def test_listings_tell_the_region_of_the_bucket(s3: Any, bucket: str) -> None:
    for listing in (s3.list_objects, s3.list_objects_v2):
        assert headers_of(listing(Bucket=bucket))["x-amz-bucket-region"] == "us-east-1"
