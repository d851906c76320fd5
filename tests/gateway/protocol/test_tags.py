from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.tags import (
    BUCKET_TAGS,
    NEW_BUCKET_TAGS,
    OBJECT_TAGS,
    TagRules,
    is_tagging_replaced,
    tag_set,
    tags_of_header,
)

RULES = [OBJECT_TAGS, BUCKET_TAGS, NEW_BUCKET_TAGS]
BEYOND = "𝒜"  # a letter of two UTF-16 code units
TEXT = st.text(st.characters(categories=["L", "N", "Z"]) | st.sampled_from("_.:/=+-@"), max_size=60)


def refused(pairs: list[tuple[str, str]], rules: TagRules = OBJECT_TAGS) -> S3Error:
    with pytest.raises(S3Error) as caught:
        tag_set(pairs, rules)
    return caught.value


@pytest.mark.parametrize("rules", RULES)
def test_tags_keep_their_order(rules: TagRules) -> None:
    assert list(tag_set([("b", "1"), ("a", ""), ("ü 日.:/=+-@_", " 2²")], rules)) == ["b", "a", "ü 日.:/=+-@_"]
    assert tag_set([], rules) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k" * 128, "v" * 256),
        (BEYOND * 64, BEYOND * 128),
        ("文" * 128, "文" * 256),
        ("Aa", ""),
        ("aws", "aws:"),
        ("awsx:", ""),
        (" ", "\u2028\u00a0"),
    ],
)
def test_the_longest_and_oddest(key: str, value: str) -> None:
    assert tag_set([(key, value)], OBJECT_TAGS) == {key: value}


@pytest.mark.parametrize(
    "key", ["", "k" * 129, BEYOND * 65, "a,b", "a\tb", "a\nb", "a\0", "<", "😀", "a\ud800", "&", "*"]
)
def test_invalid_keys(key: str) -> None:
    error = refused([("good", ""), (key, "v")])
    assert (error.status, error.code, error.message) == (400, "InvalidTag", "The TagKey you have provided is invalid")
    assert error.fields == {"TagKey": key}


@pytest.mark.parametrize("value", ["v" * 257, BEYOND * 129, "a,b", "a;b", "\x7f", "%", "#", "()"])
def test_invalid_values(value: str) -> None:
    error = refused([("k", value)])
    assert (error.code, error.message) == ("InvalidTag", "The TagValue you have provided is invalid")
    assert error.fields == {"TagKey": "k", "TagValue": value}


@pytest.mark.parametrize(("rules", "limit"), list(zip(RULES, (10, 50, 50), strict=True)))
def test_so_many_and_no_more(rules: TagRules, limit: int) -> None:
    pairs = [(str(number), "") for number in range(limit)]
    assert len(tag_set(pairs, rules)) == limit
    error = refused([*pairs, ("more", "")], rules)
    assert (error.status, error.code, error.message) == (400, "BadRequest", rules.too_many)


@pytest.mark.parametrize("rules", RULES)
def test_a_key_stands_once(rules: TagRules) -> None:
    error = refused([("a", "1"), ("a", "1")], rules)
    assert (error.code, error.message) == ("InvalidTag", "Cannot provide multiple Tags with the same key")
    assert error.fields == {"TagKey": "a"}
    assert tag_set([("a", "1"), ("A", "1")], rules) == {"a": "1", "A": "1"}


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("key", ["aws:", "aws:x", "AWS:x", "aWs:cloudformation"])
def test_reserved_keys(rules: TagRules, key: str) -> None:
    error = refused([(key, "")], rules)
    assert (error.code, error.message) == ("InvalidTag", rules.reserved)


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", {}),
        ("&", {}),
        ("a=1", {"a": "1"}),
        ("foo=bar&bar", {"bar": "", "foo": "bar"}),
        ("key1&&&key2", {"key1": "", "key2": ""}),
        ("a%20b=c%2Bd&e+f=", {"a b": "c+d", "e f": ""}),
        ("k=a%3Db", {"k": "a=b"}),
        ("%C3%BC=%E6%96%87", {"ü": "文"}),
        ("ü=文", {"ü": "文"}),
        ("a/b:c@d=e.f-g_h", {"a/b:c@d": "e.f-g_h"}),
    ],
)
def test_the_header(header: str, tags: dict[str, str]) -> None:
    found = tags_of_header({"x-amz-tagging": header})
    assert list(found.items()) == list(tags.items())


def test_no_header_is_no_tags() -> None:
    assert tags_of_header({}) == {}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("key1=val1&key1=val2", "InvalidArgument"),
        ("a&%61", "InvalidArgument"),
        ("key1=val1,key2=val2", "InvalidArgument"),
        ("=1", "InvalidArgument"),
        ("a=%zz", "InvalidArgument"),
        ("a=%", "InvalidArgument"),
        ("a=%FF", "InvalidArgument"),
        ("a=\udcff", "InvalidArgument"),
        ("a,b=1", "InvalidTag"),
        ("a=b%3Bc", "InvalidTag"),
        ("TagSet%3D%5B%7BKey%3Dstring%7D%5D", "InvalidTag"),
        ("aws:a=1", "InvalidTag"),
        ("&".join(f"k{number}=v" for number in range(11)), "BadRequest"),
    ],
)
def test_refused_headers(header: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        tags_of_header({"x-amz-tagging": header})
    assert (caught.value.code, caught.value.status) == (code, 400)
    if code == "InvalidArgument":
        assert caught.value.fields == {"ArgumentName": "x-amz-tagging", "ArgumentValue": header}
        assert caught.value.message.startswith("The header 'x-amz-tagging' shall be encoded as UTF-8")


@given(st.dictionaries(TEXT.filter(lambda key: bool(key) and not key.lower().startswith("aws:")), TEXT, max_size=10))
def test_what_is_encoded_is_read_back(tags: dict[str, str]) -> None:
    for encode in (lambda text: quote(text, safe=""), quote_plus):
        header = "&".join(f"{encode(key)}={encode(value)}" for key, value in tags.items())
        assert tags_of_header({"x-amz-tagging": header}) == tags == tag_set(tags.items(), OBJECT_TAGS)


@given(st.text())
def test_nothing_but_s3_errors(header: str) -> None:
    try:
        tags_of_header({"x-amz-tagging": header})
    except S3Error as error:
        assert error.code in {"InvalidArgument", "InvalidTag", "BadRequest"}


@pytest.mark.parametrize(("value", "replaced"), [(None, False), ("COPY", False), ("REPLACE", True)])
def test_the_directive(value: str | None, replaced: bool) -> None:
    assert is_tagging_replaced({} if value is None else {"x-amz-tagging-directive": value}) is replaced


@pytest.mark.parametrize("value", ["", "replace", "MERGE"])
def test_directives_that_are_none(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        is_tagging_replaced({"x-amz-tagging-directive": value})
    assert (caught.value.code, caught.value.message) == ("InvalidArgument", "Unknown tagging directive.")
