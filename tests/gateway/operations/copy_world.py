"""What copies of a matrix are made between, in process: buckets of every kind, sources, and what lies underneath."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.protocol.modes import Mode
from gateway.storage.index.records import ObjectRow
from iam.principals import Caller, root_principal
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.api.types import CreateKey, RotateKeyOnDemand
from tests.gateway.gateway_in_process import ACCOUNT_ID, OTHER_ACCOUNT_ID, InProcessGateway, in_process_gateway
from tests.gateway.operations.copy_model import BY_CUSTOMER, BY_KMS, ELSEWHERE, SOURCE_HEADERS, Encryption
from tests.gateway.operations.uploads import begin
from tests.gateway.underneath import check_nothing_is_left, index_path, let_copies_share
from tests.properties.encryption import BUCKET_KEY

CALLER = Caller(root_principal(ACCOUNT_ID), "test")
IN_ROWS = {
    None: Mode.SSE_S3,
    "AES256": Mode.SSE_S3,
    "aws:kms": Mode.SSE_KMS,
    BUCKET_KEY: Mode.SSE_KMS_BUCKET_KEY,
    "aws:kms:dsse": Mode.DSSE_KMS,
    BY_CUSTOMER: Mode.SSE_C,
}
TAKES_CUSTOMER_KEYS = (
    b"<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType>"
    b"</BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>"
)
VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


@dataclass(frozen=True, slots=True)
class Written:
    """An object that is there, and what reads it."""

    path: str
    etag: str
    version_id: str | None
    brought: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        return {} if self.version_id is None else {"versionId": self.version_id}


def bucket_path(place: str, *, is_versioned: bool, shares: bool) -> str:
    """Of the one bucket of its kind; `place` is "source" for those that sources are in."""
    said = (place.replace(" ", "-"), "versions" if is_versioned else "plain", "share" if shares else "reencrypt")
    return f"/{'.'.join(said)}"


@dataclass(frozen=True, slots=True)
class World:
    """`keys` are the ARNs of the KMS keys 1 and 2."""

    gateway: InProcessGateway
    keys: Mapping[int, str]

    async def make_buckets(self) -> None:
        for is_versioned in (False, True):
            for shares in (False, True):
                for place in ("source", *ELSEWHERE):
                    path = bucket_path(place, is_versioned=is_versioned, shares=shares)
                    account = OTHER_ACCOUNT_ID if place == "another account" else ACCOUNT_ID
                    await self._make_bucket(path, account, is_versioned=is_versioned)
                    await let_copies_share(self.gateway, path.removeprefix("/"), shares)

    async def _make_bucket(self, path: str, account_id: str, *, is_versioned: bool) -> None:
        documents = {"encryption": TAKES_CUSTOMER_KEYS, "policy": _policy(path)}
        if is_versioned:
            documents["versioning"] = VERSIONING
        assert (await self.gateway.call("PUT", path, account_id=account_id)).status == 200
        for parameter, document in documents.items():
            query = {parameter: ""}
            answer = await self.gateway.call("PUT", path, query=query, body=document, account_id=account_id)
            assert answer.status in {200, 204}, answer.body

    async def encrypt_by_default(self, path: str, encryption: Encryption) -> None:
        """In a bucket of the caller's account."""
        document = encryption.configuration(self.keys)
        assert (await self.gateway.call("PUT", path, query={"encryption": ""}, body=document)).status == 200

    async def put(
        self, path: str, encryption: Encryption, pieces: Sequence[bytes], headers: Mapping[str, str] | None = None
    ) -> Written:
        """An object of one body, or of parts that have SHA-256 checksums."""
        asked = {**SOURCE_HEADERS, **(headers or {}), **encryption.asked(self.keys)}
        if len(pieces) == 1:
            made = await self.gateway.call("PUT", path, headers=asked, body=pieces[0])
            etag = made.headers.get("ETag")
        else:
            upload = await begin(self.gateway, path, {**asked, "x-amz-checksum-algorithm": "SHA256"})
            for number, piece in enumerate(pieces, 1):
                assert (await upload.put(number, piece, encryption.brought)).status == 200
            made = await upload.complete(encryption.brought)
            etag = made.text("ETag")
        assert made.status == 200 and etag is not None, made.body
        return Written(path, etag, made.headers.get("x-amz-version-id"), encryption.brought)

    async def delete(self, written: Written) -> None:
        answer = await self.gateway.call("DELETE", written.path, query=written.query)
        assert answer.status == 204, answer.body

    async def rotate(self) -> None:
        """The material of both KMS keys."""
        for key in self.keys.values():
            await self.gateway.kms.call(CALLER, RotateKeyOnDemand(key))

    async def row(self, path: str, version_id: str | None = None) -> ObjectRow:
        """Raises storage's NoSuchKey."""
        bucket, _, key = path.removeprefix("/").partition("/")
        found = await self.gateway.index.get_bucket(bucket)
        return await self.gateway.index.get_object(found.bucket_id, key.encode(), version_id)

    async def data_keys(self, path: str, encryption: Encryption) -> set[bytes]:
        """That of an object, or both."""
        bucket, _, key = path.removeprefix("/").partition("/")
        found, row = await self.gateway.index.get_bucket(bucket), await self.row(path)
        opened = await self.gateway.services.data_keys.open(
            CALLER,
            row.wrap,
            context=self.gateway.services.rows.open_object(row).context or {},
            account_id=found.account_id,
            bucket_id=found.bucket_id,
            row_uid=row.row_uid,
            object_arn=f"arn:aws:s3:::{bucket}/{key}",
            customer_key=None if encryption.secret is None else SecretBytes(encryption.secret),
        )
        return {each.reveal() for each in (opened.first, opened.second) if each is not None}

    def references(self, blob_ids: Sequence[bytes]) -> set[int]:
        """How many rows the index says name each of the blobs."""
        with closing(sqlite3.connect(index_path(self.gateway))) as index:
            found = [index.execute("SELECT refs FROM blob WHERE blob_id = ?", (each,)).fetchone() for each in blob_ids]
        return {refs for (refs,) in found}

    def check_wrap(self, row: ObjectRow, encryption: Encryption, version: int) -> None:
        """That the row's data key is wrapped as it should be, by that version of the KMS key."""
        wrap = row.wrap
        assert wrap.mode is IN_ROWS[encryption.mode]
        by = (self.keys[encryption.key], version) if encryption.mode in BY_KMS else (None, None)
        assert (wrap.key_arn, wrap.key_version) == by

    async def check_nothing_is_left(self, *, may_have_orphans: bool = False) -> None:
        await check_nothing_is_left(self.gateway, may_have_orphans=may_have_orphans)


def _policy(path: str) -> bytes:
    resource = f"arn:aws:s3:::{path.removeprefix('/')}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT_ID},
        "Action": "s3:*",
        "Resource": [resource, f"{resource}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


@asynccontextmanager
async def made_world(
    directory: Path, around_kms: Callable[[KeyService], KeyService] = lambda kms: kms
) -> AsyncIterator[World]:
    """Bodies of more than 1000 bytes are files, smaller ones lie in the index."""
    async with in_process_gateway(directory, inline_limit_bytes=1000, around_kms=around_kms) as gateway:
        keys = {number: (await gateway.kms.call(CALLER, CreateKey())).key_arn for number in (1, 2)}
        world = World(gateway, keys)
        await world.make_buckets()
        yield world


@contextmanager
def told(case: object) -> Iterator[None]:
    """Failures inside name the case."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{case}: {error}") from error


def in_small_letters(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
