"""Checksums, ETags and GetObjectAttributes in every mode: of objects in one piece, in parts, and of copies of both.

What the answers must be is told by digests of the tests' own (`tests.clients.digests`). API_GetObjectAttributes,
API_HeadObject, and User Guide, "Checking object integrity in Amazon S3".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from gateway.operations.multipart import parts as parts_of_an_upload
from tests.clients.checks import base64_of, md5_hex
from tests.clients.digests import DIGESTS, checksum, header
from tests.properties.encryption import MODES, asked, brought, brought_for_source
from tests.properties.in_process import Store, child, children, root, running_store, upload_id_of
from tests.properties.strategies import body

SIZES = {"empty": 0, "inline": 1000, "blob": 70_000}
PARTS = (body(40_000, "first"), body(70_000, "second"), body(1, "last"))
WHOLE = b"".join(PARTS)
OF_WHOLE = ("CRC32", "CRC32C", "CRC64NVME")
OF_PARTS = ("CRC32", "CRC32C", "SHA1", "SHA256")
IN_PARTS = [*((name, "FULL_OBJECT") for name in OF_WHOLE), *((name, "COMPOSITE") for name in OF_PARTS)]
EVERYTHING = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
OPAQUE = re.compile('"[0-9a-f]{32}"')


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Parts may have any size."""
    with pytest.MonkeyPatch.context() as patch, running_store(tmp_path_factory.mktemp("attributes")) as made:
        patch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)
        yield made


@pytest.fixture(scope="module")
def bucket(store: Store) -> str:
    return store.new_bucket()


@dataclass(frozen=True)
class Expected:
    """`checksum` is without its number of parts, of which `parts` has size and checksum, if they have any."""

    size: int
    algorithm: str
    checksum: str
    kind: str = "FULL_OBJECT"
    part_count: int = 0
    parts: tuple[tuple[int, str], ...] = ()

    @property
    def header(self) -> str:
        return f"{self.checksum}-{self.part_count}" if self.kind == "COMPOSITE" else self.checksum


def whole(data: bytes, algorithm: str) -> Expected:
    return Expected(len(data), algorithm, checksum(algorithm, data))


def in_parts(parts: tuple[bytes, ...], algorithm: str, kind: str) -> Expected:
    """A composite checksum is the digest of the parts' digests."""
    if kind == "FULL_OBJECT":
        found = checksum(algorithm, b"".join(parts))
        return Expected(sum(map(len, parts)), algorithm, found, kind, len(parts))
    of_parts = [checksum(algorithm, part) for part in parts]
    found = base64_of(DIGESTS[algorithm](b"".join(map(base64.b64decode, of_parts))))
    told = tuple(zip(map(len, parts), of_parts, strict=True))
    return Expected(sum(map(len, parts)), algorithm, found, kind, len(parts), told)


def check(store: Store, path: str, mode: str, expected: Expected, etag: str) -> None:
    """What HEAD, GET and GetObjectAttributes tell, and that they tell it to whoever brings the object's key alone."""
    name = f"Checksum{expected.algorithm}"
    for method in ("HEAD", "GET"):
        answer = store.ask(method, path, headers={**brought(mode), "x-amz-checksum-mode": "ENABLED"})
        assert (answer.status, answer.headers["ETag"]) == (200, etag)
        told = {key.lower(): value for key, value in answer.headers.items() if key.lower().startswith("x-amz-checksum")}
        assert told == {header(expected.algorithm): expected.header, "x-amz-checksum-type": expected.kind}
        silent = store.ask(method, path, headers=brought(mode))
        assert not any(key.lower().startswith("x-amz-checksum") for key in silent.headers)
    answer = store.ask("GET", path, {"attributes": ""}, headers={**brought(mode), **EVERYTHING})
    assert answer.status == 200, answer.body
    document = root(answer)
    assert f'"{child(document, "ETag")}"' == etag
    assert child(document, "ObjectSize") == str(expected.size)
    assert child(document, "StorageClass") == "STANDARD"
    (of_object,) = children(document, "Checksum")
    assert {each.tag.rpartition("}")[2]: each.text for each in of_object} == {
        name: expected.checksum,
        "ChecksumType": expected.kind,
    }
    found = children(document, "ObjectParts")
    assert [child(each, "PartsCount") for each in found] == ([str(expected.part_count)] if expected.part_count else [])
    parts = [part for each in found for part in children(each, "Part")]
    assert [child(part, "PartNumber") for part in parts] == [str(n) for n in range(1, len(expected.parts) + 1)]
    assert [(int(child(part, "Size") or ""), child(part, name)) for part in parts] == list(expected.parts)
    if brought(mode):
        refused = store.ask("GET", path, {"attributes": ""}, headers=EVERYTHING)
        assert (refused.status, refused.code) == (400, "InvalidRequest")


def is_right_etag(etag: str, mode: str, data: bytes) -> bool:
    """Of an object that was written, or copied, in one piece."""
    is_md5 = etag == f'"{md5_hex(data)}"'
    return OPAQUE.fullmatch(etag) is not None and is_md5 == (mode == "AES256")


