"""Which versions of a key expire by a bucket's rules, decided while they are listed: by key, newest first.

User Guide, "Expiring objects", "Lifecycle configuration elements": a current version gets a delete marker above it in a
bucket with versioning, and is removed in one that never had it; a version became noncurrent when the one above it was
made; a delete marker without any other version goes. No index and no clock here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.operations.versioning import Versioning
from gateway.protocol.lifecycle import Lifecycle, LifecycleDays, LifecycleRule
from gateway.storage.index.records import Expiry, ObjectRow, RowKind, UploadRow, VersionEntry


class Action(StrEnum):
    """What is done to something, in the words of metrics and of the log."""

    CURRENT = "current"
    """A current version removed, or a delete marker made above it."""
    NONCURRENT = "noncurrent"
    MARKER = "marker"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Decision:
    """An expiry, and by which rule."""

    action: Action
    expiry: Expiry
    rule_id: str


@dataclass(frozen=True, slots=True)
class Expiring:
    """The rules of a bucket, as they are now.

    `tags` opens a row for its tags, which rules with tags ask for; `marker` makes a delete marker for a key.
    """

    lifecycle: Lifecycle
    versioning: Versioning
    days: LifecycleDays
    tags: Callable[[ObjectRow], Mapping[str, str]]
    marker: Callable[[bytes], ObjectRow]

    def of_versions(self) -> list[LifecycleRule]:
        """The rules that concern versions."""
        return [
            rule
            for rule in self.lifecycle.enabled()
            if rule.removes_expired_markers
            or (rule.expires_after_days, rule.expires_on, rule.noncurrent_days) != (None, None, None)
        ]

    def of_uploads(self) -> list[LifecycleRule]:
        return [rule for rule in self.lifecycle.enabled() if rule.abort_after_days is not None]

    def upload(self, row: UploadRow, now_us: int) -> str | None:
        """The id of the rule by which an upload is aborted now."""
        due = self.days.next_abortion(self.lifecycle, _text(row.key), row.initiated_us)
        return due.rule_id if due is not None and due.time_us <= now_us else None

    def current(self, row: ObjectRow, now_us: int) -> Decision | None:
        """About the newest version of a key, an object."""
        due = self.days.next_expiration(
            self.lifecycle, _text(row.key), row.size, lambda: self.tags(row), row.modified_us
        )
        if due is None or due.time_us > now_us:
            return None
        marker = None if self.versioning is Versioning.NEVER else self.marker(row.key)
        return Decision(Action.CURRENT, Expiry(row, marker=marker), due.rule_id)

    def noncurrent(self, row: ObjectRow, successor: ObjectRow, newer_noncurrent: int, now_us: int) -> Decision | None:
        """About a version that `successor` stands right above, an object or a delete marker."""
        for rule in self.lifecycle.enabled():
            time_us = self.days.noncurrent_expiration(rule, successor.modified_us, newer_noncurrent)
            if time_us is None or time_us > now_us or not self._covers(rule, row):
                continue
            newer = 1 + (rule.newer_noncurrent_versions or 0)
            return Decision(Action.NONCURRENT, Expiry(row, successor.row_uid, newer), rule.rule_id)
        return None

    def only_marker(self, row: ObjectRow, now_us: int) -> Decision | None:
        """About a delete marker that is the only version of its key."""
        for rule in self.lifecycle.enabled():
            time_us = self.days.marker_expiration(rule, row.modified_us)
            if time_us is not None and time_us <= now_us and self._covers(rule, row):
                return Decision(Action.MARKER, Expiry(row, is_only=True), rule.rule_id)
        return None

    def _covers(self, rule: LifecycleRule, row: ObjectRow) -> bool:
        return rule.covers(_text(row.key), row.size, lambda: self.tags(row))


@dataclass(slots=True)
class KeyWalk:
    """Takes the versions of a listing one by one, and keeps the decisions of each key until its last version was seen.

    They are given oldest first: each was decided by what stands above it, which must still be there when it goes.
    """

    rules: Expiring
    now_us: int
    _above: ObjectRow | None = None
    _is_newest: bool = False
    _noncurrent: int = 0
    _of_key: list[Decision] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """How many decisions there are about the key whose versions are being listed."""
        return len(self._of_key)

    def see(self, entry: VersionEntry) -> list[Decision]:
        """The decisions about the key before, if `entry` is of another one."""
        row, done = entry.row, []
        if self._above is None or self._above.key != row.key:
            done = self.end()
        if entry.is_latest:
            self._see_newest(row)
        elif self._above is not None:
            self._see_noncurrent(row, self._above)
        return done

    def end(self) -> list[Decision]:
        """The decisions about the last key, whose versions were all seen."""
        if self._is_newest and self._above is not None and self._above.kind is RowKind.DELETE_MARKER:
            self._note(self.rules.only_marker(self._above, self.now_us))
        self._above, self._is_newest = None, False
        return self.take()

    def take(self) -> list[Decision]:
        """What was decided so far about the key whose versions are being listed."""
        done, self._of_key = self._of_key[::-1], []
        return done

    def _see_newest(self, row: ObjectRow) -> None:
        """Also where a listing began anew with the key, as the version after which it should go on is gone."""
        self._above, self._is_newest, self._noncurrent, self._of_key = row, True, 0, []
        if row.kind is RowKind.OBJECT:
            self._note(self.rules.current(row, self.now_us))

    def _see_noncurrent(self, row: ObjectRow, above: ObjectRow) -> None:
        self._note(self.rules.noncurrent(row, above, self._noncurrent, self.now_us))
        self._above, self._is_newest = row, False
        self._noncurrent += 1

    def _note(self, decision: Decision | None) -> None:
        if decision is not None:
            self._of_key.append(decision)


def _text(key: bytes) -> str:
    """All keys are UTF-8. What is not was never written, and is refused when its row is opened."""
    return key.decode(errors="replace")
