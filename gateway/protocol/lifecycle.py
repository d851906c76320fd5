"""Lifecycle rules of a bucket: which objects and uploads one covers, and when it says that they go.

User Guide, "Managing the lifecycle of objects", above all "Lifecycle configuration elements", "Expiring objects" and
"Conflicts"; API_LifecycleRule. All of it is arithmetic on what is told here: no clock, no index.

A day of a rule ends at a midnight UTC: "Amazon S3 calculates the time by adding the number of days specified in the
rule to the object creation time and rounding up the resulting time to the next day at midnight UTC". A time that is
exactly at midnight stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.protocol.timestamps import SECOND_US, format_http_date

EXPIRATION = "x-amz-expiration"
ABORT_DATE = "x-amz-abort-date"
ABORT_RULE_ID = "x-amz-abort-rule-id"

DAY_SECONDS = 86_400
ALL_STORAGE_CLASSES = "all_storage_classes_128K"
VARIES_BY_STORAGE_CLASS = "varies_by_storage_class"


_END_OF_DATES_US = 253_402_214_400 * SECOND_US
"""9999-12-31, the last midnight that a date can tell; rules may have 2^31 - 1 days."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects a rule covers: those of which all of this is so. `is_and`: it was written in an And element.

    Sizes are in bytes, exclusive at both ends. Kept in buckets' documents under these names.
    """

    prefix: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    larger_than: int | None = None
    smaller_than: int | None = None
    is_and: bool = False


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule. It has either `filter` or, in the older form, `prefix`.

    `expires_on` is a day, counted from 1970-01-01; `removes_expired_markers` is ExpiredObjectDeleteMarker, None where
    the rule does not have it. All numbers of days are positive. Kept in buckets' documents under these names.
    """

    rule_id: str
    is_enabled: bool
    prefix: str | None = None
    filter: Filter | None = None
    expires_after_days: int | None = None
    expires_on: int | None = None
    removes_expired_markers: bool | None = None
    noncurrent_days: int | None = None
    newer_noncurrent_versions: int | None = None
    abort_after_days: int | None = None

    @property
    def key_prefix(self) -> str:
        """What all keys that it covers begin with."""
        return (self.filter.prefix if self.filter is not None else self.prefix) or ""

    @property
    def is_by_tags(self) -> bool:
        return self.filter is not None and bool(self.filter.tags)

    def covers(self, key: str, size: int, tags: Callable[[], Mapping[str, str]]) -> bool:
        """Whether its filter lets through an object of so many bytes; a delete marker has none, and no tags.

        `tags` is called only where they decide: they lie sealed.
        """
        if not key.startswith(self.key_prefix):
            return False
        each = self.filter
        if each is None:
            return True
        if each.larger_than is not None and size <= each.larger_than:
            return False
        if each.smaller_than is not None and size >= each.smaller_than:
            return False
        return not each.tags or each.tags.items() <= tags().items()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The lifecycle configuration of a bucket. `minimum_size` is TransitionDefaultMinimumObjectSize."""

    rules: tuple[LifecycleRule, ...]
    minimum_size: str = ALL_STORAGE_CLASSES

    def enabled(self) -> Iterator[LifecycleRule]:
        return (rule for rule in self.rules if rule.is_enabled)


@dataclass(frozen=True, slots=True)
class Due:
    """When something goes, by which rule."""

    time_us: int
    rule_id: str


@dataclass(frozen=True, slots=True)
class LifecycleDays:
    """How long a day of lifecycle rules lasts: 86 400 seconds, and less for tests alone."""

    day_seconds: float = DAY_SECONDS

    def end(self, from_us: int, days: int) -> int:
        """The midnight at which `days` days after `from_us` are over: in the year 9999 if it were later."""
        day_us = round(self.day_seconds * SECOND_US)
        return min(-(-(from_us + days * day_us) // day_us) * day_us, _END_OF_DATES_US)

    def expiration(self, rule: LifecycleRule, modified_us: int) -> int | None:
        """When a rule lets a current version, or the only one that is a delete marker, expire; None: never."""
        if rule.expires_after_days is not None:
            return self.end(modified_us, rule.expires_after_days)
        if rule.expires_on is not None:
            return rule.expires_on * DAY_SECONDS * SECOND_US
        return None

    def marker_expiration(self, rule: LifecycleRule, modified_us: int) -> int | None:
        """The same for a delete marker that is the only version of its key."""
        return modified_us if rule.removes_expired_markers else self.expiration(rule, modified_us)

    def noncurrent_expiration(self, rule: LifecycleRule, noncurrent_us: int, newer_noncurrent: int) -> int | None:
        """When a version expires that another one replaced at `noncurrent_us`; `newer_noncurrent` other ones of its key
        were replaced later. None: not as long as that is so."""
        if rule.noncurrent_days is None or newer_noncurrent < (rule.newer_noncurrent_versions or 0):
            return None
        return self.end(noncurrent_us, rule.noncurrent_days)

    def abortion(self, rule: LifecycleRule, initiated_us: int) -> int | None:
        """When an upload is aborted; None: never."""
        return None if rule.abort_after_days is None else self.end(initiated_us, rule.abort_after_days)

    def next_expiration(
        self, lifecycle: Lifecycle, key: str, size: int, tags: Callable[[], Mapping[str, str]], modified_us: int
    ) -> Due | None:
        """Of a current version, by the rule that is the first to let it expire; of several that do so, the first."""
        return _first(
            Due(time_us, rule.rule_id)
            for rule in lifecycle.enabled()
            if (time_us := self.expiration(rule, modified_us)) is not None and rule.covers(key, size, tags)
        )

    def next_abortion(self, lifecycle: Lifecycle, key: str, initiated_us: int) -> Due | None:
        """The same of an upload."""
        return _first(
            Due(time_us, rule.rule_id)
            for rule in lifecycle.enabled()
            if (time_us := self.abortion(rule, initiated_us)) is not None and key.startswith(rule.key_prefix)
        )


REAL_DAYS = LifecycleDays()


def expiration_headers(due: Due | None) -> dict[str, str]:
    """For answers about a current version: `expiry-date="…", rule-id="…"`."""
    if due is None:
        return {}
    return {EXPIRATION: f'expiry-date="{_date(due)}", rule-id="{_in_header(due.rule_id)}"'}


def abort_headers(due: Due | None) -> dict[str, str]:
    """For answers about an upload."""
    return {} if due is None else {ABORT_DATE: _date(due), ABORT_RULE_ID: _in_header(due.rule_id)}


def prefixes_to_visit(rules: Iterable[LifecycleRule]) -> list[str]:
    """Prefixes that together have every key that one of the rules could cover, each key once, in order."""
    visited: list[str] = []
    for prefix in sorted({rule.key_prefix for rule in rules}, key=str.encode):
        if not visited or not prefix.startswith(visited[-1]):
            visited.append(prefix)
    return visited


def _first(found: Iterable[Due]) -> Due | None:
    return min(found, key=lambda due: due.time_us, default=None)


def _date(due: Due) -> str:
    return format_http_date(due.time_us)


_SAFE = frozenset(map(chr, range(0x20, 0x7F))) - frozenset('"%')


def _in_header(rule_id: str) -> str:
    """A rule's id: recorded answers of S3 have spaces in it as they are, so that no more is percent-encoded than what
    a header or its quotes cannot hold."""
    return "".join(
        each if each in _SAFE else "".join(f"%{byte:02X}" for byte in each.encode(errors="replace")) for each in rule_id
    )
