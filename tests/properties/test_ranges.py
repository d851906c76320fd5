"""Every range of an object is the slice of its body, however the object is stored."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.properties.encryption import MODES, asked, brought, brought_for_source
from tests.properties.in_process import Store, parts_of_any_size, upload_id_of, upload_in_parts
from tests.properties.strategies import body

SEGMENT = 65_536
SIZES = (0, 1, 2, 1000, 16_384, 16_385, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT + 5)
PARTS = (70_000, 1, SEGMENT, 30_000)
"""Of an object of several blobs, whose borders ranges cross."""


class Objects:
    """Paths, bodies, and how they are encrypted."""

    def __init__(self, found: list[tuple[str, bytes, str]]) -> None:
        self._found = found

    def __getitem__(self, number: int) -> tuple[str, bytes, str]:
        return self._found[number % len(self._found)]


@pytest.fixture(scope="module")
def objects(store: Store) -> Objects:
    bucket = store.new_bucket()
    made: list[tuple[str, bytes, str]] = []
    for encryption in MODES:
        for size in SIZES:
            path, data = f"/{bucket}/{encryption}-{size}", body(size, (encryption, size))
            assert store.ask("PUT", path, headers=asked(encryption), body=data).status == 200
            made.append((path, data, encryption))
        path = f"/{bucket}/{encryption}-parts"
        parts = [body(size, (path, number)) for number, size in enumerate(PARTS)]
        with parts_of_any_size():
            upload_in_parts(store, path, encryption, parts)
        made.append((path, b"".join(parts), encryption))
    return Objects(made)


BORDERS = st.sampled_from((0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 70_000, 70_001, 135_537, 10**12))
OFFSETS = BORDERS | st.integers(0, 200_000)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    number=st.integers(0, 100),
    first=st.none() | OFFSETS,
    last=st.none() | OFFSETS,
    method=st.sampled_from(("GET", "HEAD")),
)
@example(number=0, first=None, last=0, method="GET")
@example(number=10, first=69_999, last=70_001, method="GET")
def test_a_range_is_a_slice(
    store: Store, objects: Objects, number: int, first: int | None, last: int | None, method: str
) -> None:
    path, data, encryption = objects[number]
    written = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    answer = store.ask(method, path, headers={"range": written, **brought(encryption)})
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        assert answer.status == 200  # no range by RFC 9110, section 14.1.1, and ignored
        expected = data
    else:
        start = max(len(data) - (last or 0), 0) if first is None else first
        expected = data[start:] if first is None or last is None else data[start : last + 1]
        if not expected:
            assert answer.status == 416
            return
        assert answer.status == 206, answer.body
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(data)}"
    if method == "GET":
        assert answer.body == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 100), first=OFFSETS, length=st.integers(1, 100_000))
def test_a_copied_range_is_a_slice(store: Store, objects: Objects, number: int, first: int, length: int) -> None:
    path, data, encryption = objects[number]
    bucket = path.split("/")[1]
    target = f"/{bucket}/copy"
    upload_id = upload_id_of(store.ask("POST", target, {"uploads": ""}))
    headers = {"x-amz-copy-source": quote(path), "x-amz-copy-source-range": f"bytes={first}-{first + length - 1}"}
    headers |= brought_for_source(encryption)
    answer = store.ask("PUT", target, {"uploadId": upload_id, "partNumber": "1"}, headers=headers)
    if first + length > len(data):
        assert answer.status == 400
    else:
        assert answer.status == 200, answer.body
        named = f"<Part><PartNumber>1</PartNumber><ETag>{answer.text('ETag')}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        assert store.ask("POST", target, {"uploadId": upload_id}, body=document).status == 200
        assert store.ask("GET", target).body == data[first : first + length]
