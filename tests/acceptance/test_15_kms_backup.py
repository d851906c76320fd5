"""The keys are backed up under load, lost with everything in DATA/kms, restored, and open what they encrypted."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import StartGateway
from tests.harness import Gateway, wait_until

BUCKET = "backed-up"
KEYS = 5

pytestmark = pytest.mark.slow


def kms_command(gateway: Gateway, verb: str, archive: Path, *options: str) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads(
        gateway.sealgate("kms", verb, str(gateway.data), str(archive), "--json", *options).stdout
    )
    return outcome


class Load:
    """Makes keys, and uses the one given, until told to stop; the first failure ends it."""

    def __init__(self, gateway: Gateway, key_id: str) -> None:
        self.kms = gateway.client("kms")
        self.key_id = key_id
        self.turns = 0
        self.failure: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                blob = self.kms.encrypt(KeyId=self.key_id, Plaintext=b"load")["CiphertextBlob"]
                assert self.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"load"
                made = self.kms.create_key()["KeyMetadata"]["KeyId"]
                self.kms.create_alias(AliasName=f"alias/load-{self.turns}", TargetKeyId=made)
                self.turns += 1
        except Exception as error:
            self.failure = error


@pytest.mark.parametrize("root", [pytest.param("softhsm", marks=pytest.mark.hsm), "file"])
def test_keys_are_restored_and_open_what_they_encrypted(make_gateway: StartGateway, tmp_path: Path, root: str) -> None:
    gateway = make_gateway(root=root).start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    s3.create_bucket(Bucket=BUCKET)
    key_ids = [kms.create_key(Description=f"key {n}")["KeyMetadata"]["KeyId"] for n in range(KEYS)]
    if root == "softhsm":
        key_ids.append(kms.create_key(CustomKeyStoreId="hsm")["KeyMetadata"]["KeyId"])
    blobs = [kms.encrypt(KeyId=key_id, Plaintext=key_id.encode())["CiphertextBlob"] for key_id in key_ids]
    hmac_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    mac = kms.generate_mac(KeyId=hmac_key, MacAlgorithm="HMAC_SHA_256", Message=b"m")["Mac"]
    kms.create_alias(AliasName="alias/kept", TargetKeyId=key_ids[0])
    kms.tag_resource(KeyId=key_ids[0], Tags=[{"TagKey": "kept", "TagValue": "yes"}])
    grant_id = kms.create_grant(
        KeyId=key_ids[0], GranteePrincipal="arn:aws:iam::111122223333:root", Operations=["Decrypt"]
    )["GrantId"]
    kms.disable_key(KeyId=key_ids[1])
    s3.put_object(Bucket=BUCKET, Key="by-kms", Body=b"by a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_ids[0])
    s3.put_object(Bucket=BUCKET, Key="by-service", Body=b"by the service")

    # Under load, twice, with a rotation of the root between.
    with Load(gateway, key_ids[0]) as load:
        kms_command(gateway, "backup", tmp_path / "first")
        gateway.sealgate("hsm", "rotate-root", str(gateway.data))
        made = kms_command(gateway, "backup", tmp_path / "archive")
    assert load.failure is None
    assert load.turns > 0
    assert made["versions"] >= KEYS + 2
    assert made["unreadable"] == []
    assert kms_command(gateway, "restore", tmp_path / "archive", "--dry-run")["restored"] is False
    assert _refused(gateway, tmp_path / "archive", "--replace", "--yes") == 4  # it is being served

    # What commands did waits in the key store until kmsd told it: it must not be lost with the directory below.
    wait_until(lambda: _told(gateway) == ["BackUpKeyStore"] * 2, "the audit trail tells of both backups")
    gateway.stop()
    roots = tmp_path / "roots"
    roots.mkdir()
    for path in (gateway.data / "kms").glob("root*"):  # a file root's own backup; a token is not in kms/
        shutil.copy(path, roots / path.name)
    shutil.rmtree(gateway.data / "kms")

    if root == "file":
        assert _refused(gateway, tmp_path / "archive") == 1  # without its root nothing is put in place
        assert not (gateway.data / "kms").exists()
        (gateway.data / "kms").mkdir(mode=0o700)
        for path in roots.iterdir():
            shutil.copy(path, gateway.data / "kms" / path.name)
    restored = kms_command(gateway, "restore", tmp_path / "archive")
    assert (restored["restored"], restored["versions"]) == (True, made["versions"])
    assert gateway.sealgate("doctor", str(gateway.data)).returncode == 0

    gateway.start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    for key_id, blob in zip(key_ids, blobs, strict=True):
        if key_id == key_ids[1]:
            with pytest.raises(kms.exceptions.DisabledException):
                kms.decrypt(CiphertextBlob=blob)
            kms.enable_key(KeyId=key_id)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == key_id.encode()
    assert kms.verify_mac(KeyId=hmac_key, MacAlgorithm="HMAC_SHA_256", Message=b"m", Mac=mac)["MacValid"]
    assert kms.describe_key(KeyId="alias/kept")["KeyMetadata"]["KeyId"] == key_ids[0]
    assert kms.list_resource_tags(KeyId=key_ids[0])["Tags"] == [{"TagKey": "kept", "TagValue": "yes"}]
    assert [grant["GrantId"] for grant in kms.list_grants(KeyId=key_ids[0])["Grants"]] == [grant_id]
    assert s3.get_object(Bucket=BUCKET, Key="by-kms")["Body"].read() == b"by a key"
    assert s3.get_object(Bucket=BUCKET, Key="by-service")["Body"].read() == b"by the service"
    kms.create_key()
    gateway.stop()

    # An archive of before the rotation opens as well, for the older root was not removed.
    kms_command(gateway, "restore", tmp_path / "first", "--replace", "--yes")
    gateway.start()
    assert gateway.client("kms").decrypt(CiphertextBlob=blobs[0])["Plaintext"] == key_ids[0].encode()
    told = ["BackUpKeyStore", "BackUpKeyStore", "RestoreKeyStore", "RestoreKeyStore"]
    wait_until(lambda: _told(gateway) == told, "the audit trail tells of every backup and restore")
    assert gateway.sealgate("audit", "verify", str(gateway.data)).returncode == 0


def _told(gateway: Gateway) -> list[str]:
    """Backups and restores in the audit trail, each once: what was in an archive is told again after its restore."""
    lines = gateway.sealgate("audit", "tail", str(gateway.data), "--json").stdout.splitlines()
    events = {event["eventID"]: event["eventName"] for event in map(json.loads, lines)}
    return [name for name in events.values() if name.endswith("KeyStore")]


def _refused(gateway: Gateway, archive: Path, *options: str) -> int:
    done = gateway.sealgate("kms", "restore", str(gateway.data), str(archive), *options, check=False)
    assert done.stderr.splitlines()[-1].startswith("Error: nothing was changed: "), done.stderr
    return done.returncode
