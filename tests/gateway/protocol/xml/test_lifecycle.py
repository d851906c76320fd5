"""LifecycleConfiguration: what is read, what is refused and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.lifecycle import Filter, LifecycleRule
from gateway.protocol.xml.documents.lifecycle import MAX_RULES, LifecycleConfiguration

WORDS = st.text("abcXYZ/ -._é", max_size=12)
TAGS = st.dictionaries(st.text("abc-é", min_size=1, max_size=6), WORDS, max_size=3)
DAYS = st.integers(1, 2**31 - 1)


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    prefix, tags = draw(st.none() | WORDS), draw(TAGS)
    larger = draw(st.none() | st.integers(0, 1000))
    smaller = draw(st.none() | st.integers(1001, 10_000))
    predicates = (prefix is not None) + len(tags) + (larger is not None) + (smaller is not None)
    return Filter(prefix, tags, larger, smaller, is_and=predicates > 1)


@st.composite
def rules(draw: st.DrawFn, *, is_second_version: bool) -> LifecycleRule:
    """Any rule that is right: with each action that its filter allows, but always one."""
    each = draw(filters()) if is_second_version else None
    is_by_keys = each is None or not (each.tags or each.larger_than is not None or each.smaller_than is not None)
    when = draw(st.sampled_from(["days", "date", "marker" if is_by_keys else "days", ""]))
    noncurrent = draw(st.none() | DAYS)
    aborts = draw(st.none() | DAYS) if is_by_keys else None
    if not when and noncurrent is None and aborts is None:
        noncurrent = 1
    counted = is_second_version and noncurrent is not None
    return LifecycleRule(
        rule_id=draw(st.uuids()).hex,
        is_enabled=draw(st.booleans()),
        prefix=None if is_second_version else draw(st.uuids()).hex,
        filter=each,
        expires_after_days=draw(DAYS) if when == "days" else None,
        expires_on=draw(st.integers(-700_000, 2_900_000)) if when == "date" else None,
        removes_expired_markers=draw(st.booleans()) if when == "marker" else None,
        noncurrent_days=noncurrent,
        newer_noncurrent_versions=draw(st.none() | st.integers(1, 100)) if counted else None,
        abort_after_days=aborts,
    )


@given(st.booleans().flatmap(lambda second: st.lists(rules(is_second_version=second), min_size=1, max_size=4)))
def test_what_is_written_is_read_back(given_rules: list[LifecycleRule]) -> None:
    written = LifecycleConfiguration(tuple(given_rules))
    assert LifecycleConfiguration.parse(written.format()) == written


EXPIRES = "<Expiration><Days>1</Days></Expiration>"
ABORTS = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
NONCURRENT = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>{}</NoncurrentVersionExpiration>"
MARKERS = "<Expiration><ExpiredObjectDeleteMarker>{}</ExpiredObjectDeleteMarker></Expiration>"
TAG = "<Tag><Key>{}</Key><Value>v</Value></Tag>"


def rule(action: str = EXPIRES, *, which: str = "<Filter/>", status: str = "Enabled", more: str = "") -> str:
    return f"<Rule>{which}<Status>{status}</Status>{action}{more}</Rule>"


def only(predicate: str) -> str:
    return f"<Filter>{predicate}</Filter>"


def parse(*given_rules: str) -> tuple[LifecycleRule, ...]:
    return LifecycleConfiguration.parse(
        f"<LifecycleConfiguration>{''.join(given_rules)}</LifecycleConfiguration>".encode()
    ).rules


def refused(*given_rules: str) -> tuple[str, str]:
    with pytest.raises(S3Error) as caught:
        parse(*given_rules)
    return caught.value.code, caught.value.message


def date(text: str) -> str:
    return rule(f"<Expiration><Date>{text}</Date></Expiration>")


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-01",
        "2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00.000Z",
        "2030-01-01T00:00Z",
        "2030-01-01T00:00:00",
        "2030-01-01T02:00:00+02:00",
        "2029-12-31T19:00:00.000-0500",
    ],
)
def test_dates(text: str) -> None:
    assert parse(date(text))[0].expires_on == 21_915


def test_elements_come_in_any_order() -> None:
    body = f"<Rule>{EXPIRES}<Status>Disabled</Status>{ABORTS}<ID>x</ID><Filter><Prefix>a</Prefix></Filter></Rule>"
    expected = LifecycleRule("x", False, filter=Filter("a"), expires_after_days=1, abort_after_days=1)
    assert parse(body) == (expected,)


def test_a_thousand_rules_and_no_more() -> None:
    assert len(parse(*[rule()] * MAX_RULES)) == MAX_RULES
    message = "The number of lifecycle rules must not exceed the allowed limit of 1000 rules."
    assert refused(*[rule()] * (MAX_RULES + 1)) == ("InvalidRequest", message)
    assert refused() == ("InvalidRequest", "At least one lifecycle rule must be specified.")


MALFORMED = {
    "status": rule(status="enabled"),
    "no status": f"<Rule><Filter/>{EXPIRES}</Rule>",
    "no filter": rule(which=""),
    "two filters": rule(which="<Filter/><Filter/>"),
    "two predicates": rule(which=only("<Prefix>a</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>")),
    "And beside another": rule(which=only(f"<And>{TAG.format('a')}{TAG.format('b')}</And><Prefix>a</Prefix>")),
    "And of one": rule(which=only("<And><Prefix>a</Prefix></And>")),
    "And of none": rule(which=only("<And/>")),
    "And in And": rule(which=only("<And><And/><Prefix>a</Prefix></And>")),
    "two prefixes": rule(which=only("<And><Prefix>a</Prefix><Prefix>b</Prefix></And>")),
    "tag without value": rule(which=only("<Tag><Key>a</Key></Tag>")),
    "size that is none": rule(which=only("<ObjectSizeGreaterThan>much</ObjectSizeGreaterThan>")),
    "unknown predicate": rule(which=only("<Suffix>a</Suffix>")),
    "unknown element": rule(more="<Extra/>"),
    "twice": rule(EXPIRES * 2),
    "empty expiration": rule("<Expiration/>"),
    "days and date": rule("<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>"),
    "days and marker": rule(
        "<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
    ),
    "days that are none": rule("<Expiration><Days>1.5</Days></Expiration>"),
    "too many days": rule("<Expiration><Days>2147483648</Days></Expiration>"),
    "marker that is none": rule(MARKERS.format("maybe")),
    "no date": date("tomorrow"),
    "HTTP date": date("Fri, 01 Jan 2016 00:00:00 GMT"),
    "no such day": date("2030-02-30"),
    "before all days": date("0001-01-01T00:00:00+02:00"),
    "noncurrent without days": rule(
        "<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
    ),
    "empty noncurrent": rule("<NoncurrentVersionExpiration/>"),
    "empty abort": rule("<AbortIncompleteMultipartUpload/>"),
    "transition without class": rule("<Transition><Days>1</Days></Transition>"),
    "transition to nothing known": rule("<Transition><Days>1</Days><StorageClass>TAPE</StorageClass></Transition>"),
    "transition at no time": rule("<Transition><StorageClass>GLACIER</StorageClass></Transition>"),
    "no rule": "<Other/>",
    "text": "text",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    assert refused(MALFORMED[name])[0] == "MalformedXML"


@pytest.mark.parametrize("body", [b"", b"<Other/>", b"<LifecycleConfiguration>", b"{}", b"<a>" * 9000])
def test_no_document(body: bytes) -> None:
    with pytest.raises(S3Error, match="MalformedXML"):
        LifecycleConfiguration.parse(body)


V1 = "<Prefix>{}</Prefix>"
SMALL = only("<ObjectSizeLessThan>10</ObjectSizeLessThan>")
REFUSED = {
    "long id": ([rule(more=f"<ID>{'x' * 256}</ID>")], "InvalidArgument", "ID length should not exceed"),
    "same id": ([rule(more="<ID>x</ID>")] * 2, "InvalidArgument", "Rule ID must be unique. Found same ID for more"),
    "no action": ([rule("")], "InvalidRequest", "At least one action needs to be specified in a rule"),
    "zero days": (
        [rule("<Expiration><Days>0</Days></Expiration>")],
        "InvalidArgument",
        "'Days' for Expiration action must be a positive integer",
    ),
    "negative days": ([rule("<Expiration><Days>-1</Days></Expiration>")], "InvalidArgument", "'Days' for Expiration"),
    "zero noncurrent days": (
        [rule("<NoncurrentVersionExpiration><NoncurrentDays>0</NoncurrentDays></NoncurrentVersionExpiration>")],
        "InvalidArgument",
        "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
    ),
    "zero days of uploads": (
        [rule(ABORTS.replace("1", "0"))],
        "InvalidArgument",
        "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
    ),
    "no versions": (
        [rule(NONCURRENT.format("<NewerNoncurrentVersions>0</NewerNoncurrentVersions>"))],
        "InvalidArgument",
        "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer",
    ),
    "too many versions": (
        [rule(NONCURRENT.format("<NewerNoncurrentVersions>101</NewerNoncurrentVersions>"))],
        "InvalidArgument",
        "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must not exceed 100",
    ),
    "noon": ([date("2030-01-01T12:00:00Z")], "InvalidArgument", "'Date' must be at midnight GMT"),
    "midnight elsewhere": ([date("2030-01-01T00:00:00+01:00")], "InvalidArgument", "'Date' must be at midnight GMT"),
    "tag twice": (
        [rule(which=only(f"<And>{TAG.format('a') * 2}</And>"))],
        "InvalidRequest",
        "Duplicate Tag Keys are not allowed.",
    ),
    "tag key": ([rule(which=only(TAG.format("")))], "InvalidTag", "The TagKey you have provided is invalid"),
    "sizes": (
        [rule(which=only("<ObjectSizeLessThan>0</ObjectSizeLessThan>"))],
        "InvalidRequest",
        "'ObjectSizeLessThan' should be between 1 and 1099511627776000.",
    ),
    "negative size": (
        [rule(which=only("<ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan>"))],
        "InvalidRequest",
        "'ObjectSizeGreaterThan' should be between 0 and 1099511627776000.",
    ),
    "no size between": (
        [
            rule(
                which=only(
                    "<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>"
                    "<ObjectSizeLessThan>5</ObjectSizeLessThan></And>"
                )
            )
        ],
        "InvalidRequest",
        "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
    ),
    "abort by tags": (
        [rule(ABORTS, which=only(TAG.format("a")))],
        "InvalidRequest",
        "AbortIncompleteMultipartUpload cannot be specified with Tags.",
    ),
    "abort by size": (
        [rule(ABORTS, which=SMALL)],
        "InvalidRequest",
        "AbortIncompleteMultipartUpload cannot be specified with Object Size.",
    ),
    "markers by size": (
        [rule(MARKERS.format("false"), which=SMALL)],
        "InvalidRequest",
        "ExpiredObjectDeleteMarker cannot be specified with Object Size.",
    ),
    "markers by tags": (
        [rule(MARKERS.format("true"), which=only(TAG.format("a")))],
        "InvalidRequest",
        "ExpiredObjectDeleteMarker cannot be specified with Tags.",
    ),
    "prefix after filter": (
        [rule(), rule(which=V1.format("a"))],
        "InvalidRequest",
        "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
    ),
    "prefix and filter": ([rule(which="<Filter/><Prefix/>")], "InvalidRequest", "Base level prefix cannot be used"),
    "filter after prefix": (
        [rule(which=V1.format("a")), rule()],
        "InvalidRequest",
        "Filter element can only be used in Lifecycle V2.",
    ),
    "versions before filters": (
        [rule(NONCURRENT.format("<NewerNoncurrentVersions>1</NewerNoncurrentVersions>"), which=V1.format("a"))],
        "InvalidRequest",
        "NewerNoncurrentVersions element can only be used in Lifecycle V2.",
    ),
    "overlapping prefixes": (
        [rule(which=V1.format(prefix)) for prefix in ("b", "a/b", "a", "")],
        "InvalidRequest",
        "Found overlapping prefixes '' and 'a' for same action type 'Expiration'",
    ),
    "same prefix": (
        [rule(ABORTS, which=V1.format("a"))] * 2,
        "InvalidRequest",
        "Found overlapping prefixes 'a' and 'a' for same action type 'AbortIncompleteMultipartUpload'",
    ),
    "long prefix": (
        [rule(which=only(V1.format("é" * 513)))],
        "InvalidRequest",
        "The maximum size of a prefix is 1024.",
    ),
    "transition": (
        [rule("<Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>", more=ABORTS)],
        "NotImplemented",
        "A transition was asked for",
    ),
    "noncurrent transition": (
        [
            rule(
                "<NoncurrentVersionTransition><NoncurrentDays>30</NoncurrentDays><StorageClass>STANDARD_IA</StorageClass>"
                "</NoncurrentVersionTransition>"
            )
        ],
        "NotImplemented",
        "A transition was asked for",
    ),
    "wrong beside a transition": (
        [rule("<Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>"), rule("")],
        "InvalidRequest",
        "At least one action needs to be specified in a rule",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    given_rules, code, message = REFUSED[name]
    told = refused(*given_rules)
    assert (told[0], told[1][: len(message)]) == (code, message)


def test_prefixes_of_different_actions_may_overlap() -> None:
    assert len(parse(rule(which=V1.format("a")), rule(ABORTS, which=V1.format("a/")))) == 2
    assert len(parse(rule(), rule())) == 2
