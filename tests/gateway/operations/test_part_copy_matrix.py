"""UploadPartCopy from each mode into uploads of each, in process, against the model of `copy_model`.

Whole sources and ranges, of one body and of parts, with and without versions and checksums, before and after the KMS
keys were rotated. A part never shares ciphertext.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from gateway.storage.index.records import ObjectRow
from tests.clients.digests import checksum
from tests.gateway.gateway_in_process import Answer
from tests.gateway.operations.copy_model import PartCase, is_etag, part_cases
from tests.gateway.operations.copy_world import World, Written, bucket_path, in_small_letters, told
from tests.gateway.operations.uploads import MultipartUpload, begin
from tests.properties.encryption import MODES


@dataclass(frozen=True, slots=True)
class CopyingParts:
    """One case, its source written and its upload begun."""

    world: World
    case: PartCase
    source: Written
    row: ObjectRow
    upload: MultipartUpload

    @classmethod
    async def prepare(cls, world: World, case: PartCase, key: str) -> CopyingParts:
        path = f"{bucket_path('source', is_versioned=case.is_versioned, shares=True)}/{key}"
        source = await world.put(path, case.source, case.pieces)
        target = f"{bucket_path('another bucket', is_versioned=not case.is_versioned, shares=True)}/{key}"
        algorithm = {"x-amz-checksum-algorithm": "CRC32"} if case.has_algorithm else {}
        upload = await begin(world.gateway, target, {**case.target.asked(world.keys), **algorithm})
        return cls(world, case, source, await world.row(path), upload)

    async def check(self) -> None:
        etags = []
        for number, (span, part) in enumerate(self.case.parts, 1):
            await self._check_refusals(number)
            answer = await self._copy(number, span, self.case.source.brought_for_source)
            self._check_answer(answer, part)
            etags.append(answer.text("ETag") or "")
        await self.world.delete(self.source)
        done = await self.upload.complete(self.case.target.brought if self.case.has_algorithm else {})
        assert done.status == 200, done.body
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
        assert done.text("ETag") == f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"'
        await self._check_object(done)

    async def _copy(self, number: int, span: str | None, bringing: Mapping[str, str]) -> Answer:
        return await self.upload.copy_by(
            number,
            {
                "x-amz-copy-source": self.source.path,
                "x-amz-copy-source-if-match": self.source.etag,
                **({} if span is None else {"x-amz-copy-source-range": span}),
                **self.case.target.brought,
                **bringing,
            },
        )

    async def _check_refusals(self, number: int) -> None:
        for bringing, refusal in self.case.source.refused_keys:
            answer = await self._copy(number, None, bringing)
            assert (answer.status, answer.code) == refusal, answer.body
        assert number not in self.upload.parts

    def _check_answer(self, answer: Answer, part: bytes) -> None:
        assert answer.status == 200, answer.body
        assert is_etag(answer.text("ETag"), part, self.case.target)
        assert answer.text("ChecksumCRC32") == (checksum("CRC32", part) if self.case.has_algorithm else None)
        expected = self.case.target.echoed(self.world.keys)
        if self.source.version_id is not None:
            expected["x-amz-copy-source-version-id"] = self.source.version_id
        told = in_small_letters(answer.headers)
        assert {name: value for name, value in told.items() if name.startswith("x-amz-")} == expected

    async def _check_object(self, done: Answer) -> None:
        """As whole and by parts; the upload was begun before the keys were rotated, and so its data key stays."""
        world, case = self.world, self.case
        row = await world.row(self.upload.path)
        world.check_wrap(row, case.target, version=1)
        assert set(row.blob_ids).isdisjoint(self.row.blob_ids)
        assert world.references(row.blob_ids) == {1}
        brought = case.target.brought
        got = await world.gateway.call("GET", self.upload.path, headers=brought)
        assert (got.status, got.body) == (200, b"".join(part for _, part in case.parts))
        assert case.target.echoed(world.keys).items() <= in_small_letters(got.headers).items()
        for number, (_, part) in enumerate(case.parts, 1):
            query = {"partNumber": str(number)}
            found = await world.gateway.call("GET", self.upload.path, query=query, headers=brought)
            assert (found.status, found.body) == (206, part)
        version_id = done.headers.get("x-amz-version-id")
        assert (version_id is None) == case.is_versioned
        await world.delete(Written(self.upload.path, "", version_id, brought))


@pytest.mark.parametrize("mode", MODES)
async def test_parts_are_what_the_model_says(world: World, mode: str) -> None:
    for number, case in enumerate(part_cases(mode, is_rotated=False)):
        with told(case):
            await (await CopyingParts.prepare(world, case, str(number))).check()
    later = [
        await CopyingParts.prepare(world, case, str(number))
        for number, case in enumerate(part_cases(mode, is_rotated=True))
    ]
    await world.rotate()
    for copying in later:
        with told(copying.case):
            await copying.check()
    await world.check_nothing_is_left()
