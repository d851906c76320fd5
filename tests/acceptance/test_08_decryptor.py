"""Blobs of a running system, opened by the standalone decryptor with data keys from the KMS alone.

That the decryptor shares no code with the gateway, and agrees with the test vectors, is shown in
tests/gateway/test_blob_open.py and tests/gateway/sealing/test_vectors.py. Here, what finds the data key is written from
docs/formats/object.md, "Footer", as well.
"""

from __future__ import annotations

import base64
import json
import os
import pty
import random
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from kms.api.errors import KMSError
from kms.keys.ciphertext import open_blob
from kms.keys.context import canonical_context
from tests.acceptance.conftest import StartGateway
from tests.acceptance.unwrap_kms_keys import kms_keys
from tests.clients.access import take_customer_keys
from tests.harness import Gateway, clean_environment, running_gateway, wait_until

BUCKET = "opened"
PART_BYTES = 5 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("opened")) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        take_customer_keys(made.client("s3"), BUCKET)
        yield made


@pytest.fixture(scope="module")
def key_id(gateway: Gateway) -> str:
    return str(gateway.client("kms").create_key()["KeyMetadata"]["KeyId"])


CUSTOMER_KEY = random.Random(8).randbytes(32)
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}


def footer_envelope(blob: bytes) -> dict[str, Any]:
    """The clear half of a blob's footer."""
    _, envelope_bytes, descriptor_bytes = struct.unpack(">QII", blob[-32:-16])
    start = len(blob) - 32 - descriptor_bytes - envelope_bytes
    envelope: dict[str, Any] = json.loads(blob[start : start + envelope_bytes])
    return envelope


def stored_blobs(gateway: Gateway) -> Iterator[bytes]:
    """Every blob that lies in a file or in the index, in order of their ids, hence of their writing."""
    blobs = {path.name: path.read_bytes() for path in (gateway.data / "store" / "blobs").glob("*/*/*")}
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
        for blob_id, data in index.execute("SELECT blob_id, data FROM inline_blob"):
            blobs[blob_id.hex()] = data
    yield from (blobs[name] for name in sorted(blobs))


def decrypted_by_kms(gateway: Gateway, envelope: dict[str, Any]) -> bytes:
    """The data key in the first wrap."""
    wrap = envelope["wraps"][0]
    plaintext: bytes = gateway.client("kms").decrypt(
        CiphertextBlob=base64.b64decode(wrap["wrapped"]),
        EncryptionContext=envelope["encryption_context"],
        KeyId=wrap["key_arn"],
    )["Plaintext"]
    return plaintext


def opened(gateway: Gateway, blob: bytes, directory: Path) -> tuple[bytes, dict[str, Any]]:
    """Plaintext and descriptor of a blob, its data key decrypted by the public API of the KMS."""
    envelope = footer_envelope(blob)
    assert len(envelope["wraps"]) == 1
    data_key = decrypted_by_kms(gateway, envelope)
    (directory / "blob").write_bytes(blob)
    (directory / "key").write_bytes(data_key)
    names = [str(directory / name) for name in ("blob", "key", "plaintext", "descriptor")]
    gateway.sealgate("blob", "open", names[0], "--key-file", names[1], "-o", names[2], "--descriptor", names[3])
    return (directory / "plaintext").read_bytes(), json.loads((directory / "descriptor").read_text())


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 300_000])
def test_a_stored_object_is_opened_without_the_gateway(
    gateway: Gateway, key_id: str, tmp_path: Path, size: int
) -> None:
    body = random.Random(size).randbytes(size)
    gateway.client("s3").put_object(
        Bucket=BUCKET,
        Key=f"object of {size}",
        Body=body,
        Metadata={"colour": "blue"},
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key_id,
        SSEKMSEncryptionContext=base64.b64encode(b'{"team": "red"}').decode(),
    )
    *_, blob = stored_blobs(gateway)
    context = {"team": "red", "aws:s3:arn": f"arn:aws:s3:::{BUCKET}/object of {size}"}
    assert footer_envelope(blob)["encryption_context"] == context
    plaintext, descriptor = opened(gateway, blob, tmp_path)
    assert plaintext == body
    assert (descriptor["key"], descriptor["size"]) == (f"object of {size}", size)
    assert descriptor["document"]["metadata"] == {"colour": "blue"}