def upload(store: Store, path: str, headers: Mapping[str, str], mode: str, algorithm: str) -> tuple[str, str]:
    """PARTS, each with its checksum; the answer's ETag and checksum."""
    upload_id = upload_id_of(store.ask("POST", path, {"uploads": ""}, headers={**headers, **asked(mode)}))
    named = ""
    for number, part in enumerate(PARTS, 1):
        sums = {header(algorithm): checksum(algorithm, part)}
        query = {"uploadId": upload_id, "partNumber": str(number)}
        sent = store.ask("PUT", path, query, headers={**brought(mode), **sums}, body=part)
        assert sent.status == 200, sent.body
        assert is_right_etag(sent.headers["ETag"], mode, part)
        told = f"<Checksum{algorithm}>{checksum(algorithm, part)}</Checksum{algorithm}>"
        named += f"<Part><PartNumber>{number}</PartNumber><ETag>{sent.headers['ETag']}</ETag>{told}</Part>"
    document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    done = store.ask("POST", path, {"uploadId": upload_id}, headers=brought(mode), body=document)
    assert done.status == 200, done.body
    return done.text("ETag") or "", done.text(f"Checksum{algorithm}") or ""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_an_object_in_one_piece(store: Store, bucket: str, mode: str, size: str) -> None:
    """By each algorithm of its own, and without one, when it is CRC64NVME."""
    path, data = f"/{bucket}/one-{mode}-{size}", body(SIZES[size], size)
    for algorithm in (*DIGESTS, None):
        expected = whole(data, algorithm or "CRC64NVME")
        given = {} if algorithm is None else {header(algorithm): expected.checksum}
        put = store.ask("PUT", path, headers={**asked(mode), **given}, body=data)
        assert put.status == 200, put.body
        assert is_right_etag(put.headers["ETag"], mode, data)
        assert put.headers[header(expected.algorithm)] == expected.checksum
        check(store, path, mode, expected, put.headers["ETag"])


@pytest.mark.parametrize(("algorithm", "kind"), IN_PARTS)
@pytest.mark.parametrize("mode", MODES)
def test_an_object_in_parts(store: Store, bucket: str, mode: str, algorithm: str, kind: str) -> None:
    path = f"/{bucket}/parts-{mode}-{algorithm}-{kind}"
    chosen = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    etag, told = upload(store, path, chosen, mode, algorithm)
    expected = in_parts(PARTS, algorithm, kind)
    assert re.fullmatch('"[0-9a-f]{32}-3"', etag)
    assert told == expected.header
    check(store, path, mode, expected, etag)


@pytest.mark.parametrize("target", MODES)
@pytest.mark.parametrize("source", MODES)
def test_copies(store: Store, bucket: str, source: str, target: str) -> None:
    """A copy is one object, with a checksum of it all: by its source's algorithm, or by the one that is asked for."""
    path, copy = f"/{bucket}/source-{source}", f"/{bucket}/copy-{source}-{target}"
    by = {"x-amz-copy-source": path, **brought_for_source(source), **asked(target)}
    for algorithm, kind in (("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE")):
        chosen = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
        upload(store, path, chosen, source, algorithm)
        for asks in (None, "SHA1"):
            more = {"x-amz-checksum-algorithm": asks} if asks else {}
            answer = store.ask("PUT", copy, headers={**by, **more})
            expected = whole(WHOLE, asks or algorithm)
            assert answer.status == 200, answer.body
            assert answer.text(f"Checksum{expected.algorithm}") == expected.checksum
            etag = answer.text("ETag") or ""
            assert is_right_etag(etag, target, WHOLE)
            check(store, copy, target, expected, etag)


@pytest.mark.parametrize("target", MODES)
@pytest.mark.parametrize("source", MODES)
def test_parts_that_are_copied(store: Store, bucket: str, source: str, target: str) -> None:
    path, made = f"/{bucket}/whole-{source}", f"/{bucket}/of-copies-{source}-{target}"
    assert store.ask("PUT", path, headers=asked(source), body=WHOLE).status == 200
    chosen = {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "COMPOSITE"}
    upload_id = upload_id_of(store.ask("POST", made, {"uploads": ""}, headers={**chosen, **asked(target)}))
    by = {"x-amz-copy-source": path, **brought_for_source(source), **brought(target)}
    pieces, named = (WHOLE[:50_000], WHOLE), ""
    for number, piece in enumerate(pieces, 1):
        ranged = {} if piece == WHOLE else {"x-amz-copy-source-range": f"bytes=0-{len(piece) - 1}"}
        query = {"uploadId": upload_id, "partNumber": str(number)}
        answer = store.ask("PUT", made, query, headers={**by, **ranged})
        assert answer.text("ChecksumSHA256") == checksum("SHA256", piece), answer.body
        told = f"<ChecksumSHA256>{checksum('SHA256', piece)}</ChecksumSHA256>"
        named += f"<Part><PartNumber>{number}</PartNumber><ETag>{answer.text('ETag')}</ETag>{told}</Part>"
    document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    done = store.ask("POST", made, {"uploadId": upload_id}, headers=brought(target), body=document)
    assert done.status == 200, done.body
    check(store, made, target, in_parts(pieces, "SHA256", "COMPOSITE"), done.text("ETag") or "")
