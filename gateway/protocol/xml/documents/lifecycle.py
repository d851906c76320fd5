"""LifecycleConfiguration: the rules by which a bucket's objects, versions and uploads go (API_LifecycleRule).

What is refused, and how, is as recorded from S3 where there is a record: the API reference has few words for it. A
configuration is of the second version ("Lifecycle V2") if its first rule has a Filter; the first version has prefixes
alone, which may not overlap for one kind of action. Transitions to other storage classes are NotImplemented, once all
else of them is right: all are stored alike here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Self, TypedDict

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.lifecycle import Filter, LifecycleRule
from gateway.protocol.names import MAX_KEY_BYTES
from gateway.protocol.tags import OBJECT_TAGS, tag_set
from gateway.protocol.xml.documents.tagging import format_tags
from gateway.protocol.xml.reader import Element, boolean, children, malformed, read_document, text_of, texts
from gateway.protocol.xml.writer import document, element, flag

MAX_RULES = 1000
MAX_BYTES = 1 << 20
"""A thousand rules of a thousand bytes."""
MAX_ID_CHARACTERS = 255
MAX_NEWER_NONCURRENT_VERSIONS = 100

_MAX_ELEMENTS = 65_536  # more than 1 MiB can hold of what means anything
_MAX_INTEGER = 2**31 - 1
_MAX_SIZE_FILTER = 1_099_511_627_776_000
"""Bytes; a thousand times the size of an object that was the largest when S3 began to filter by it."""
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_SIZE = re.compile(r"-?[0-9]{1,18}")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_STORAGE_CLASSES = frozenset(
    {"GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"}
)
"""Those to which there are transitions (TransitionStorageClass)."""

_RULE = frozenset(
    {
        "ID",
        "Prefix",
        "Filter",
        "Status",
        "Expiration",
        "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload",
    }
)
_PREDICATES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan", "Prefix", "Tag")


@dataclass(frozen=True, slots=True)
class LifecycleConfiguration:
    """1 to 1000 rules; a rule that came without an id has "" for one."""

    rules: tuple[LifecycleRule, ...]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Of at most MAX_BYTES as a client sent it.

        Raises S3Error MalformedXML, InvalidRequest, InvalidArgument, InvalidTag; NotImplemented for transitions.
        """
        elements: list[Element] = []
        for name, child in children(read_document(body, "LifecycleConfiguration", max_elements=_MAX_ELEMENTS)):
            if name != "Rule":
                raise malformed()
            elements.append(child)
        if not elements:
            raise S3Error("InvalidRequest", "At least one lifecycle rule must be specified.")
        if len(elements) > MAX_RULES:
            message = f"The number of lifecycle rules must not exceed the allowed limit of {MAX_RULES} rules."
            raise S3Error("InvalidRequest", message)
        parsed = [_ParsedRule.parse(each) for each in elements]
        _check_ids([each.rule for each in parsed])
        is_second_version = parsed[0].rule.filter is not None
        for each in parsed:
            each.check(is_second_version=is_second_version)
        if not is_second_version:
            _check_overlaps(parsed)
        if any(each.transitions for each in parsed):
            message = "A transition was asked for, but all storage classes are stored alike: there are none"
            raise S3Error("NotImplemented", message, fields={"Element": "Transition"})
        return cls(tuple(each.rule for each in parsed))

    def format(self) -> bytes:
        return document("LifecycleConfiguration", (_format_rule(rule) for rule in self.rules))


@dataclass(frozen=True, slots=True)
class _ParsedRule:
    """A rule, and which kinds of transition it has beside."""

    rule: LifecycleRule
    transitions: frozenset[str]

    @classmethod
    def parse(cls, given: Element) -> Self:
        found: dict[str, Element] = {}
        transitions = set()
        for name, child in children(given):
            if name in _TRANSITIONS:
                _check_transition(child, _TRANSITIONS[name])
                transitions.add(name)
            elif name in _RULE and name not in found:
                found[name] = child
            else:
                raise malformed()
        plain = {name: text_of(found[name]) for name in ("ID", "Prefix", "Status") if name in found}
        if plain.get("Status") not in ("Enabled", "Disabled") or not ("Filter" in found or "Prefix" in plain):
            raise malformed()
        rule = LifecycleRule(
            rule_id=plain.get("ID", ""),
            is_enabled=plain["Status"] == "Enabled",
            prefix=plain.get("Prefix"),
            filter=_filter(found["Filter"]) if "Filter" in found else None,
            **_actions(found),
        )
        return cls(rule, frozenset(transitions))

    def kinds(self) -> Iterator[str]:
        """Of its actions, as S3 calls them."""
        rule = self.rule
        if (rule.expires_after_days, rule.expires_on, rule.removes_expired_markers) != (None, None, None):
            yield "Expiration"
        if rule.noncurrent_days is not None:
            yield "NoncurrentVersionExpiration"
        if rule.abort_after_days is not None:
            yield "AbortIncompleteMultipartUpload"
        yield from self.transitions

    def check(self, *, is_second_version: bool) -> None:
        rule = self.rule
        if is_second_version and rule.prefix is not None:
            message = "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."
            raise S3Error("InvalidRequest", message)
        if not is_second_version and rule.filter is not None:
            raise S3Error("InvalidRequest", "Filter element can only be used in Lifecycle V2.")
        if not is_second_version and rule.newer_noncurrent_versions is not None:
            raise S3Error("InvalidRequest", "NewerNoncurrentVersions element can only be used in Lifecycle V2.")
        if not any(self.kinds()):
            raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule")
        if len(rule.key_prefix.encode(errors="replace")) > MAX_KEY_BYTES:
            raise S3Error("InvalidRequest", f"The maximum size of a prefix is {MAX_KEY_BYTES}.")
        if rule.filter is not None:
            _check_filter(rule, rule.filter)


