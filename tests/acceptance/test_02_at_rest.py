"""What lies on disk while the gateway is stopped, and which keys sealed it: no plaintext, no key, nothing sealed twice.

One long run of traffic with retries, parts sent again, copies, crashes, and a backup of the index restored and gone on
from, as an operator would; then the data directory is searched byte by byte.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.sealing.ledger import LEDGER_VARIABLE, recorded_seals, repeated_seals
from gateway.sealing.wraps import split_kms_wrap
from kms.keys.ciphertext import IDENTITY_BYTES, SALT_BYTES
from tests.acceptance.disk import Search, forms
from tests.acceptance.unwrap_kms_keys import kms_keys
from tests.clients.access import take_customer_keys
from tests.clients.checks import error_of
from tests.harness import Gateway

BUCKET = "at-rest"
PART_BYTES = 5 << 20
SIZES = {"inline": 900, "file": 200_000}
CUSTOMER_KEY = hashlib.sha256(b"the key of a customer").digest()

pytestmark = pytest.mark.slow


@dataclass
class Run:
    """A stopped gateway, and every secret that went through it, by what it is."""

    gateway: Gateway
    ledger: Path
    secrets: list[tuple[str, bytes]] = field(default_factory=list)
    data_key: bytes = b""
    """Of one object, as the KMS gives it to whoever may ask."""

    def secret(self, what: str) -> str:
        """A text that occurs nowhere else."""
        made = f"{what} {hashlib.sha256(f'{what} {len(self.secrets)}'.encode()).hexdigest()[:16]}"
        self.secrets.append((made, made.encode()))
        return made

    def body(self, what: str, size: int) -> bytes:
        """One secret over and over, so that no stretch of it, compressed or not, could lie open unnoticed."""
        mark = self.secret(f"body of {what}").encode()
        body = (mark * (size // len(mark) + 1))[:size]
        self.secrets.append((f"MD5 of {what}", hashlib.md5(body, usedforsecurity=False).digest()))
        self.secrets.append((f"SHA-256 of {what}", hashlib.sha256(body).digest()))
        return body


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("at-rest")
    ledger = directory / "ledger"
    ledger.mkdir()
    gateway = Gateway(directory / "data", workers=2, environment={LEDGER_VARIABLE: str(ledger)}).init()
    made = Run(gateway, ledger)
    gateway.start()
    try:
        _live(made)
    finally:
        gateway.stop()
    for line in "".join(path.read_text() for path in ledger.glob("*.keys")).split():
        made.secrets.append(("a key of the gateway's", bytes.fromhex(line)))
    for line in kms_keys(gateway):
        made.secrets.append(("a KMS key", bytes.fromhex(line)))
    made.secrets.append(("a customer's key", CUSTOMER_KEY))
    made.secrets.append(("MD5 of a customer's key", hashlib.md5(CUSTOMER_KEY, usedforsecurity=False).digest()))
    made.secrets.append(("the secret access key", gateway.credentials["AWS_SECRET_ACCESS_KEY"].encode()))
    made.secrets.append(("the PIN", (gateway.data / "pin").read_bytes().strip()))
    yield made


def _live(run: Run) -> None:
    """Traffic, a crash, traffic, a backup, traffic, the backup restored, and the same traffic again."""
    gateway = run.gateway
    s3, kms = gateway.client("s3"), gateway.client("kms")
    s3.create_bucket(Bucket=BUCKET)
    take_customer_keys(s3, BUCKET)
    kms.create_alias(AliasName="alias/at-rest", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    _traffic(run)
    gateway.kill_all()
    gateway.start()
    _traffic(run)
    gateway.stop()
    backup = gateway.data.with_name("backup")
    shutil.copytree(gateway.data / "index", backup)
    gateway.start()
    _traffic(run)
    gateway.stop()
    shutil.rmtree(gateway.data / "index")
    backup.rename(gateway.data / "index")
    gateway.start()
    _traffic(run)
    run.data_key = _data_key(gateway, "sse-kms/file")


def _traffic(run: Run) -> None:
    """The same keys in every round, so that rows are replaced and their revisions counted up."""
    s3 = run.gateway.client("s3")
    sse_kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/at-rest"}
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}  # boto3 encodes it, and adds its MD5
    bucket_key = {**sse_kms, "BucketKeyEnabled": True}
    modes = {
        "sse-s3": {"ServerSideEncryption": "AES256"},
        "sse-kms": sse_kms,
        "bucket-key": bucket_key,
        "dsse-kms": {**sse_kms, "ServerSideEncryption": "aws:kms:dsse"},
        "sse-c": customer,
    }
    for mode, encryption in modes.items():
        of_source = {f"CopySource{name}": value for name, value in customer.items()} if mode == "sse-c" else {}
        for name, size in SIZES.items():
            body = run.body(f"{mode} {name}", size)
            described = {
                "Metadata": {"colour": run.secret("metadata").replace(" ", "-")},
                "ContentType": run.secret("type/of").replace(" ", "-"),
                "ContentDisposition": run.secret("disposition"),
                "CacheControl": run.secret("cache control"),
                "Tagging": urlencode({run.secret("tag key"): run.secret("tag value")}),
            }
            for _ in range(2):  # a client that did not hear the answer sends again
                s3.put_object(
                    Bucket=BUCKET,
                    Key=f"{mode}/{name}",
                    Body=body,
                    ChecksumAlgorithm="SHA256",
                    **described,
                    **encryption,
                )
            source = {"CopySource": f"{BUCKET}/{mode}/{name}", **of_source}
            s3.copy_object(Bucket=BUCKET, Key=f"{mode}/{name}/locked", **source, **customer)
            s3.copy_object(Bucket=BUCKET, Key=f"{mode}/{name}/copy", **source, **sse_kms)
            assert s3.get_object(Bucket=BUCKET, Key=f"{mode}/{name}/locked", **customer)["Body"].read() == body
            assert error_of(s3.get_object, Bucket=BUCKET, Key=f"{mode}/{name}/locked")
            assert s3.get_object(Bucket=BUCKET, Key=f"{mode}/{name}/copy")["Body"].read() == body
            s3.put_object_tagging(Bucket=BUCKET, Key=f"{mode}/{name}", Tagging=_tagging(run))
        _upload(run, s3, f"{mode}/parts", encryption)
        s3.delete_object(Bucket=BUCKET, Key=f"{mode}/inline/copy")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/at-rest"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.delete_bucket_encryption(Bucket=BUCKET)
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging=_tagging(run))
    assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=2)["IsTruncated"]


def _tagging(run: Run) -> dict[str, Any]:
    return {"TagSet": [{"Key": run.secret("tag key"), "Value": run.secret("tag value")}]}


def _upload(run: Run, s3: Any, key: str, encryption: dict[str, Any]) -> None:
    """Two parts, each sent twice, with the same bytes and with others."""
    metadata = {"colour": run.secret("metadata").replace(" ", "-")}
    tags = urlencode({run.secret("tag key"): run.secret("tag value")})
    upload = {"Bucket": BUCKET, "Key": key}
    upload["UploadId"] = s3.create_multipart_upload(**upload, Metadata=metadata, Tagging=tags, **encryption)["UploadId"]
    of_parts = {} if "ServerSideEncryption" in encryption else encryption
    first, last = run.body(f"{key} first", PART_BYTES), run.body(f"{key} last", 70_000)
    s3.upload_part(**upload, PartNumber=1, Body=run.body(f"{key} replaced", 70_000), **of_parts)
    done = []
    for number, part in [(1, first), (2, last), (2, last)]:
        sent = s3.upload_part(**upload, PartNumber=number, Body=part, **of_parts)
        done.append({"PartNumber": number, "ETag": sent["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [done[0], done[2]]})
    s3.put_object_tagging(Bucket=BUCKET, Key=key, Tagging=_tagging(run))
    begun = s3.create_multipart_upload(Bucket=BUCKET, Key=f"{key}/begun", Metadata=metadata, **encryption)
    begun_body = run.body(f"{key} begun", 100)
    s3.upload_part(
        Bucket=BUCKET, Key=f"{key}/begun", UploadId=begun["UploadId"], PartNumber=1, Body=begun_body, **of_parts
    )


def _data_key(gateway: Gateway, key: str) -> bytes:
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
        (wrapped,) = index.execute("SELECT wrapped FROM object_version WHERE key = ?", (key.encode(),)).fetchone()
    context = {"aws:s3:arn": f"arn:aws:s3:::{BUCKET}/{key}"}
    plaintext: bytes = gateway.client("kms").decrypt(CiphertextBlob=wrapped, EncryptionContext=context)["Plaintext"]
    return plaintext


def test_no_secret_lies_on_the_disk(run: Run) -> None:
    kinds = [name for name, _ in run.secrets]
    assert kinds.count("a key of the gateway's") > 400
    assert ("a key of the gateway's", run.data_key) in run.secrets
    assert ("a key of the gateway's", CUSTOMER_KEY) in run.secrets, "the ledger knows it, too"
    assert kinds.count("a KMS key") == 3  # the service's own, ours, and the one that seals rows of the key store
    found = Search(run.secrets).in_files(run.gateway.data)
    # Two files exist to hold a secret, for this user alone.
    assert found.pop("dev.env") == {"the secret access key"}
    assert found.pop("pin") == {"the PIN"}
    assert found == {}
    assert {(run.gateway.data / name).stat().st_mode & 0o777 for name in ("dev.env", "pin")} == {0o600}


def test_no_secret_lies_in_the_log(run: Run) -> None:
    log = run.gateway.log_path.read_bytes()
    assert b"PutObject" in log
    assert Search(run.secrets).in_bytes(log) == set()


def test_the_search_finds_what_is_there(run: Run) -> None:
    """Names of objects lie open, as documented; and a secret is found in whatever form somebody wrote it."""
    found = Search([("a name", b"sse-kms/parts/begun")]).in_files(run.gateway.data / "index")
    assert found
    secret = bytes(range(100, 132))
    for before in (b"", b"x", b"xy"):
        for text in (secret, secret.hex().encode(), base64.b64encode(before + secret + b"end")):
            assert Search([("it", secret)]).in_bytes(b"some " + text + b" bytes") == {"it"}
    assert len(set(forms(secret))) >= 6


def test_no_key_sealed_under_one_nonce_twice(run: Run) -> None:
    assert sum(1 for _ in recorded_seals(run.ledger)) > 1000
    assert repeated_seals(run.ledger) == []


def test_no_ciphertext_of_the_kms_shares_its_salt(run: Run) -> None:
    """A message key of the KMS is derived from a salt, and its nonce is constant: so the salts must differ.

    A multipart object keeps its upload's ciphertext, so only ciphertexts are compared, not rows.
    """
    with closing(sqlite3.connect(run.gateway.data / "index" / "index.sqlite")) as index:
        blobs = {wrapped for (wrapped,) in index.execute("SELECT wrapped FROM object_version WHERE mode = 2")}
        for (wrapped,) in index.execute("SELECT wrapped FROM object_version WHERE mode = 4"):
            blobs.add(split_kms_wrap(wrapped)[0])
        blobs |= {wrapped for (wrapped,) in index.execute("SELECT wrapped FROM key_epoch")}
    assert len(blobs) >= 10
    assert len({blob[IDENTITY_BYTES : IDENTITY_BYTES + SALT_BYTES] for blob in blobs}) == len(blobs)
