"""Multipart uploads through the gateway in process, as tests of operations need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.gateway.gateway_in_process import Answer, InProcessGateway


def stored_files(gateway: InProcessGateway) -> set[Path]:
    return {path for path in gateway.blobs_directory.rglob("*") if path.is_file()}


@dataclass(slots=True)
class MultipartUpload:
    gateway: InProcessGateway
    path: str
    upload_id: str
    algorithm: str | None = None
    parts: dict[int, str] = field(default_factory=dict)
    """What CompleteMultipartUpload says of each part besides its number, as XML."""

    async def put(self, number: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        query = {"partNumber": str(number), "uploadId": self.upload_id}
        sent = await self.gateway.call("PUT", self.path, query=query, body=body, headers=headers)
        checksum = sent.headers.get(f"x-amz-checksum-{(self.algorithm or '').lower()}")
        self._note(number, sent.headers.get("ETag"), checksum)
        return sent

    async def copy(self, number: int, source: str, copy_range: str | None = None, **headers: str) -> Answer:
        """`headers` in snake case, without their `x-amz-copy-source-`."""
        named = {f"x-amz-copy-source-{name.replace('_', '-')}": value for name, value in headers.items()}
        if copy_range is not None:
            named["x-amz-copy-source-range"] = copy_range
        return await self.copy_by(number, {"x-amz-copy-source": source, **named})

    async def copy_by(self, number: int, headers: Mapping[str, str]) -> Answer:
        query = {"partNumber": str(number), "uploadId": self.upload_id}
        answer = await self.gateway.call("PUT", self.path, query=query, headers=headers)
        if answer.status == 200:
            self._note(number, answer.text("ETag"), answer.text(f"Checksum{self.algorithm}"))
        return answer

    def _note(self, number: int, etag: str | None, checksum: str | None) -> None:
        name = f"Checksum{self.algorithm}"
        self.parts[number] = f"<ETag>{etag}</ETag>" + (f"<{name}>{checksum}</{name}>" if checksum else "")

    async def complete(self, headers: Mapping[str, str] | None = None) -> Answer:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber>{more}</Part>" for number, more in sorted(self.parts.items())
        )
        document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query = {"uploadId": self.upload_id}
        return await self.gateway.call("POST", self.path, query=query, body=document, headers=headers)

    async def abort(self) -> Answer:
        return await self.gateway.call("DELETE", self.path, query={"uploadId": self.upload_id})


async def begin(gateway: InProcessGateway, path: str, headers: Mapping[str, str] | None = None) -> MultipartUpload:
    created = await gateway.call("POST", path, query={"uploads": ""}, headers=headers)
    upload_id = created.text("UploadId")
    assert created.status == 200 and upload_id is not None, created.body
    return MultipartUpload(gateway, path, upload_id, created.headers.get("x-amz-checksum-algorithm"))
