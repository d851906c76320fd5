"""At the end of its window a key is destroyed: on disk, for whatever it encrypted, and in the audit trail."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kms.hsm.provision import find_softhsm
from tests.acceptance.clock import KeyProcessClock
from tests.acceptance.conftest import StartGateway
from tests.acceptance.disk import Search
from tests.clients.test_kms_import import FOREVER, prepared
from tests.harness import Gateway, wait_until

BUCKET = "deleted"
BODY = b"what only a key that is gone could open"
WINDOW_DAYS = 7
PIECE_BYTES = 16

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Doomed:
    """A key that will be deleted, with something that it encrypted in each of its versions, and its records on disk."""

    kind: str
    key_id: str
    arn: str
    blobs: list[bytes]
    records: list[bytes]


def refusal(call: Any, **parameters: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def make(gateway: Gateway, kind: str, **parameters: Any) -> Doomed:
    """A key with three versions, if its kind has versions, and an object of each in S3."""
    s3, kms = gateway.client("s3"), gateway.client("kms")
    metadata = kms.create_key(**parameters)["KeyMetadata"]
    key_id, blobs = metadata["KeyId"], []
    is_imported = parameters.get("Origin") == "EXTERNAL"
    for version in range(1 if kind == "imported" else 3):
        if is_imported:
            kms.import_key_material(**prepared(kms, metadata["Arn"], os.urandom(32)), **FOREVER)
        elif version:
            kms.rotate_key_on_demand(KeyId=key_id)
        blobs.append(kms.encrypt(KeyId=key_id, Plaintext=BODY)["CiphertextBlob"])
        s3.put_object(
            Bucket=BUCKET, Key=f"{kind}/{version}", Body=BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id
        )
    kms.create_alias(AliasName=f"alias/{kind}", TargetKeyId=key_id)
    return Doomed(kind, key_id, metadata["Arn"], blobs, records_of(gateway, key_id))


def records_of(gateway: Gateway, key_id: str) -> list[bytes]:
    with closing(sqlite3.connect(gateway.data / "kms" / "keys.sqlite")) as store:
        return [row[0] for row in store.execute("SELECT record FROM kms_key_version WHERE key_id = ?", (key_id,))]


def pieces(keys: Sequence[Doomed]) -> Search:
    """The last, wrapped and authenticated, bytes of every record, in pieces: none of them may be left behind."""
    return Search(
        (key.kind, record[at : at + PIECE_BYTES])
        for key in keys
        for record in key.records
        for at in range(len(record) - 4 * PIECE_BYTES, len(record) - PIECE_BYTES + 1, PIECE_BYTES)
    )


def found_on_disk(gateway: Gateway, search: Search) -> set[str]:
    return set().union(*search.in_files(gateway.data).values())


def deletions(gateway: Gateway) -> list[dict[str, Any]]:
    lines = gateway.sealgate("audit", "tail", "--json", "--event", "DeleteKey", str(gateway.data)).stdout
    return [json.loads(line) for line in lines.split("\n") if line]


def assert_gone(gateway: Gateway, keys: Sequence[Doomed], kept: Doomed) -> None:
    s3, kms = gateway.client("s3"), gateway.client("kms")
    for key in keys:
        for call in (kms.describe_key, kms.enable_key, kms.cancel_key_deletion, kms.get_key_policy):
            assert refusal(call, KeyId=key.key_id) == (400, "NotFoundException")
        for blob in key.blobs:
            assert refusal(kms.decrypt, CiphertextBlob=blob) == (400, "NotFoundException")
            assert refusal(kms.decrypt, CiphertextBlob=blob, KeyId=key.arn) == (400, "NotFoundException")
            moved = {"CiphertextBlob": blob, "DestinationKeyId": kept.key_id}
            assert refusal(kms.re_encrypt, **moved) == (400, "NotFoundException")
        assert refusal(kms.generate_data_key, KeyId=f"alias/{key.kind}", KeySpec="AES_256")[1] == "NotFoundException"
        for version in range(len(key.blobs)):
            named = {"Bucket": BUCKET, "Key": f"{key.kind}/{version}"}
            assert s3.head_object(**named)["SSEKMSKeyId"] == key.arn
            assert refusal(s3.get_object, **named) == (400, "KMS.NotFoundException")
            copied = {"Bucket": BUCKET, "Key": "copy", "CopySource": named}
            assert refusal(s3.copy_object, **copied) == (400, "KMS.NotFoundException")
    assert kms.decrypt(CiphertextBlob=kept.blobs[0])["Plaintext"] == BODY
    assert s3.get_object(Bucket=BUCKET, Key="kept/0")["Body"].read() == BODY


def test_what_a_deleted_key_encrypted_is_gone(make_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = make_gateway()
    clock = KeyProcessClock(gateway, tmp_path / "clock")
    gateway.start()
    kms = gateway.client("kms")
    gateway.client("s3").create_bucket(Bucket=BUCKET)
    kept = make(gateway, "kept")
    doomed = [make(gateway, "rotated"), make(gateway, "imported", Origin="EXTERNAL")]
    if find_softhsm() is not None:
        doomed.append(make(gateway, "hsm", CustomKeyStoreId="hsm"))
    search, search_kept = pieces(doomed), pieces([kept])
    assert found_on_disk(gateway, search) == {key.kind for key in doomed}

    for key in doomed:
        kms.schedule_key_deletion(KeyId=key.key_id, PendingWindowInDays=WINDOW_DAYS)
        assert refusal(kms.decrypt, CiphertextBlob=key.blobs[0]) == (400, "KMSInvalidStateException")
    gateway.stop()
    clock.set_ahead(WINDOW_DAYS - 0.5)
    gateway.start()
    assert gateway.client("kms").describe_key(KeyId=doomed[0].key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert found_on_disk(gateway, search) == {key.kind for key in doomed}
    assert deletions(gateway) == []
    gateway.stop()

    clock.set_ahead(WINDOW_DAYS + 0.5)
    gateway.start()
    wait_until(lambda: len(deletions(gateway)) == len(doomed), "every key's deletion is in the audit trail")
    assert found_on_disk(gateway, search) == set()
    assert found_on_disk(gateway, search_kept) == {"kept"}
    assert [records_of(gateway, key.key_id) for key in doomed] == [[]] * len(doomed)
    assert_gone(gateway, doomed, kept)

    told = deletions(gateway)
    assert {event["resources"][0]["ARN"] for event in told} == {key.arn for key in doomed}
    for event in told:
        assert (event["eventType"], event["userIdentity"]["type"]) == ("AwsServiceEvent", "AWSService")
        assert "errorCode" not in event
    assert "The trail is whole." in gateway.sealgate("audit", "verify", str(gateway.data)).stdout

    # The clock set back brings nothing back, nor does another start.
    gateway.stop()
    assert found_on_disk(gateway, search) == set()
    clock.set_ahead(0)
    gateway.start()
    assert_gone(gateway, doomed, kept)
    gateway.stop()
    assert_trail_holds_the_deletions(gateway, len(doomed))


def assert_trail_holds_the_deletions(gateway: Gateway, count: int) -> None:
    """The lines of the deletions are links of the chain: without one, or with another key in it, it does not verify."""

    def status() -> int:
        return gateway.sealgate("audit", "verify", str(gateway.data), check=False).returncode

    assert status() == 0
    [path] = [each for each in (gateway.data / "audit").glob("audit-*.jsonl") if b'"DeleteKey"' in each.read_bytes()]
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    telling = [number for number, line in enumerate(lines) if b'"DeleteKey"' in line]
    assert len(telling) == count
    for number in telling:
        path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert status() == 1
        path.write_bytes(whole.replace(lines[number], lines[number].replace(b":key/", b":key/0")))
        assert status() == 1
    path.write_bytes(whole)
    assert status() == 0
