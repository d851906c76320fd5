"""An obvious S3: buckets with versioning as lists, and what a request to them must answer.

Amazon S3 User Guide, "How S3 Versioning works" and "Working with delete markers".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

NULL = "null"


@dataclass(frozen=True)
class Version:
    """An object, or a delete marker where `body` is None. `etag` is in its quotes, as it was told; `encryption` is as
    it was asked for (`tests.properties.encryption`)."""

    version_id: str
    body: bytes | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    encryption: str | None = None


class Bucket:
    """`versioning` is None, "Enabled" or "Suspended"; the versions of each key, newest first."""

    def __init__(self) -> None:
        self.versioning: str | None = None
        self.versions: dict[str, list[Version]] = {}

    def put(self, key: str, version: Version) -> None:
        """A new newest version: in place of the null version, if that is what it is."""
        older = [each for each in self.versions.get(key, []) if each.version_id != version.version_id]
        self.versions[key] = [version, *older]

    def current(self, key: str) -> Version | None:
        """The newest version, be it a delete marker."""
        found = self.versions.get(key)
        return found[0] if found else None

    def version(self, key: str, version_id: str | None) -> Version | None:
        if version_id is None:
            return self.current(key)
        return next((each for each in self.versions.get(key, []) if each.version_id == version_id), None)

    def remove(self, key: str, version_id: str) -> None:
        left = [each for each in self.versions.get(key, []) if each.version_id != version_id]
        self.versions[key] = left
        if not left:
            del self.versions[key]

    def delete(self, key: str, marker_version_id: str | None) -> None:
        """Without a version: the object goes, or a marker with the id that was told stands before it."""
        if self.versioning is None:
            self.remove(key, NULL)
        else:
            self.put(key, Version(marker_version_id or NULL, None))

    def tag(self, key: str, version_id: str, tags: Mapping[str, str]) -> None:
        found = self.versions[key]
        self.versions[key] = [replace(each, tags=tags) if each.version_id == version_id else each for each in found]

    def encrypt(self, key: str, version_id: str, encryption: str) -> None:
        """UpdateObjectEncryption, which changes nothing else."""
        found = self.versions[key]
        self.versions[key] = [
            replace(each, encryption=encryption) if each.version_id == version_id else each for each in found
        ]

    def refusal(self, key: str, if_match: str | None, if_none_match: bool) -> int | None:
        """The status with which conditions on the key's object are refused: If-Match with a tag, If-None-Match: *."""
        current = self.current(key)
        is_object = current is not None and current.body is not None
        if if_none_match:
            return 412 if is_object else None
        if if_match is None or (current is not None and is_object and current.etag == if_match):
            return None
        return 412 if is_object else 404

    def rename(self, key: str, to: str) -> None:
        """Where there never was versioning."""
        self.put(to, self.versions.pop(key)[0])

    def shown(self) -> list[str]:
        """What a listing tells: those whose newest version is an object, in the order of their bytes."""
        found = (key for key, versions in self.versions.items() if versions[0].body is not None)
        return sorted(found, key=str.encode)

    def all_versions(self) -> Iterator[tuple[str, Version, bool]]:
        """In the order of ListObjectVersions: key, version, whether it is the newest."""
        for key in sorted(self.versions, key=str.encode):
            for place, version in enumerate(self.versions[key]):
                yield key, version, place == 0


def listed(keys: list[str], prefix: str, delimiter: str, after: str = "") -> tuple[list[str], list[str]]:
    """What a listing of `keys` tells after `after`: keys, and common prefixes.

    A common prefix that `after` lies in was told before.
    """
    shown: list[str] = []
    prefixes: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        entry = prefix + head + delimiter if found else key
        if key.encode() <= after.encode() or (found and after.startswith(entry)):
            continue
        if not found:
            shown.append(entry)
        elif entry not in prefixes:
            prefixes.append(entry)
    return shown, prefixes
