"""Objects of known bodies, and what every range and part of them must be answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.gateway.gateway_in_process import Answer
from tests.properties.encryption import asked, brought
from tests.properties.in_process import Store, upload_in_parts
from tests.properties.strategies import body


def sizes(segment: int) -> tuple[int, ...]:
    """Of bodies, around the borders of segments of `segment` bytes."""
    return (0, 1, segment - 1, segment, segment + 1, 2 * segment)


@dataclass(frozen=True)
class Stored:
    """An object, and the bodies of its parts if it came in some."""

    store: Store
    path: str
    encryption: str
    data: bytes
    parts: Sequence[bytes] = ()

    def get(self, *, method: str = "GET", query: dict[str, str] | None = None, **headers: str) -> Answer:
        answer = self.store.ask(method, self.path, query, headers={**headers, **brought(self.encryption)})
        assert "Content-Range" not in answer.headers or answer.status == 206
        return answer

    def check_range(self, first: int | None, last: int | None, method: str = "GET") -> None:
        """One with `first`, `last` or both, by RFC 9110, section 14.1.2."""
        written = f"bytes={'' if first is None else first}-{'' if last is None else last}"
        answer, size = self.get(method=method, Range=written), len(self.data)
        if first is None:
            assert last is not None
            start, end = max(size - last, 0), size
        else:
            start, end = first, size if last is None else min(last + 1, size)
        if start >= end:
            assert answer.status == 416, written
            if method == "GET":
                assert answer.code == "InvalidRange", written
                assert (answer.text("RangeRequested"), answer.text("ActualObjectSize")) == (written, str(size))
            return
        assert answer.status == 206, (written, answer.body)
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}", written
        if method == "GET":
            assert answer.body == self.data[start:end], written

    def check_parts(self) -> None:
        """By number; an object that came whole is one part. No range at all is the whole object."""
        whole = self.get()
        assert (whole.status, whole.body) == (200, self.data)
        bodies, offset = self.parts or [self.data], 0
        for number, part in enumerate(bodies, 1):
            answer = self.get(query={"partNumber": str(number)})
            assert answer.status == (206 if self.parts or part else 200), number
            assert answer.body == part, number
            told = f"bytes {offset}-{offset + len(part) - 1}/{len(self.data)}" if part else None
            assert answer.headers.get("Content-Range") == told, number
            count = str(len(self.parts)) if self.parts else None
            assert answer.headers.get("x-amz-mp-parts-count") == count
            offset += len(part)
        beyond = self.get(query={"partNumber": str(len(bodies) + 1)})
        assert (beyond.status, beyond.code) == (416, "InvalidPartNumber")


def put(store: Store, bucket: str, encryption: str, size: int) -> Stored:
    path, data = f"/{bucket}/{size}", body(size, (encryption, size))
    assert store.ask("PUT", path, headers=asked(encryption), body=data).status == 200
    return Stored(store, path, encryption, data)


def upload(store: Store, bucket: str, encryption: str, of: Sequence[int]) -> Stored:
    path = f"/{bucket}/{'+'.join(map(str, of))}"
    parts = [body(size, (path, number)) for number, size in enumerate(of)]
    upload_in_parts(store, path, encryption, parts)
    return Stored(store, path, encryption, b"".join(parts), parts)
