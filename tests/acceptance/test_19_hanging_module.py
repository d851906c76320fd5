"""An HSM's library that hangs for good: kmsd is started anew, and what needs no KMS key goes on all the time."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.conftest import StartGateway
from tests.acceptance.test_10_faulty_module import BUCKET, Reading, behind_faults
from tests.harness import wait_until
from tests.hsm_faults.control import EVERY

pytestmark = [pytest.mark.slow, pytest.mark.hsm]


def test_a_module_that_hangs_for_good_gets_a_process_of_its_own_again(
    make_gateway: StartGateway, tmp_path: Path
) -> None:
    seconds = {"LEASE_SECONDS": "1", "HANG_SECONDS": "1", "CALL_SECONDS": "1"}
    environment = {f"SEALGATE_KMS_{name}": value for name, value in seconds.items()}
    gateway = make_gateway(root="softhsm", environment=environment)
    faults = behind_faults(gateway, tmp_path)
    gateway.start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    s3.create_bucket(Bucket=BUCKET)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket=BUCKET, Key="kms", Body=b"by a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    s3.put_object(Bucket=BUCKET, Key="s3", Body=b"by the service")
    [first], workers = gateway.children("kms.daemon"), gateway.children("gateway.worker")
    reading = Reading(gateway.client("s3"))
    try:
        faults.hang("C_UnwrapKey", times=EVERY)
        wait_until(lambda: gateway.children("kms.daemon") not in ([], [first]), "kmsd is started anew", 60)
        with pytest.raises(ClientError) as lost:
            s3.get_object(Bucket=BUCKET, Key="kms")
        assert lost.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        faults.heal()

        def opens() -> bool:
            try:
                return bool(s3.get_object(Bucket=BUCKET, Key="kms")["Body"].read() == b"by a key")
            except ClientError:
                return False

        wait_until(opens, "it heals")
        kms.create_key()
    finally:
        reading.stop()
    assert reading.answered > 0
    assert reading.failed == []
    assert gateway.children("gateway.worker") == workers
    log = gateway.log_path.read_text()
    assert "it cannot come back in this process" in log
    assert "kmsd ended with status 4: starting it again" in log
