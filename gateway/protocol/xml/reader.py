"""Reading XML that a client sent: bounded, without entities or DTDs, strict about structure, lenient about namespaces.

lxml builds the tree; before it does, the text is bounded in bytes, tags and attributes, so that the tree is bounded too
(libxml2 itself stops at a depth of 256).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TypeAlias

from lxml import etree

from gateway.protocol.errors import S3Error

Element: TypeAlias = etree._Element

MAX_DOCUMENT_BYTES = 3 << 20
"""A CompleteMultipartUpload of 10 000 parts with SHA-512 checksums has 2.2 MB, a Delete of 1 000 long keys 1.1 MB."""

_ATTRIBUTE = re.compile(rb"=[ \t\r\n]*[\"']")
_SPACE = frozenset(" \t\r\n")


def malformed() -> S3Error:
    return S3Error("MalformedXML")


def read_document(body: bytes, root: str, *, max_elements: int = 256, max_bytes: int = MAX_DOCUMENT_BYTES) -> Element:
    """Parse a UTF-8 document whose root element has the local name `root`. Raises S3Error MalformedXML."""
    if not body or len(body) > max_bytes or body.count(b"<") > 2 * max_elements + 16:
        raise malformed()
    if len(_ATTRIBUTE.findall(body)) > max_elements:
        raise malformed()
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise malformed()
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the declaration says: the checks above are about these bytes
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        element = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise malformed() from None
    if local_name(element) != root:
        raise malformed()
    return element


def local_name(element: Element) -> str:
    """Every node is an element: comments and instructions are dropped, entities need a DTD, and DTDs are refused."""
    return element.tag.rpartition("}")[2]


def children(element: Element) -> Iterator[tuple[str, Element]]:
    """Child elements with their local names; no text may stand between them. Raises S3Error MalformedXML."""
    _blank(element.text)
    for child in element:
        _blank(child.tail)
        yield local_name(child), child


def text_of(element: Element) -> str:
    """The text of an element that has no children, exactly as written. Raises S3Error MalformedXML."""
    if len(element):
        raise malformed()
    return element.text or ""


def texts(element: Element, allowed: Collection[str], required: Collection[str] = ()) -> dict[str, str]:
    """A flat element as a map: each child at most once, each of `allowed`. Raises S3Error MalformedXML."""
    found: dict[str, str] = {}
    _blank(element.text)
    for child in element:  # as `children` and `text_of`, written out: 40 000 of them in the longest documents
        name, tail = child.tag.rpartition("}")[2], child.tail
        if len(child) or name in found or name not in allowed or (tail and not _SPACE.issuperset(tail)):
            raise malformed()
        found[name] = child.text or ""
    for name in required:
        if name not in found:
            raise malformed()
    return found


def integer(text: str) -> int:
    """A decimal integer of at most 18 digits, not negative. Raises S3Error MalformedXML."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise malformed()
    return int(digits)


def boolean(text: str) -> bool:
    """true, false, 1 or 0 (xs:boolean; capitals are tolerated as S3 does). Raises S3Error MalformedXML."""
    value = text.strip().lower()
    if value not in ("true", "false", "1", "0"):
        raise malformed()
    return value in ("true", "1")


def _blank(text: str | None) -> None:
    if text and not _SPACE.issuperset(text):
        raise malformed()
