"""Documents of configurations that buckets do not have here: as S3 writes them for a bucket that has none."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.xml.reader import children, read_document
from gateway.protocol.xml.writer import document, flag


@dataclass(frozen=True, slots=True)
class EmptyDocument:
    """BucketLoggingStatus or NotificationConfiguration of a bucket that logs and notifies nothing."""

    root: str

    def format(self) -> bytes:
        return document(self.root, ())


@dataclass(frozen=True, slots=True)
class EmptyList:
    """A list of configurations (analytics, inventory, metrics, …) without entries. `root` differs for each of them."""

    root: str

    def format(self) -> bytes:
        return document(self.root, (flag("IsTruncated", False),))


def is_empty(body: bytes, root: str) -> bool:
    """Whether a document asks for nothing, as those do by which logging and notifications are switched off.

    Raises S3Error MalformedXML.
    """
    return not any(children(read_document(body, root, max_elements=4096)))
