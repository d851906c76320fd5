"""Every copy there is, in process, against a model of what AWS answers; and what lies underneath.

From and to each mode, under the same and another key, of one body and of parts, with and without versions, onto itself,
elsewhere and into another account, with each metadata directive; sharing ciphertext and not; before and after the keys
were rotated. Over real sockets some of them are `tests/clients/test_copy_matrix.py`.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from gateway.storage.errors import NoSuchKey
from gateway.storage.index.records import ObjectRow
from tests.gateway.gateway_in_process import Answer
from tests.gateway.operations.copy_model import (
    ELSEWHERE,
    PIECES,
    REQUEST_HEADERS,
    SHARED,
    Case,
    Encryption,
    cases,
    default_cases,
    is_etag,
    targets,
)
from tests.gateway.operations.copy_world import World, Written, bucket_path, in_small_letters, told
from tests.properties.encryption import MODES, SSE

S = 65536
SIZES = (0, 1, S - 1, S, S + 1, 2 * S, 4 * S, 4 * S + 1)


@dataclass(frozen=True, slots=True)
class Copying:
    """One case, its source written."""

    world: World
    case: Case
    source: Written
    row: ObjectRow

    @classmethod
    async def prepare(cls, world: World, case: Case, key: str) -> Copying:
        shares = case.shares or case.place in ELSEWHERE
        path = f"{bucket_path('source', is_versioned=case.is_versioned, shares=shares)}/{key}"
        stored = {"x-amz-storage-class": case.storage_class}
        source = await world.put(path, case.source, case.pieces, stored)
        return cls(world, case, source, await world.row(path))

    @property
    def path(self) -> str:
        """Of the copy."""
        if self.case.is_itself:
            return self.source.path
        place = self.case.place if self.case.place in ELSEWHERE else "source"
        bucket = bucket_path(place, is_versioned=self.case.is_target_versioned, shares=self.case.shares)
        return f"{bucket}/{self.source.path.rpartition('/')[2]}-copy"

    async def check(self) -> None:
        """Copy, and hold all that can be seen of it against the model."""
        await self._check_refusals()
        answer = await self._copy(self.case.source.brought_for_source)
        if self.case.is_illegal:
            assert (answer.status, answer.code) == (400, "InvalidRequest"), answer.body
            assert await self.world.row(self.path) == self.row
            await self.world.delete(self.source)
            return
        assert answer.status == 200, answer.body
        self._check_answer(answer)
        await self._check_rows()
        await self._check_object(answer)
        await self._check_independence(answer)

    async def _copy(self, bringing: Mapping[str, str]) -> Answer:
        """`bringing` are the headers about the source's key."""
        headers = {
            "x-amz-copy-source": self.source.path,
            "x-amz-copy-source-if-match": self.source.etag,
            "x-amz-metadata-directive": "REPLACE" if self.case.replaces else "COPY",
            **REQUEST_HEADERS,
            **self.case.target.asked(self.world.keys),
            **bringing,
        }
        return await self.world.gateway.call("PUT", self.path, headers=headers)

    async def _check_refusals(self) -> None:
        """Whatever key the copy brings but the source's, nothing is written."""
        for bringing, refusal in self.case.source.refused_keys:
            answer = await self._copy(bringing)
            assert (answer.status, answer.code) == refusal, answer.body
            if self.case.is_itself:
                assert await self.world.row(self.path) == self.row
            else:
                with pytest.raises(NoSuchKey):
                    await self.world.row(self.path)

    def _check_answer(self, answer: Answer) -> None:
        case, told = self.case, in_small_letters(answer.headers)
        assert is_etag(answer.text("ETag"), case.body, case.target)
        assert answer.text(f"Checksum{case.algorithm}") == case.checksum
        assert answer.text("ChecksumType") == "FULL_OBJECT"
        context, version_id = told.pop(f"{SSE}-context", None), told.pop("x-amz-version-id", None)
        assert (json.loads(base64.b64decode(context)) if context else None) == case.target.context
        assert (version_id is not None and version_id != self.source.version_id) == case.is_target_versioned
        expected = case.target.echoed(self.world.keys)
        if self.source.version_id is not None:
            expected["x-amz-copy-source-version-id"] = self.source.version_id
        assert {name: value for name, value in told.items() if name.startswith("x-amz-")} == expected

    async def _check_rows(self) -> None:
        """The data key is the source's exactly where it may be, under a wrap of its own, by the newest material."""
        case, world = self.case, self.world
        row = await world.row(self.path)
        world.check_wrap(row, case.target, version=2 if case.is_rotated else 1)
        assert row.row_uid != self.row.row_uid
        assert row.wrap.wrapped != self.row.wrap.wrapped
        is_source_there = case.is_versioned or not case.is_itself
        if case.shares_blobs:
            assert row.blob_ids == self.row.blob_ids
            assert world.references(row.blob_ids) == {2 if is_source_there else 1}
        else:
            assert set(row.blob_ids).isdisjoint(self.row.blob_ids)
            assert world.references(row.blob_ids) == {1}
            assert world.references(self.row.blob_ids) == {1 if is_source_there else 0}

    async def _check_object(self, answer: Answer) -> None:
        """All that is told of the copy; what was of parts has one now, which is read across their border as well."""
        case, call, brought = self.case, self.world.gateway.call, self.case.target.brought
        got = await call("GET", self.path, headers={**brought, "x-amz-checksum-mode": "ENABLED"})
        assert (got.status, got.body) == (200, case.body)
        told = in_small_letters(got.headers)
        version = {"x-amz-version-id": answer.headers["x-amz-version-id"]} if case.is_target_versioned else {}
        assert told.pop("last-modified")
        assert told == {
            "etag": answer.text("ETag"),
            "accept-ranges": "bytes",
            f"x-amz-checksum-{case.algorithm.lower()}": case.checksum,
            "x-amz-checksum-type": "FULL_OBJECT",
            **case.described,
            **case.target.echoed(self.world.keys),
            **version,
        }
        head = await call("HEAD", self.path, headers={**brought, "x-amz-checksum-mode": "ENABLED"})
        assert (head.status, head.headers) == (200, got.headers)
        if case.is_multipart:
            part = await call("GET", self.path, query={"partNumber": "1"}, headers=brought)
            assert (part.status, part.body) == (206, case.body)
            assert "x-amz-mp-parts-count" not in part.headers
            border = len(case.pieces[0])
            span = {"Range": f"bytes={border - 3}-{border + 2}"}
            some = await call("GET", self.path, headers={**brought, **span})
            assert (some.status, some.body) == (206, case.body[border - 3 : border + 3])

    async def _check_independence(self, answer: Answer) -> None:
        """Whichever of the two is deleted takes nothing from the other."""
        world, case = self.world, self.case
        version_id = answer.headers.get("x-amz-version-id")
        copy = Written(self.path, answer.text("ETag") or "", version_id, case.target.brought)
        if case.is_itself and not case.is_versioned:
            await world.delete(copy)
            return
        first, second = (copy, self.source) if case.replaces else (self.source, copy)
        await world.delete(first)
        left = await world.gateway.call("GET", second.path, query=second.query, headers=second.brought)
        assert (left.status, left.body) == (200, case.body)
        assert left.headers["ETag"] == second.etag
        await world.delete(second)


