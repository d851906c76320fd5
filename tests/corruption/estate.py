"""What is corrupted: objects of every kind in every mode, their index, and KMS keys that have encrypted something."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from gateway.operations.jobs.rewrap_jobs import RewrapDocument, RewrapJobs
from gateway.operations.multipart import parts as parts_of_an_upload
from iam.principals import Caller, root_principal
from kms.api.secrets import SecretBytes
from kms.api.types import CreateAlias, CreateGrant, CreateKey, Encrypt, RotateKeyOnDemand
from tests.gateway.gateway_in_process import ACCOUNT_ID, InProcessGateway, in_process_gateway
from tests.gateway.operations.uploads import begin
from tests.gateway.underneath import let_copies_share
from tests.properties.encryption import MODES, asked, brought

SIZES = {"empty": 0, "inline": 1000, "file": 20_000, "segments": 140_000}
_ALLOWED = (
    b"<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType>"
    b"</BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>"
)
CALLER = Caller(root_principal(ACCOUNT_ID), "test")


@dataclass(frozen=True)
class Estate:
    """`ciphertexts`: of each version of each KMS key, by its id, a ciphertext blob of `secret`."""

    gateway: InProcessGateway
    ciphertexts: Mapping[tuple[str, int], bytes]
    secret: bytes = b"known plaintext"


@asynccontextmanager
async def made_estate(directory: Path) -> AsyncIterator[Estate]:
    least, parts_of_an_upload.MIN_PART_BYTES = parts_of_an_upload.MIN_PART_BYTES, 1
    try:
        async with in_process_gateway(directory) as gateway:
            for number, mode in enumerate(MODES):
                await _fill(gateway, f"bucket-{number}", mode)
            key = "arn:aws:kms:us-east-1:123456789012:key/k"
            jobs = RewrapJobs(gateway.index, gateway.services.rows, gateway.services.integrity_event)
            await jobs.begin(RewrapDocument(key, key))
            yield Estate(gateway, await _encrypted(gateway, Estate.secret))
    finally:
        parts_of_an_upload.MIN_PART_BYTES = least


async def _fill(gateway: InProcessGateway, bucket: str, mode: str) -> None:
    assert (await gateway.call("PUT", f"/{bucket}")).status == 200
    assert (await gateway.call("PUT", f"/{bucket}", query={"encryption": ""}, body=_ALLOWED)).status == 200
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert (await gateway.call("PUT", f"/{bucket}", query={"versioning": ""}, body=versioning)).status == 200
    await let_copies_share(gateway, bucket, shares=True)
    for key in ("inline", *SIZES, "gone"):
        body = hashlib.shake_128(f"{bucket} {key}".encode()).digest(SIZES.get(key, 500))
        headers = {**asked(mode), "x-amz-meta-about": key, "x-amz-tagging": "a=b"}
        assert (await gateway.call("PUT", f"/{bucket}/{key}", headers=headers, body=body)).status == 200
    assert (await gateway.call("DELETE", f"/{bucket}/gone")).status == 204
    for key in ("parts", "begun"):
        upload = await begin(gateway, f"/{bucket}/{key}", asked(mode))
        for number in (1, 2):
            assert (await upload.put(number, bytes(18_000 + number), brought(mode))).status == 200
        if key == "parts":
            assert (await upload.complete(brought(mode))).status == 200
    if not brought(mode):
        copy = {**asked(mode), "x-amz-copy-source": f"/{bucket}/parts"}
        assert (await gateway.call("PUT", f"/{bucket}/copy", headers=copy)).status == 200


async def _encrypted(gateway: InProcessGateway, secret: bytes) -> dict[tuple[str, int], bytes]:
    """By keys of our own, of two versions each, with an alias and a grant."""
    made = {}
    for number in range(3):
        key_id = (await gateway.kms.call(CALLER, CreateKey(description="of tests"))).key_id
        await gateway.kms.call(CALLER, CreateAlias(f"alias/{number}", key_id))
        await gateway.kms.call(CALLER, CreateGrant(key_id, CALLER.principal.arn, ("Encrypt", "Decrypt")))
        for version in (1, 2):
            answer = await gateway.kms.call(CALLER, Encrypt(key_id, SecretBytes(secret)))
            made[key_id, version] = answer.ciphertext_blob
            if version == 1:
                await gateway.kms.call(CALLER, RotateKeyOnDemand(key_id))
    return made


def copy_database(source: Path, target: Path) -> None:
    """Whole, with what is in its write-ahead log."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
