"""Tagging: the tag set of an object or a bucket (API_PutObjectTagging, API_PutBucketTagging), and S3 Control's two.

Source of those: API_control_TagResource, API_control_ListTagsForResource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from gateway.protocol import control
from gateway.protocol.tags import BUCKET_TAGS, TagRules, tag_set
from gateway.protocol.xml.reader import Element, children, malformed, read_document, texts
from gateway.protocol.xml.writer import document, element

MAX_ELEMENTS = 1024
"""Some 300 tags: enough to tell that they are too many, where the document of a hostile client is just malformed."""

_TAG = frozenset({"Key", "Value"})


@dataclass(frozen=True, slots=True)
class Tagging:
    tags: Mapping[str, str]

    @classmethod
    def parse(cls, body: bytes, rules: TagRules) -> Self:
        """A document without TagSet holds no tags (recorded). Raises S3Error MalformedXML, and what `tag_set` does."""
        sets = list(children(read_document(body, "Tagging", max_elements=MAX_ELEMENTS)))
        if len(sets) > 1 or any(name != "TagSet" for name, _ in sets):
            raise malformed()
        return cls(tag_set([pair for _, each in sets for pair in tag_pairs(each)], rules))

    def format(self) -> bytes:
        return document("Tagging", (f"<TagSet>{format_tags(self.tags)}</TagSet>",))


@dataclass(frozen=True, slots=True)
class TagResourceRequest:
    tags: Mapping[str, str]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises S3Error MalformedXML, and what `tag_set` does."""
        lists = list(children(read_document(body, "TagResourceRequest", max_elements=MAX_ELEMENTS)))
        if len(lists) != 1 or lists[0][0] != "Tags":
            raise malformed()
        return cls(tag_set(tag_pairs(lists[0][1]), BUCKET_TAGS))


@dataclass(frozen=True, slots=True)
class ResourceTags:
    """The answer of ListTagsForResource."""

    tags: Mapping[str, str]

    def format(self) -> bytes:
        content = f"<Tags>{format_tags(self.tags)}</Tags>"
        return document("ListTagsForResourceResult", (content,), namespace=control.NAMESPACE)


def tag_pairs(parent: Element) -> Iterator[tuple[str, str]]:
    """Key and value of each Tag, as written: `tag_set` checks them. Raises S3Error MalformedXML."""
    for name, child in children(parent):
        if name != "Tag":
            raise malformed()
        members = texts(child, _TAG, _TAG)
        yield members["Key"], members["Value"]


def format_tags(tags: Mapping[str, str]) -> str:
    """One Tag element for each."""
    return "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items())