def _check_ids(rules: list[LifecycleRule]) -> None:
    seen = set()
    for rule in rules:
        if len(rule.rule_id) > MAX_ID_CHARACTERS:
            message = f"ID length should not exceed allowed limit of {MAX_ID_CHARACTERS}"
            raise invalid_argument("ID", rule.rule_id, message)
        if rule.rule_id in seen:
            message = "Rule ID must be unique. Found same ID for more than one rule"
            raise invalid_argument("ID", rule.rule_id, message)
        if rule.rule_id:
            seen.add(rule.rule_id)


def _check_filter(rule: LifecycleRule, each: Filter) -> None:
    if each.larger_than is not None:
        _check_size("ObjectSizeGreaterThan", each.larger_than, least=0)
    if each.smaller_than is not None:
        _check_size("ObjectSizeLessThan", each.smaller_than, least=1)
    if each.larger_than is not None and each.smaller_than is not None and each.larger_than >= each.smaller_than:
        message = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        raise S3Error("InvalidRequest", message)
    by = "Tags" if each.tags else "Object Size"
    if each.tags or each.larger_than is not None or each.smaller_than is not None:
        if rule.removes_expired_markers is not None:
            raise S3Error("InvalidRequest", f"ExpiredObjectDeleteMarker cannot be specified with {by}.")
        if rule.abort_after_days is not None:
            raise S3Error("InvalidRequest", f"AbortIncompleteMultipartUpload cannot be specified with {by}.")


def _check_size(name: str, size: int, *, least: int) -> None:
    if not least <= size <= _MAX_SIZE_FILTER:
        raise S3Error("InvalidRequest", f"'{name}' should be between {least} and {_MAX_SIZE_FILTER}.")


def _check_overlaps(rules: list[_ParsedRule]) -> None:
    """In order, whatever a prefix begins comes right after it or after another one that it begins."""
    by_kind: dict[str, list[str]] = {}
    for each in rules:
        for kind in each.kinds():
            by_kind.setdefault(kind, []).append(each.rule.key_prefix)
    for kind, prefixes in by_kind.items():
        prefixes.sort()
        for one, next_one in pairwise(prefixes):
            if next_one.startswith(one):
                message = f"Found overlapping prefixes '{one}' and '{next_one}' for same action type '{kind}'"
                raise S3Error("InvalidRequest", message)


# The elements of a rule


def _filter(given: Element) -> Filter:
    found = list(children(given))
    if len(found) > 1:
        raise malformed()
    is_and = bool(found) and found[0][0] == "And"
    predicates = list(children(found[0][1])) if is_and else found
    if is_and and len(predicates) < 2:
        raise malformed()
    single: dict[str, str] = {}
    tags: list[tuple[str, str]] = []
    for name, child in predicates:
        if name not in _PREDICATES or name in single:
            raise malformed()
        if name == "Tag":
            members = texts(child, ("Key", "Value"), ("Key", "Value"))
            tags.append((members["Key"], members["Value"]))
        else:
            single[name] = text_of(child)
    if len({key for key, _ in tags}) < len(tags):
        raise S3Error("InvalidRequest", "Duplicate Tag Keys are not allowed.")
    return Filter(
        prefix=single.get("Prefix"),
        tags=tag_set(tags, OBJECT_TAGS),
        larger_than=_size(single.get("ObjectSizeGreaterThan")),
        smaller_than=_size(single.get("ObjectSizeLessThan")),
        is_and=is_and,
    )


class _Actions(TypedDict, total=False):
    """The members of LifecycleRule that say what it does."""

    expires_after_days: int
    expires_on: int
    removes_expired_markers: bool
    noncurrent_days: int
    newer_noncurrent_versions: int
    abort_after_days: int