@pytest.mark.parametrize("by_part", [False, True], ids=["object", "part"])
def test_an_object_with_a_bucket_key_is_opened_by_its_blob_and_the_kms(
    gateway: Gateway, key_id: str, tmp_path: Path, *, by_part: bool
) -> None:
    s3, kms = gateway.client("s3"), gateway.client("kms")
    body, name = random.Random(7).randbytes(200_000), "über/with a bucket key"
    where = {"Bucket": BUCKET, "Key": name}
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id, "BucketKeyEnabled": True}
    asked["SSEKMSEncryptionContext"] = base64.b64encode(b'{"team": "red"}').decode()
    if by_part:
        upload = s3.create_multipart_upload(**where, **asked)["UploadId"]
        s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=body)
    else:
        s3.put_object(**where, Body=body, **asked)
    *_, blob = stored_blobs(gateway)
    (tmp_path / "blob").write_bytes(blob)
    asked_of_kms = json.loads(gateway.sealgate("blob", "bucket-key", str(tmp_path / "blob")).stdout)
    assert asked_of_kms["EncryptionContext"] == {"team": "red", "aws:s3:arn": f"arn:aws:s3:::{BUCKET}"}
    asked_of_kms["CiphertextBlob"] = base64.b64decode(asked_of_kms["CiphertextBlob"])
    (tmp_path / "key").write_bytes(base64.b64encode(kms.decrypt(**asked_of_kms)["Plaintext"]) + b"\n")
    names = [str(tmp_path / each) for each in ("blob", "key", "out", "descriptor")]
    gateway.sealgate("blob", "open", names[0], "--bucket-key-file", names[1], "-o", names[2], "--descriptor", names[3])
    assert (tmp_path / "out").read_bytes() == body
    assert json.loads((tmp_path / "descriptor").read_text())["key"] == name


def test_an_object_of_two_layers_is_opened_by_the_kms_and_the_services_key(
    make_gateway: StartGateway, tmp_path: Path
) -> None:
    """Body, parts and manifest by DSSE-KMS, and a body by SSE-S3; the gateway is stopped then, and its root unwraps."""
    gateway = make_gateway().start()
    s3, parts = gateway.client("s3"), [random.Random(3).randbytes(PART_BYTES), b"the end"]
    s3.create_bucket(Bucket=BUCKET)
    key_id = gateway.client("kms").create_key()["KeyMetadata"]["KeyId"]
    asked = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": key_id}
    asked["SSEKMSEncryptionContext"] = base64.b64encode(b'{"team": "red"}').decode()
    s3.put_object(Bucket=BUCKET, Key="by the service", Body=parts[1], ServerSideEncryption="AES256")
    s3.put_object(Bucket=BUCKET, Key="two layers", Body=parts[0][:200_000], **asked)
    upload = {"Bucket": BUCKET, "Key": "über/parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **asked)["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=part)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    by_service, *two_layers = stored_blobs(gateway)
    first_keys = []
    for blob in two_layers:
        envelope = footer_envelope(blob)
        assert [wrap["mode"] for wrap in envelope["wraps"]] == [4, 1]
        first_keys.append(decrypted_by_kms(gateway, envelope))
    assert len(set(first_keys)) == 2, "one for the object, one for the upload"
    s3.copy_object(Bucket=BUCKET, Key="copied", CopySource=f"{BUCKET}/by the service", ServerSideEncryption="AES256")
    copied = newest_manifest(gateway)
    take_customer_keys(s3, BUCKET)
    uploaded(s3, "customer's", parts, CUSTOMER, CUSTOMER)
    customers = newest_manifest(gateway)
    gateway.stop()
    told = gateway.sealgate("blob", "service-key", str(gateway.data))
    expected = service_key(gateway)
    assert bytes.fromhex(told.stdout) == expected
    assert expected.hex() not in told.stderr
    (tmp_path / "service").write_text(told.stdout)
    other = gateway.sealgate("blob", "service-key", str(gateway.data), "--epoch", "9", check=False)
    assert (other.returncode, other.stdout) == (1, "")

    def opened_by_service(blob: bytes, *more: str) -> bytes:
        (tmp_path / "blob").write_bytes(blob)
        names = [str(tmp_path / name) for name in ("blob", "service", "out", "descriptor")]
        asked = [names[0], "--service-key-file", names[1], "-o", names[2], "--descriptor", names[3], *more]
        gateway.sealgate("blob", "open", *asked)
        return (tmp_path / "out").read_bytes()

    assert opened_by_service(by_service) == parts[1]
    for blob, key, body in zip(two_layers, first_keys, [parts[0][:200_000], *parts, b""], strict=True):
        (tmp_path / "first").write_bytes(key)
        assert opened_by_service(blob, "--key-file", str(tmp_path / "first")) == body
    descriptor = json.loads((tmp_path / "descriptor").read_text())
    assert descriptor["key"] == "über/parts"
    whole = places(gateway)
    assert opened_by_service(two_layers[-1], "--key-file", str(tmp_path / "first"), *whole) == b"".join(parts)
    assert opened_by_service(copied, *whole) == parts[1]
    (tmp_path / "customer").write_bytes(CUSTOMER_KEY)
    assert opened_by_service(customers, "--customer-key-file", str(tmp_path / "customer"), *whole) == b"".join(parts)
    assert [base64.b64decode(blob_id) for blob_id in descriptor["blob_ids"]] == [
        each[16:32] for each in two_layers[1:3]
    ]


