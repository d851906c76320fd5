"""Which rule answers a cross-origin request, and with which headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.cross_origin import CrossOriginRequest, answer_headers
from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.cors import CORSConfiguration, CORSRule

VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


def allowed(origin: str, *patterns: str) -> str | None:
    """The Access-Control-Allow-Origin for a GET, by one rule with these origins."""
    rules = CORSConfiguration((CORSRule(patterns, ("GET",)),))
    headers = answer_headers(rules, CrossOriginRequest(origin, "GET", ()))
    return None if headers is None else headers["Access-Control-Allow-Origin"]


@pytest.mark.parametrize(
    ("origin", "pattern", "matches"),
    [
        ("foo.suffix", "*suffix", True),
        ("suffix", "*suffix", True),
        ("foo.suffix.get", "*suffix", False),
        ("startend", "start*end", True),
        ("start12end", "start*end", True),
        ("0start12end", "start*end", False),
        ("abc", "ab*bc", False),
        ("prefix", "prefix*", True),
        ("bla.prefix", "prefix*", False),
        ("https://a.example", "https://a.example", True),
        ("https://A.example", "https://a.example", False),
        ("https://a.example:443", "https://a.example", False),
        ("http://test.origin.com/", "http://*.origin.com", False),
        ("https://axexample", "https://a.example", False),
        ("null", "null", True),
    ],
)
def test_origins(origin: str, pattern: str, matches: bool) -> None:
    assert allowed(origin, pattern) == (origin if matches else None)


def test_an_origin_is_told_as_it_came_unless_all_are_allowed() -> None:
    assert allowed("https://a", "https://a", "*") == "https://a"
    assert allowed("https://b", "https://a", "*") == "*"
    assert allowed("https://b", "https://a") is None


@given(
    before=st.text("ab.", max_size=4), after=st.text("ab.", max_size=4), origin=st.text("ab.", min_size=1, max_size=8)
)
def test_a_wildcard_stands_for_any_text(before: str, after: str, origin: str) -> None:
    expected = any(origin == before + origin[at : len(origin) - rest] + after
                   for at in range(len(origin) + 1) for rest in range(len(origin) - at + 1))  # fmt: skip
    assert (allowed(origin, f"{before}*{after}") is not None) == expected


@pytest.mark.parametrize("origin", ["https://é", "a\x7fb", "a\x01"])
def test_what_is_no_origin_is_never_repeated(origin: str) -> None:
    assert allowed(origin, "*") is None


RULES = CORSConfiguration(
    (
        CORSRule(("https://one",), ("GET", "PUT"), ("x-amz-*", "Content-Type"), ("ETag", "x-amz-id-2"), 3000),
        CORSRule(("*",), ("GET",)),
        CORSRule(("https://one",), ("DELETE",), ("*",), max_age_seconds=0),
    )
)


def test_the_headers_of_the_first_rule_that_allows() -> None:
    asked = CrossOriginRequest("https://one", "GET", ("x-amz-date", "content-type"))
    assert answer_headers(RULES, asked) == {
        "Access-Control-Allow-Origin": "https://one",
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Allow-Headers": "x-amz-date, content-type",
        "Access-Control-Expose-Headers": "ETag, x-amz-id-2",
        "Access-Control-Max-Age": "3000",
        "Access-Control-Allow-Credentials": "true",
        "Vary": VARY,
    }


def test_all_origins_get_no_credentials() -> None:
    assert answer_headers(RULES, CrossOriginRequest("https://two", "GET", ())) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET",
        "Vary": VARY,
    }


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://two", "PUT", ()),
        ("https://two", "GET", ("x-amz-date",)),
        ("https://one", "PUT", ("x-amz-date", "authorization")),
        ("https://one", "PUT", ("x-amz",)),
        ("https://one", "POST", ()),
        ("https://one", "DELETE", ("a b",)),
    ],
)
def test_requests_that_no_rule_allows(origin: str, method: str, headers: tuple[str, ...]) -> None:
    assert answer_headers(RULES, CrossOriginRequest(origin, method, headers)) is None


def test_a_later_rule_may_allow_what_an_earlier_one_does_not() -> None:
    headers = answer_headers(RULES, CrossOriginRequest("https://one", "DELETE", ("anything",)))
    assert headers is not None
    assert (headers["Access-Control-Allow-Headers"], headers["Access-Control-Max-Age"]) == ("anything", "0")


def test_a_preflight_as_browsers_send_it() -> None:
    headers = {
        "origin": "https://one",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "X-Amz-Date,content-type , ,\tAuthorization",
    }
    asked = CrossOriginRequest("https://one", "PUT", ("x-amz-date", "content-type", "authorization"))
    assert CrossOriginRequest.of_preflight(headers) == asked
    assert CrossOriginRequest.of_actual("GET", headers) == asked
    assert CrossOriginRequest.of_actual("GET", {"origin": "https://one"}) == CrossOriginRequest(
        "https://one", "GET", ()
    )
    assert CrossOriginRequest.of_actual("GET", {"origin": ""}) is None


@pytest.mark.parametrize(
    ("method", "headers", "message"),
    [
        (None, "", "Invalid Access-Control-Request-Method: null"),
        ("put", "", "Invalid Access-Control-Request-Method: put"),
        ("PATCH", "", "Invalid Access-Control-Request-Method: PATCH"),
        ("GET", "X(Custom)", 'Access-Control-Request-Headers "x(custom)" contains invalid character.'),
        ("GET", "a, b c", 'Access-Control-Request-Headers "b c" contains invalid character.'),
    ],
)
def test_preflights_that_make_no_sense(method: str | None, headers: str, message: str) -> None:
    asked = {"origin": "https://one", "access-control-request-headers": headers}
    if method is not None:
        asked["access-control-request-method"] = method
    with pytest.raises(S3Error) as refused:
        CrossOriginRequest.of_preflight(asked)
    assert (refused.value.code, refused.value.message) == ("BadRequest", message)
