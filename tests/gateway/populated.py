"""A gateway in process with objects of every kind and mode, for what must hold of all that is stored."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.operations.documents import ObjectDocument, PartEntry
from gateway.protocol.modes import Mode
from gateway.storage.index.interface import Index
from gateway.storage.index.records import ObjectRow, RowKind, VersionEntry
from iam.principals import Caller, root_principal
from kms.api.types import CreateKey
from tests.gateway.gateway_in_process import ACCOUNT_ID, InProcessGateway
from tests.gateway.operations.uploads import begin

SSE = "x-amz-server-side-encryption"
CUSTOMER_KEY = hashlib.sha256(b"a customer's").digest()
CUSTOMER = {
    f"{SSE}-customer-algorithm": "AES256",
    f"{SSE}-customer-key": base64.b64encode(CUSTOMER_KEY).decode(),
    f"{SSE}-customer-key-MD5": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode(),
}
MODES: Mapping[Mode, Mapping[str, str]] = {
    Mode.SSE_S3: {},
    Mode.SSE_KMS: {SSE: "aws:kms"},
    Mode.SSE_KMS_BUCKET_KEY: {SSE: "aws:kms", f"{SSE}-bucket-key-enabled": "true"},
    Mode.DSSE_KMS: {SSE: "aws:kms:dsse"},
    Mode.SSE_C: CUSTOMER,
}
VERSIONING = "<VersioningConfiguration><Status>{}</Status></VersioningConfiguration>"
TAKES_CUSTOMER_KEYS = (
    b"<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType>"
    b"</BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>"
)
CONTEXT = base64.b64encode(b'{"purpose": "test"}').decode()


@dataclass
class Populator:
    """Fills buckets; parts must be allowed to have any size (`MIN_PART_BYTES`)."""

    gateway: InProcessGateway
    count: int = field(default=0)

    async def sent(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", query: str = ""
    ) -> None:
        md5 = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
        queried = {query: ""} if query else None
        answer = await self.gateway.call(method, path, query=queried, headers={**md5, **(headers or {})}, body=body)
        assert answer.status in {200, 204}, (method, path, answer.status, answer.body)

    async def put(self, path: str, mode: Mode = Mode.SSE_S3, size: int = 100, **more: str) -> None:
        self.count += 1
        headers = {**MODES[mode], "x-amz-meta-number": str(self.count)}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        await self.sent("PUT", path, headers, hashlib.shake_128(str(self.count).encode()).digest(size))

    async def upload(self, path: str, mode: Mode, sizes: tuple[int, ...] = (70_000, 1, 300)) -> None:
        upload = await begin(self.gateway, path, {**MODES[mode], "x-amz-meta-parts": str(len(sizes))})
        for number, size in enumerate(sizes, 1):
            sent = await upload.put(number, bytes(size), CUSTOMER if mode is Mode.SSE_C else None)
            assert sent.status == 200, sent.body
        done = await upload.complete()
        assert done.status == 200 and done.text("ETag"), done.body

    async def copy(self, source: str, path: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.sent("PUT", path, {"x-amz-copy-source": source, **named})

    async def versioning(self, bucket: str, status: str) -> None:
        await self.sent("PUT", f"/{bucket}", body=VERSIONING.format(status).encode(), query="versioning")

    async def bucket(self, name: str) -> None:
        await self.sent("PUT", f"/{name}")
        await self.sent("PUT", f"/{name}", body=TAKES_CUSTOMER_KEYS, query="encryption")

    async def rewrap(self, path: str, key_arn: str) -> None:
        kms = f"<SSE-KMS><KMSKeyArn>{key_arn}</KMSKeyArn></SSE-KMS>"
        await self.sent("PUT", path, body=f"<ObjectEncryption>{kms}</ObjectEncryption>".encode(), query="encryption")


async def populate(gateway: InProcessGateway) -> None:
    """Two buckets: `plain`, which never had versioning, and `versions`."""
    make = Populator(gateway)
    await make.bucket("plain")
    await make.bucket("versions")
    await make.sent("PUT", "/plain", body=TAGS, query="tagging")
    key = await gateway.kms.call(Caller(root_principal(ACCOUNT_ID), "test"), CreateKey())
    for mode in Mode:
        name = mode.name.lower()
        await make.put(f"/plain/{name}/small", mode, 10, x_amz_tagging="a=b", content_type="text/x", cache_control="no")
        await make.put(f"/plain/{name}/empty", mode, 0)
        await make.put(f"/plain/{name}/large", mode, 200_000)
        await make.put(f"/plain/{name}/large", mode, 200_001)  # in place of the one before
        await make.upload(f"/plain/{name}/parts", mode)
        await make.put(f"/plain/{name}/before", mode, 5000)
        renamed = {"x-amz-rename-source": f"plain/{name}/before"}
        await make.sent("PUT", f"/plain/{name}/renamed", renamed, query="renameObject")
        if mode is not Mode.SSE_C:
            await make.copy(f"/plain/{name}/large", f"/versions/{name}/copy")
            await make.copy(
                f"/plain/{name}/parts", f"/versions/{name}/copy of parts", x_amz_metadata_directive="REPLACE"
            )
            await make.copy(f"/plain/{name}/large", f"/plain/{name}/to kms", **{SSE: "aws:kms"})
        if mode in {Mode.SSE_S3, Mode.SSE_KMS, Mode.SSE_KMS_BUCKET_KEY}:
            await make.put(f"/plain/{name}/rewrapped", mode, 70_000)
            await make.upload(f"/plain/{name}/rewrapped parts", mode)
            for path in (f"/plain/{name}/rewrapped", f"/plain/{name}/rewrapped parts", f"/plain/{name}/rewrapped"):
                await make.rewrap(path, key.key_arn)
    await make.put("/plain/with context", Mode.SSE_KMS, 100, **{f"{SSE}-context": CONTEXT})
    await make.put("/plain/\u00fcml\u00e4ut & <key>", Mode.SSE_KMS_BUCKET_KEY, 100)
    await _versions(make)


async def _versions(make: Populator) -> None:
    await make.put("/versions/k", Mode.SSE_KMS)  # null
    await make.versioning("versions", "Enabled")
    upload = await begin(make.gateway, "/versions/k")
    for mode in (Mode.SSE_S3, Mode.DSSE_KMS, Mode.SSE_C):
        await make.put("/versions/k", mode, 2000)
    assert (await upload.put(1, b"later than the others")).status == 200
    assert (await upload.complete()).status == 200
    await make.copy("/versions/k", "/versions/k", x_amz_metadata_directive="REPLACE")
    await make.put("/versions/k", Mode.SSE_KMS_BUCKET_KEY, 3000)
    await make.versioning("versions", "Suspended")
    await make.put("/versions/k", Mode.SSE_S3, 4000)  # takes the null version's place
    await make.versioning("versions", "Enabled")
    await make.put("/versions/k", Mode.SSE_S3, 5000)


TAGS = b"<Tagging><TagSet><Tag><Key>kept</Key><Value>yes</Value></Tag></TagSet></Tagging>"


@dataclass(frozen=True)
class Version:
    """A version as the index tells it, opened; whether it is the newest of its key."""

    row: ObjectRow
    document: ObjectDocument | None
    parts: list[PartEntry] | None
    is_latest: bool


async def everything(gateway: InProcessGateway, index: Index) -> list[Version]:
    """All versions of all buckets in the order of listings, with revisions and seals left out."""
    rows, told = gateway.services.rows, []
    for bucket in await index.all_buckets(after="", limit=1000):
        async for entry in _entries(index, bucket.bucket_id):
            row = await index.get_object(bucket.bucket_id, entry.row.key, entry.row.version_id)
            document = rows.open_object(row)
            is_object = row.kind is RowKind.OBJECT
            parts = rows.parts_of(row, document) if is_object else None
            told.append(Version(_unsealed(row), document if is_object else None, parts, entry.is_latest))
    return told


async def _entries(index: Index, bucket_id: bytes) -> AsyncIterator[VersionEntry]:
    after: tuple[bytes, str | None] | None = None
    while True:
        page = await index.list_versions(bucket_id, prefix=b"", delimiter=b"", after=after, max_keys=1000, whole=True)
        for entry in page.entries:
            yield entry
        if (after := page.next_after) is None:
            return


def _unsealed(row: ObjectRow) -> ObjectRow:
    return replace(row, revision=0, sealed=b"", sealed_parts=None)