def test_taking_the_services_key_from_a_serving_gateway_is_told_to_the_audit_trail(gateway: Gateway) -> None:
    key = gateway.sealgate("blob", "service-key", str(gateway.data)).stdout.strip()

    def lines() -> list[str]:
        tail = gateway.sealgate("audit", "tail", "--json", str(gateway.data)).stdout
        return [line for line in tail.split("\n") if '"ExportServiceKey"' in line]

    wait_until(lines, "the act in the audit trail")
    [line] = lines()
    assert json.loads(line)["serviceEventDetails"] == {"epoch": "1"}
    assert key not in line


def test_a_terminal_is_not_told_the_services_key(gateway: Gateway) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", "blob", "service-key", str(gateway.data)]
    done = subprocess.run(command, env=clean_environment(), stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    os.set_blocking(ours, False)
    with pytest.raises(OSError):  # nothing was written, and nobody can write any more
        os.read(ours, 1000)
    os.close(ours)
    assert done.returncode == 2
    assert b"is a terminal" in done.stderr


def places(gateway: Gateway) -> list[str]:
    store, index = gateway.data / "store" / "blobs", gateway.data / "index" / "index.sqlite"
    return ["--blobs", str(store), "--blobs", str(index)]


def newest_manifest(gateway: Gateway) -> bytes:
    *_, newest = stored_blobs(gateway)
    assert footer_envelope(newest)["kind"] == 3
    return newest


def uploaded(s3: Any, name: str, parts: list[bytes], asked: dict[str, Any], brought: dict[str, Any]) -> None:
    upload = {"Bucket": BUCKET, "Key": name}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **asked)["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=part, **brought)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})


@pytest.mark.parametrize("with_bucket_key", [False, True], ids=["object key", "bucket key"])
def test_whole_objects_are_opened_by_their_manifests_ids_and_the_kms(
    gateway: Gateway, key_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, with_bucket_key: bool
) -> None:
    """Of an upload in parts, of copies of it and of a single body, and after UpdateObjectEncryption."""
    for name, value in {**gateway.credentials, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setitem(gateway.environment, name, value)
    s3, parts = gateway.client("s3"), [random.Random(4).randbytes(PART_BYTES), b"the end"]
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id, "BucketKeyEnabled": with_bucket_key}
    asked["SSEKMSEncryptionContext"] = base64.b64encode(b'{"team": "red"}').decode()

    def check(body: bytes) -> None:
        blob_id = newest_manifest(gateway)[16:32].hex()
        out = tmp_path / "out"
        gateway.sealgate(
            "blob", "open", blob_id, "--kms-endpoint", gateway.endpoint_url, *places(gateway), "-o", str(out)
        )
        assert out.read_bytes() == body

    uploaded(s3, "über/whole", parts, asked, {})
    check(b"".join(parts))
    s3.copy_object(Bucket=BUCKET, Key="copy of parts", CopySource=f"{BUCKET}/über/whole", **asked)
    check(b"".join(parts))
    s3.put_object(Bucket=BUCKET, Key="single", Body=parts[0][:70_000], ServerSideEncryption="AES256")
    s3.copy_object(Bucket=BUCKET, Key="copy of single", CopySource=f"{BUCKET}/single", **asked)
    check(parts[0][:70_000])
    kms = gateway.client("kms")
    other_key = kms.create_key()["KeyMetadata"]["Arn"]
    new = {"KMSKeyArn": other_key, "BucketKeyEnabled": with_bucket_key}
    s3.update_object_encryption(Bucket=BUCKET, Key="über/whole", ObjectEncryption={"SSEKMS": new})
    check(b"".join(parts))
    kms.disable_key(KeyId=other_key)
    blob_id = newest_manifest(gateway)[16:32].hex()
    refused = gateway.sealgate(
        "blob", "open", blob_id, "--kms-endpoint", gateway.endpoint_url, *places(gateway), check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "DisabledException" in refused.stderr


def service_key(gateway: Gateway) -> bytes:
    """The key of the only epoch for data keys, by what the format says of it; for a stopped gateway."""
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
        ((epoch, wrapped),) = index.execute("SELECT epoch, wrapped FROM key_epoch WHERE purpose = 'sse-s3'")
    context = canonical_context({"sealgate:purpose": "sse-s3", "sealgate:epoch": str(epoch)})
    for kms_key in kms_keys(gateway):
        with suppress(KMSError):
            return open_blob(bytes.fromhex(kms_key), wrapped, context=context)
    raise AssertionError("no KMS key opens it")


def test_parts_and_manifest_of_a_multipart_upload_are_opened(gateway: Gateway, key_id: str, tmp_path: Path) -> None:
    s3, parts = gateway.client("s3"), [random.Random(1).randbytes(PART_BYTES), b"the end"]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)[
        "UploadId"
    ]
    done = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=part)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": done})

    *_, first, second, manifest = stored_blobs(gateway)
    assert [opened(gateway, blob, tmp_path)[0] for blob in (first, second)] == parts
    assert [footer_envelope(blob).get("part_number") for blob in (first, second)] == [1, 2]
    nothing, descriptor = opened(gateway, manifest, tmp_path)
    assert nothing == b""
    assert [base64.b64decode(blob_id) for blob_id in descriptor["blob_ids"]] == [first[16:32], second[16:32]]
    assert [entry[1] for entry in descriptor["parts"]] == [len(part) for part in parts]


