"""The root rotated under a serving gateway by the command an operator uses; the older one removed; a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import StartGateway
from tests.harness import Gateway, wait_until

BUCKET = "rotated"

pytestmark = pytest.mark.slow


def rotate(gateway: Gateway, *options: str, verb: str = "rotate-root") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(gateway.sealgate("hsm", verb, str(gateway.data), "--json", *options).stdout)
    return answer


def steps_told(gateway: Gateway) -> list[str]:
    """The steps of rotations that the audit trail tells of."""
    lines = gateway.sealgate("audit", "tail", str(gateway.data), "--json").stdout.splitlines()
    return [name for name in (json.loads(line)["eventName"] for line in lines) if "Root" in name]


def verify(gateway: Gateway, public_key: Path, *options: str) -> str:
    """What `audit verify` says, with a key that was kept; also when the trail is not whole."""
    options = ("--public-key", str(public_key), *options)
    return gateway.sealgate("audit", "verify", *options, str(gateway.data), check=False).stdout


def keep_public_key(gateway: Gateway, path: Path) -> Path:
    wait_until((gateway.data / "audit" / "audit.pem").exists, "the first checkpoint is signed")
    path.write_text(gateway.sealgate("audit", "public-key", str(gateway.data)).stdout)
    return path


@pytest.mark.parametrize("root", [pytest.param("softhsm", marks=pytest.mark.hsm), "file"])
def test_the_root_is_rotated_while_serving(make_gateway: StartGateway, tmp_path: Path, root: str) -> None:
    gateway = make_gateway(root=root, environment={"SEALGATE_KMS_LEASE_SECONDS": "1"}).start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    s3.create_bucket(Bucket=BUCKET)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    s3.put_object(Bucket=BUCKET, Key="kms", Body=b"by a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    s3.put_object(Bucket=BUCKET, Key="s3", Body=b"by the service")

    kept = keep_public_key(gateway, tmp_path / "kept.pem")

    assert rotate(gateway, "--dry-run")["would"] == "begin"
    assert gateway.sealgate("hsm", "rotate-root", str(gateway.data), "--resume", check=False).returncode == 1
    rotated = rotate(gateway)
    assert (rotated["unreadable"], rotated["left_to_move"], list(rotated["older"].values())) == ([], 0, [0])
    assert rotated["moved"] >= 2

    def everything_opens() -> None:
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
        assert s3.get_object(Bucket=BUCKET, Key="kms")["Body"].read() == b"by a key"
        assert s3.get_object(Bucket=BUCKET, Key="s3")["Body"].read() == b"by the service"

    everything_opens()
    removed = rotate(gateway, "--yes", verb="remove-old-roots")
    assert (removed["root"], removed["older"], removed["not_removed"]) == (rotated["root"], {}, {})
    assert list(removed["removed"]) == list(rotated["older"])
    assert rotate(gateway, verb="remove-old-roots")["removed"] == {}  # and begins no rotation
    steps = ["StartRootRotation", "SwitchRoot", "FinishRootRotation", "RetireRoot", "DestroyRoot"]
    wait_until(lambda: steps_told(gateway) == steps, "the audit trail tells of every step")
    kms.create_key()
    gateway.stop()
    verified = verify(gateway, kept, "--expect-final")
    assert "The trail is whole." in verified
    assert "vouches for the new one's" in verified
    gateway.start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    everything_opens()
    kms.create_key()
    assert gateway.sealgate("doctor", str(gateway.data)).returncode == 0


def test_the_trail_of_a_rotation_while_stopped_is_vouched_for_by_the_older_key(
    make_gateway: StartGateway, tmp_path: Path
) -> None:
    """Twice, and the older roots are gone before any of it is in the trail."""
    gateway = make_gateway(root="file").start()
    kept = keep_public_key(gateway, tmp_path / "kept.pem")
    gateway.stop()
    for _ in range(2):
        rotate(gateway)
        rotate(gateway, "--yes", verb="remove-old-roots")
    gateway.start()
    wait_until(lambda: steps_told(gateway).count("DestroyRoot") == 2, "the audit trail tells of every step")
    gateway.stop()
    verified = verify(gateway, kept, "--expect-final")
    assert "The trail is whole." in verified
    assert verified.count("vouches for the new one's") == 2
    newest = tmp_path / "newest.pem"
    newest.write_text(keep_public_key(gateway, tmp_path / "all.pem").read_text().split("-----BEGIN")[-1])
    newest.write_text("-----BEGIN" + newest.read_text())
    assert "signed with another key" in verify(gateway, newest)  # nobody is vouched for by a successor
