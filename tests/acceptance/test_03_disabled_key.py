"""A disabled key opens nothing from the moment the answer arrives, in every worker, whatever the load."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.conftest import StartGateway
from tests.acceptance.load import load
from tests.acceptance.observe import requests_by_worker
from tests.acceptance.raw import ask, presign
from tests.harness import wait_until

BUCKET = "disabled"
WORKERS = 3
CLIENTS = 4
ROUNDS = 20
"""Of each client, a GET and a PUT, that must have begun after an answer of the KMS before it counts as proven."""

pytestmark = pytest.mark.slow


def refusal(request: Callable[..., Any], **parameters: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as raised:
        request(Bucket=BUCKET, **parameters)
    answer = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def moment(request: Callable[..., Any], key_id: str) -> float:
    """When the KMS had answered."""
    request(KeyId=key_id)
    return time.monotonic()


def test_a_disabled_key_opens_nothing_from_the_next_request_on(make_gateway: StartGateway) -> None:
    gateway = make_gateway(workers=WORKERS).start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.create_bucket(Bucket=BUCKET)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_id}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=BUCKET, Key="kept", Body=b"kept")
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key="begun")["UploadId"]
    s3.put_object(Bucket=BUCKET, Key="plain", Body=b"plain", ServerSideEncryption="AES256")
    get, put = (
        presign(gateway, "get_object", Bucket=BUCKET, Key="kept"),
        presign(gateway, "put_object", Bucket=BUCKET, Key="new"),
    )

    with load([lambda: (ask("GET", get), ask("PUT", put, b"new"))] * CLIENTS) as clients:
        for _ in range(3):
            disabled = moment(kms.disable_key, key_id)
            refused = clients.since(disabled, ROUNDS)
            assert {(answer.status, answer.code) for answer in refused} == {(400, "KMS.DisabledException")}
            assert s3.head_object(Bucket=BUCKET, Key="kept")["SSEKMSKeyId"].endswith(key_id)
            assert "kept" in [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
            for request in (
                lambda: refusal(s3.upload_part, Key="begun", UploadId=upload_id, PartNumber=1, Body=b"part"),
                lambda: refusal(s3.copy_object, Key="copy", CopySource=f"{BUCKET}/kept", ServerSideEncryption="AES256"),
                lambda: refusal(s3.copy_object, Key="copy", CopySource=f"{BUCKET}/plain"),
                lambda: refusal(s3.create_multipart_upload, Key="another"),
            ):
                assert request() == (400, "KMS.DisabledException")
            assert s3.get_object(Bucket=BUCKET, Key="plain")["Body"].read() == b"plain"

            enabled = moment(kms.enable_key, key_id)
            assert {answer.status for answer in clients.since(enabled, ROUNDS)} == {200}

    for operation in ("GetObject", "PutObject"):

        def refused_by_all(operation: str = operation) -> bool:
            counted = requests_by_worker(gateway, operation, "4xx")
            return len(counted) == WORKERS and all(count > 0 for count in counted.values())

        wait_until(refused_by_all, f"each worker refused a {operation}")
    # The one that only this key could have let in is not there.
    assert "copy" not in [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def test_a_key_pending_deletion_opens_nothing(make_gateway: StartGateway) -> None:
    gateway = make_gateway(workers=2).start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="kept", Body=b"kept", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    get = presign(gateway, "get_object", Bucket=BUCKET, Key="kept")
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    answers = [ask("GET", get) for _ in range(20)]
    assert {(answer.status, answer.code) for answer in answers} == {(400, "KMS.KMSInvalidStateException")}
    kms.cancel_key_deletion(KeyId=key_id)
    assert {ask("GET", get).code for _ in range(5)} == {"KMS.DisabledException"}
    kms.enable_key(KeyId=key_id)
    assert {ask("GET", get).body for _ in range(20)} == {b"kept"}