def opened_by_customer_key(gateway: Gateway, blob: bytes, directory: Path) -> tuple[bytes, dict[str, Any]]:
    (directory / "blob").write_bytes(blob)
    (directory / "key").write_bytes(base64.b64encode(CUSTOMER_KEY))
    names = [str(directory / name) for name in ("blob", "key", "plaintext", "descriptor")]
    gateway.sealgate(
        "blob", "open", names[0], "--customer-key-file", names[1], "-o", names[2], "--descriptor", names[3]
    )
    return (directory / "plaintext").read_bytes(), json.loads((directory / "descriptor").read_text())


@pytest.mark.parametrize("size", [0, 1, 65_537, 300_000])
def test_an_object_is_opened_by_the_key_of_its_customer_alone(gateway: Gateway, tmp_path: Path, size: int) -> None:
    body = random.Random(size).randbytes(size)
    s3 = gateway.client("s3")
    s3.put_object(Bucket=BUCKET, Key=f"customer's {size}", Body=body, Metadata={"colour": "blue"}, **CUSTOMER)
    *_, blob = stored_blobs(gateway)
    plaintext, descriptor = opened_by_customer_key(gateway, blob, tmp_path)
    assert plaintext == body
    assert (descriptor["key"], descriptor["document"]["metadata"]) == (f"customer's {size}", {"colour": "blue"})
    (tmp_path / "key").write_bytes(bytes(32))
    names = [str(tmp_path / name) for name in ("blob", "key")]
    refused = gateway.sealgate("blob", "open", names[0], "--customer-key-file", names[1], check=False)
    assert refused.returncode == 1
    assert "not the customer's key" in refused.stderr


def test_parts_under_a_customers_key_are_opened_and_their_manifest_is_the_services(
    gateway: Gateway, tmp_path: Path
) -> None:
    s3, parts = gateway.client("s3"), [random.Random(2).randbytes(PART_BYTES), b"the end"]
    upload = {"Bucket": BUCKET, "Key": "customer's parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **CUSTOMER)["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=part, **CUSTOMER)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    *_, first, second, manifest = stored_blobs(gateway)
    assert [opened_by_customer_key(gateway, blob, tmp_path)[0] for blob in (first, second)] == parts
    envelope = footer_envelope(manifest)
    assert (envelope["mode"], envelope["encryption_context"]) == (5, {})
    assert [wrap["mode"] for wrap in envelope["wraps"]] == [5, 1]
    assert envelope["wraps"][0] == footer_envelope(first)["wraps"][0]
    (tmp_path / "blob").write_bytes(manifest)
    (tmp_path / "key").write_bytes(CUSTOMER_KEY)
    names = [str(tmp_path / name) for name in ("blob", "key")]
    refused = gateway.sealgate("blob", "open", names[0], "--customer-key-file", names[1], check=False)
    assert refused.returncode == 1
