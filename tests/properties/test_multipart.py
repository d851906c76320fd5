"""Parts in any order, some of them uploaded again: the object is what the last ones give, one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.encryption import MODES, asked, brought
from tests.properties.in_process import Store, child, children, root, upload_id_of
from tests.properties.strategies import SIZES, body

NUMBERS = st.sampled_from((1, 2, 3, 5, 9_999, 10_000))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    uploaded=st.lists(st.tuples(NUMBERS, SIZES), min_size=1, max_size=10),
    left_out=st.sets(NUMBERS, max_size=2),
    encryption=st.sampled_from(MODES),
    page_size=st.integers(1, 4),
)
def test_the_object_is_the_parts_in_order(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    uploaded: list[tuple[int, int]],
    left_out: set[int],
    encryption: str,
    page_size: int,
) -> None:
    monkeypatch.setattr("gateway.operations.multipart.parts.MIN_PART_BYTES", 0)  # 5 MiB, else
    path = f"/{store.new_bucket()}/k"
    begun = store.ask("POST", path, {"uploads": ""}, headers=asked(encryption))
    upload_id = upload_id_of(begun)
    parts: dict[int, tuple[bytes, str]] = {}
    for count, (number, size) in enumerate(uploaded):
        data = body(size, (path, count))
        named_part = {"uploadId": upload_id, "partNumber": str(number)}
        answer = store.ask("PUT", path, named_part, body=data, headers=brought(encryption))
        assert answer.status == 200, answer.body
        parts[number] = data, answer.headers["ETag"]
    assert list(_listed(store, path, upload_id, page_size)) == [
        (n, len(parts[n][0]), parts[n][1]) for n in sorted(parts)
    ]
    named = sorted(set(parts) - left_out) or sorted(parts)
    document = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{parts[n][1]}</ETag></Part>" for n in named)
    whole = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode()
    answer = store.ask("POST", path, {"uploadId": upload_id}, body=whole)
    assert answer.status == 200, answer.body
    got = store.ask("GET", path, headers=brought(encryption))
    assert got.body == b"".join(parts[number][0] for number in named)
    if encryption == "AES256":
        digests = b"".join(hashlib.md5(parts[n][0], usedforsecurity=False).digest() for n in named)
        assert got.headers["ETag"] == f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(named)}"'
    for place, number in enumerate(named, start=1):
        part = store.ask("GET", path, {"partNumber": str(place)}, headers=brought(encryption))
        if parts[number][0] and named == list(range(1, len(named) + 1)):
            assert (part.status, part.body) == (206, parts[number][0])
            assert part.headers["x-amz-mp-parts-count"] == str(len(named))


def _listed(store: Store, path: str, upload_id: str, page_size: int) -> Iterator[tuple[int, int, str | None]]:
    """Number, size and ETag of each part, page by page."""
    marker: str | None = "0"
    while marker is not None:
        asked = {"uploadId": upload_id, "max-parts": str(page_size), "part-number-marker": marker}
        page = root(store.ask("GET", path, asked))
        found = children(page, "Part")
        assert len(found) <= page_size
        for part in found:
            yield int(child(part, "PartNumber") or 0), int(child(part, "Size") or 0), child(part, "ETag")
        marker = child(page, "NextPartNumberMarker") if child(page, "IsTruncated") == "true" else None