def _actions(found: Mapping[str, Element]) -> _Actions:
    actions = _expiration(found["Expiration"]) if "Expiration" in found else _Actions()
    if "NoncurrentVersionExpiration" in found:
        action = "NoncurrentVersionExpiration"
        members = texts(found[action], ("NoncurrentDays", "NewerNoncurrentVersions"), ("NoncurrentDays",))
        actions["noncurrent_days"] = _positive(members, "NoncurrentDays", action)
        if "NewerNoncurrentVersions" in members:
            actions["newer_noncurrent_versions"] = _newer(members, action)
    if "AbortIncompleteMultipartUpload" in found:
        action = "AbortIncompleteMultipartUpload"
        members = texts(found[action], ("DaysAfterInitiation",), ("DaysAfterInitiation",))
        actions["abort_after_days"] = _positive(members, "DaysAfterInitiation", action)
    return actions


def _expiration(given: Element) -> _Actions:
    members = texts(given, ("Days", "Date", "ExpiredObjectDeleteMarker"))
    if len(members) != 1:
        raise malformed()
    if "Days" in members:
        return {"expires_after_days": _positive(members, "Days", "Expiration")}
    if "Date" in members:
        return {"expires_on": _day(members["Date"])}
    return {"removes_expired_markers": boolean(members["ExpiredObjectDeleteMarker"])}


_TRANSITIONS = {
    "Transition": ("Days", "Date"),
    "NoncurrentVersionTransition": ("NoncurrentDays",),
}
"""When each kind of transition happens: one of these."""


def _check_transition(given: Element, times: tuple[str, ...]) -> None:
    members = texts(given, (*times, "NewerNoncurrentVersions", "StorageClass"), ("StorageClass",))
    told = [name for name in times if name in members]
    if members["StorageClass"] not in _STORAGE_CLASSES or len(told) != 1:
        raise malformed()
    if told[0] == "Date":
        _day(members["Date"])
    elif _integer(members[told[0]]) < 0:
        raise invalid_argument(told[0], members[told[0]], f"'{told[0]}' for Transition action must be nonnegative")


def _newer(members: Mapping[str, str], action: str) -> int:
    count = _positive(members, "NewerNoncurrentVersions", action)
    if count > MAX_NEWER_NONCURRENT_VERSIONS:
        message = f"'NewerNoncurrentVersions' for {action} action must not exceed {MAX_NEWER_NONCURRENT_VERSIONS}"
        raise invalid_argument("NewerNoncurrentVersions", str(count), message)
    return count


def _positive(members: Mapping[str, str], name: str, action: str) -> int:
    number = _integer(members[name])
    if number <= 0:
        raise invalid_argument(name, str(number), f"'{name}' for {action} action must be a positive integer")
    return number


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()) or abs(int(text)) > _MAX_INTEGER:
        raise malformed()
    return int(text)


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    if not _SIZE.fullmatch(text.strip()):
        raise malformed()
    return int(text)


def _day(text: str) -> int:
    """A date of ISO 8601, which says midnight UTC: the day, counted from 1970-01-01."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise malformed()
    year, month, day, hour, minute, second, fraction, zone = match.groups(default="0")
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
        if zone not in ("0", "Z"):
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment -= offset if zone[0] == "+" else -offset
    except (ValueError, OverflowError):
        raise malformed() from None
    if moment.hour or moment.minute or moment.second or int(fraction):
        raise invalid_argument("Date", text, "'Date' must be at midnight GMT")
    return (moment.date() - _EPOCH).days


# Writing, in the order in which S3 writes


def _format_rule(rule: LifecycleRule) -> str:
    which = element("Prefix", rule.prefix) if rule.filter is None else _format_filter(rule.filter)
    status = element("Status", "Enabled" if rule.is_enabled else "Disabled")
    return f"<Rule>{element('ID', rule.rule_id)}{which}{status}{_format_actions(rule)}</Rule>"


def _format_filter(each: Filter) -> str:
    predicates = (
        element("Prefix", each.prefix),
        format_tags(each.tags),
        element("ObjectSizeGreaterThan", each.larger_than),
        element("ObjectSizeLessThan", each.smaller_than),
    )
    inner = "".join(predicates)
    if not inner:
        return "<Filter/>"
    return f"<Filter><And>{inner}</And></Filter>" if each.is_and else f"<Filter>{inner}</Filter>"


def _format_actions(rule: LifecycleRule) -> str:
    when = element("Days", rule.expires_after_days)
    if rule.expires_on is not None:
        when = element("Date", f"{(_EPOCH + rule.expires_on * _DAY).isoformat()}T00:00:00.000Z")
    if rule.removes_expired_markers is not None:
        when = flag("ExpiredObjectDeleteMarker", rule.removes_expired_markers)
    noncurrent = element("NoncurrentDays", rule.noncurrent_days)
    noncurrent += element("NewerNoncurrentVersions", rule.newer_noncurrent_versions)
    aborts = element("DaysAfterInitiation", rule.abort_after_days)
    actions = (
        ("Expiration", when),
        ("NoncurrentVersionExpiration", noncurrent),
        ("AbortIncompleteMultipartUpload", aborts),
    )
    return "".join(f"<{name}>{inner}</{name}>" for name, inner in actions if inner)
