"""Delete and DeleteResult, the documents of DeleteObjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.reader import boolean, children, malformed, read_document, text_of, texts
from gateway.protocol.xml.writer import document, element, escape, flag, quoted_etag

MAX_OBJECTS = 1000

_MEMBERS = frozenset({"Key", "VersionId", "ETag", "LastModifiedTime", "Size"})


@dataclass(frozen=True, slots=True)
class ObjectIdentifier:
    """`etag` (without quotes, or "*") is a condition: delete only if the object has it."""

    key: str
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """1 to 1 000 objects; `quiet` asks for errors alone in the answer."""

    objects: Sequence[ObjectIdentifier]
    quiet: bool = False

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML; NotImplemented for conditions on time or size, which directory buckets have."""
        objects: list[ObjectIdentifier] = []
        quiet: bool | None = None
        for name, child in children(read_document(body, "Delete", max_elements=8 * MAX_OBJECTS)):
            if name == "Object" and len(objects) < MAX_OBJECTS:
                members = texts(child, _MEMBERS, ("Key",))
                if "LastModifiedTime" in members or "Size" in members:
                    raise S3Error(
                        "NotImplemented", "Deleting on condition of LastModifiedTime or Size is not implemented."
                    )
                objects.append(_identifier(members))
            elif name == "Quiet" and quiet is None:
                quiet = boolean(text_of(child))
            else:
                raise malformed()
        if not objects:
            raise malformed()
        return cls(tuple(objects), bool(quiet))

    def format(self) -> bytes:
        return document(
            "Delete",
            (
                *(
                    f"<Object><Key>{escape(item.key)}</Key>{element('VersionId', item.version_id)}"
                    f"{_condition(item.etag)}</Object>"
                    for item in self.objects
                ),
                flag("Quiet", self.quiet),
            ),
        )


def _condition(etag: str | None) -> str:
    """In quotes, for an empty tag, which no object has, is not the same as none."""
    if etag is None:
        return ""
    return element("ETag", etag) if etag == "*" else quoted_etag(etag)


def _identifier(members: dict[str, str]) -> ObjectIdentifier:
    if not members["Key"]:
        raise malformed()
    etag = members.get("ETag")
    return ObjectIdentifier(
        key=members["Key"],
        version_id=members.get("VersionId") or None,
        etag=etag.strip().strip('"') if etag else None,
    )


@dataclass(frozen=True, slots=True)
class DeletedObject:
    """`marker_version_id` is that of the delete marker that was made or, with `version_id`, removed."""

    key: str
    version_id: str | None = None
    marker_version_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteError:
    key: str
    version_id: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DeleteResult:
    deleted: Sequence[DeletedObject]
    errors: Sequence[DeleteError]

    def format(self) -> bytes:
        return document(
            "DeleteResult",
            (
                *(
                    f"<Deleted><Key>{escape(item.key)}</Key>{element('VersionId', item.version_id)}"
                    f"{_marker(item)}</Deleted>"
                    for item in self.deleted
                ),
                *(
                    f"<Error><Key>{escape(item.key)}</Key>{element('VersionId', item.version_id)}"
                    f"<Code>{escape(item.code)}</Code><Message>{escape(item.message)}</Message></Error>"
                    for item in self.errors
                ),
            ),
        )


def _marker(item: DeletedObject) -> str:
    if item.marker_version_id is None:
        return ""
    return f"{flag('DeleteMarker', True)}{element('DeleteMarkerVersionId', item.marker_version_id)}"