@pytest.mark.parametrize("mode", MODES)
async def test_copies_are_what_the_model_says(world: World, mode: str) -> None:
    for number, case in enumerate(cases(mode, is_rotated=False)):
        with told(case):
            await (await Copying.prepare(world, case, str(number))).check()
    later = [
        await Copying.prepare(world, case, str(number)) for number, case in enumerate(cases(mode, is_rotated=True))
    ]
    await world.rotate()
    for copying in later:
        with told(copying.case):
            await copying.check()
    await world.check_nothing_is_left()


async def test_copies_take_what_the_bucket_says(world: World) -> None:
    bucket = bucket_path("source", is_versioned=False, shares=True)
    for number, case in enumerate(default_cases()):
        await world.encrypt_by_default(bucket, case.target)
        with told(case):
            await (await Copying.prepare(world, case, str(number))).check()
    await world.check_nothing_is_left()


@pytest.mark.parametrize("shares", [True, False], ids=["share", "reencrypt"])
async def test_bodies_of_every_size(world: World, shares: bool) -> None:
    """Around the borders of segments and of what is sealed at a time, from each mode to each."""
    bucket = bucket_path("source", is_versioned=False, shares=shares)
    for size, mode in itertools.product(SIZES, MODES):
        body, source = bytes(range(251)) * (size // 251 + 1), Encryption(mode)
        written = await world.put(f"{bucket}/source", source, [body[:size]])
        for target in targets():
            headers = {
                "x-amz-copy-source": written.path,
                **target.asked(world.keys),
                **source.brought_for_source,
            }
            answer = await world.gateway.call("PUT", f"{bucket}/copy", headers=headers)
            got = await world.gateway.call("GET", f"{bucket}/copy", headers=target.brought)
            with told((size, mode, target)):
                assert answer.status == 200, answer.body
                assert (got.status, got.body) == (200, body[:size])
                assert is_etag(answer.text("ETag"), body[:size], target)


@pytest.mark.parametrize("shares", [True, False], ids=["share", "reencrypt"])
async def test_data_keys_are_shared_with_the_blobs_alone(world: World, shares: bool) -> None:
    """What is sealed anew is so under a data key of its own, in both layers where there are two."""
    bucket = bucket_path("source", is_versioned=False, shares=shares)
    for mode, target in itertools.product(MODES, targets()):
        source = Encryption(mode)
        written = await world.put(f"{bucket}/source", source, PIECES[:1])
        headers = {"x-amz-copy-source": written.path, **target.asked(world.keys), **source.brought_for_source}
        answer = await world.gateway.call("PUT", f"{bucket}/copy", headers=headers)
        old, new = await world.data_keys(f"{bucket}/source", source), await world.data_keys(f"{bucket}/copy", target)
        with told((mode, target)):
            assert answer.status == 200, answer.body
            could_share = mode in SHARED and target.mode in (None, *SHARED)
            assert (old == new) == (shares and could_share)
            assert old == new or old.isdisjoint(new)
            assert len(new) == (2 if target.mode == "aws:kms:dsse" else 1)
