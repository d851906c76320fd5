"""A database lost in its commit: nobody knows whether the row is there, so what it would name must stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.storage.errors import OutcomeUnknown, StorageUnavailable
from tests.gateway.gateway_in_process import InProcessGateway, in_process_gateway

BODY = b"x" * 100_000


@pytest.mark.parametrize(
    ("error", "is_committed", "stays"),
    [(OutcomeUnknown, True, True), (OutcomeUnknown, False, True), (StorageUnavailable, False, False)],
)
async def test_the_blob_of_a_row_that_may_be_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[StorageUnavailable], is_committed: bool, stays: bool
) -> None:
    async with in_process_gateway(tmp_path) as gateway:
        assert (await gateway.call("PUT", "/photos")).status == 200
        commit = gateway.index.put_object

        async def lose(*arguments: object, **keywords: object) -> None:
            if is_committed:
                await commit(*arguments, **keywords)  # type: ignore[arg-type]
            raise error("lost")

        with monkeypatch.context() as patched:
            patched.setattr(gateway.index, "put_object", lose)
            answer = await gateway.call("PUT", "/photos/key", body=BODY)
        assert answer.status == 503
        assert len(_blobs(gateway)) == int(stays)
        read = await gateway.call("GET", "/photos/key")
        assert (read.status, read.body == BODY) == ((200, True) if is_committed else (404, False))


def _blobs(gateway: InProcessGateway) -> list[Path]:
    return [path for path in (gateway.blobs_directory / "blobs").rglob("*") if path.is_file()]
