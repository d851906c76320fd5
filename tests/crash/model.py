"""What a gateway must hold, and may hold, by what its clients saw: each key has one writer, who knows the order.

A write that was answered has happened; one that was refused has not; one without an answer has happened whole or not at
all. The same holds for any moment in the past: `at` says what of the history was done and what was under way then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

Content = str | None
"""SHA-256 of an object's body, or what else has a name holds; None: there is no such thing, or a delete marker."""

EXPIRING = "expiring/"
"""Prefix of keys whose objects may go by themselves: a lifecycle rule covers them, at times."""

ALWAYS = 1 << 62
"""A moment after all others."""


@dataclass(slots=True)
class Write:
    """Of one key, at moments `began` and `ended`, which is ALWAYS without an answer. `removed` names the version that
    it removes, otherwise it makes one, of the id `version` where the bucket has versions."""

    key: str
    content: Content
    began: int
    ended: int = ALWAYS
    is_refused: bool = False
    version: str | None = None
    removed: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a key was found to hold once nobody wrote: whatever was uncertain is known from then on."""

    key: str
    current: Content
    versions: dict[str, Content]


@dataclass(slots=True)
class State:
    """`current` has what a key may hold; `versions` must be there, those `in_doubt` may be gone; of `unknown`, contents
    of writes without an answer, each may have become a version. If it `may_expire`, the current version may go or get a
    delete marker above it, and all others may go; what is there is what was written all the same."""

    may_expire: bool = False
    current: set[Content] = field(default_factory=lambda: {None})
    versions: dict[str, Content] = field(default_factory=dict)
    in_doubt: set[str] = field(default_factory=set)
    unknown: Counter[Content] = field(default_factory=Counter)

    def apply(self, event: Write | Found, at: int = ALWAYS - 1) -> None:
        """Events in the order of the key's history. Nothing of what began after `at` has happened."""
        if isinstance(event, Found):
            self.current, self.versions = {event.current}, dict(event.versions)
            self.in_doubt, self.unknown = set(), Counter()
        elif event.began <= at:
            if event.removed is not None:
                self._remove(event, event.removed, at)
            elif event.ended > at:
                self.current.add(event.content)
                self.unknown[event.content] += 1
            elif not event.is_refused:
                self.current = {event.content}
                if event.version is not None:
                    self.versions[event.version] = event.content
        if self.may_expire:
            self.current = self.current | {None}

    def _remove(self, event: Write, removed: str, at: int) -> None:
        if event.ended <= at and event.is_refused:
            return
        if event.ended > at:
            self.in_doubt.add(removed)
        else:
            self.versions.pop(removed, None)
            self.in_doubt.discard(removed)
        self.current |= {None, *self.versions.values(), *self.unknown}

    def problems(self, current: Content, versions: dict[str, Content], *, has_versions: bool) -> Iterable[str]:
        """What is wrong with what was found."""
        if current not in self.current:
            yield f"holds {current}, not one of {self.current}"
        if not has_versions:
            return
        for version, content in self.versions.items():
            if version not in versions:
                if version not in self.in_doubt and not self.may_expire:
                    yield f"has lost version {version}"
            elif versions[version] != content:
                yield f"has {versions[version]} as version {version}, not {content}"
        unknown = Counter(versions[version] for version in versions.keys() - self.versions.keys())
        if self.may_expire:
            del unknown[None]  # markers of the gateway's own
        if not unknown <= self.unknown:
            yield f"has versions that nobody wrote: {unknown - self.unknown}"


def new_state(key: str) -> State:
    """Of a key that nobody wrote to yet."""
    return State(may_expire=key.startswith(EXPIRING))


@dataclass(slots=True)
class Histories:
    """Of all keys in a bucket, or of other things with names (KMS keys, aliases, users)."""

    events: dict[str, list[Write | Found]] = field(default_factory=dict)

    def state(self, key: str, at: int = ALWAYS - 1) -> State:
        state = new_state(key)
        for event in self.events.get(key, []):
            state.apply(event, at)
        return state
