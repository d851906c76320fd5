"""CORSConfiguration: what is read, what is refused and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.documents.cors import MAX_RULES, METHODS, CORSConfiguration, CORSRule

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,12}\*?[A-Za-z0-9_-]{0,12}", fullmatch=True)
ORIGINS = st.from_regex(r"[ -)+-~]{0,20}\*?[ -)+-~]{0,20}", fullmatch=True)
RULES = st.builds(
    CORSRule,
    st.lists(ORIGINS, min_size=1, max_size=3).map(tuple),
    st.lists(st.sampled_from(METHODS), min_size=1, max_size=5).map(tuple),
    st.lists(NAMES, max_size=3).map(tuple),
    st.lists(NAMES.map(lambda name: name.replace("*", "")), max_size=3).map(tuple),
    st.none() | st.integers(-(2**31) + 1, 2**31 - 1),
    st.none() | st.from_regex(r"[a-z0-9]{1,255}", fullmatch=True),
)


def rule(content: str = "", *, origin: str = "*", method: str = "GET") -> str:
    return (
        f"<CORSRule><AllowedOrigin>{origin}</AllowedOrigin><AllowedMethod>{method}</AllowedMethod>{content}</CORSRule>"
    )


def configuration(*rules: str) -> bytes:
    return f"<CORSConfiguration>{''.join(rules)}</CORSConfiguration>".encode()


@given(st.lists(RULES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(rules: list[CORSRule]) -> None:
    written = CORSConfiguration(tuple(rules))
    assert CORSConfiguration.parse(written.format()) == written


def test_a_whole_document() -> None:
    body = configuration(
        "<CORSRule><ID>one</ID><AllowedOrigin>https://*.example</AllowedOrigin><AllowedOrigin/>"
        "<AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-AMZ-*</AllowedHeader>"
        "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>",
        rule("<MaxAgeSeconds>-100</MaxAgeSeconds>"),
    )
    first, second = CORSConfiguration.parse(body).rules
    assert first == CORSRule(("https://*.example", ""), ("GET", "PUT"), ("x-AMZ-*",), ("ETag",), 3000, "one")
    assert second == CORSRule(("*",), ("GET",), max_age_seconds=-100)


def test_a_hundred_rules_and_no_more() -> None:
    assert len(CORSConfiguration.parse(configuration(*[rule()] * MAX_RULES)).rules) == MAX_RULES
    with pytest.raises(S3Error, match="MalformedXML"):
        CORSConfiguration.parse(configuration(*[rule()] * (MAX_RULES + 1)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<CORSConfiguration/>",
        b"<Other/>",
        configuration("<CORSRule/>"),
        configuration("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>"),
        configuration("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>"),
        configuration(rule("<Unknown/>")),
        configuration(rule("<ID>1</ID><ID>2</ID>")),
        configuration(rule("<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds>")),
        configuration(rule("<MaxAgeSeconds>x</MaxAgeSeconds>")),
        configuration(rule("<MaxAgeSeconds/>")),
        configuration(rule("<MaxAgeSeconds>2147483648</MaxAgeSeconds>")),
        configuration(rule(f"<MaxAgeSeconds>{'9' * 5000}</MaxAgeSeconds>")),
        configuration(rule("text")),
        configuration(rule("<AllowedHeader><x/></AllowedHeader>")),
        configuration(rule(), "<Rule/>"),
    ],
)
def test_documents_against_the_schema(body: bytes) -> None:
    with pytest.raises(S3Error) as refused:
        CORSConfiguration.parse(body)
    assert refused.value.code == "MalformedXML"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (rule(method="get"), "InvalidRequest",
         "Found unsupported HTTP method in CORS config. Unsupported method is get"),
        (rule(method="OPTIONS"), "InvalidRequest",
         "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS"),
        (rule(method=""), "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is "),
        (rule(origin="http://*.*"), "InvalidRequest",
         'AllowedOrigin "http://*.*" can not have more than one wildcard.'),
        (rule(origin="http://é"), "InvalidRequest", 'AllowedOrigin "http://é" contains invalid character.'),
        (rule(origin="a&#10;b"), "InvalidRequest", 'AllowedOrigin "a\nb" contains invalid character.'),
        (rule("<AllowedHeader>x-*-*</AllowedHeader>"), "InvalidRequest",
         'AllowedHeader "x-*-*" can not have more than one wildcard.'),
        (rule("<AllowedHeader>a b</AllowedHeader>"), "InvalidRequest",
         'AllowedHeader "a b" contains invalid character.'),
        (rule("<ExposeHeader>x:y</ExposeHeader>"), "InvalidRequest",
         'AllowedHeader "x:y" contains invalid character.'),
        (rule("<ExposeHeader>a&#13;b</ExposeHeader>"), "InvalidRequest",
         'AllowedHeader "a\rb" contains invalid character.'),
        (rule("<ExposeHeader>*</ExposeHeader>"), "InvalidRequest",
         'ExposeHeader "*" contains wildcard. We currently do not support wildcard for ExposeHeader.'),
        (rule(f"<ID>{'i' * 256}</ID>"), "InvalidArgument", "ID length should not exceed allowed limit of 255"),
    ],
)  # fmt: skip
def test_rules_that_no_browser_could_use(body: str, code: str, message: str) -> None:
    with pytest.raises(S3Error) as refused:
        CORSConfiguration.parse(configuration(rule(), body))
    assert (refused.value.code, refused.value.message) == (code, message)
