"""An HSM's library that crashes in mid-call takes kmsd down and nothing else: it is started again, requests go on."""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kms.hsm.uri import parse_uri
from tests.acceptance.conftest import StartGateway
from tests.harness import Gateway, wait_until
from tests.hsm_faults.build import build, find_compiler
from tests.hsm_faults.control import Faults

BUCKET = "steady"
CRASHES = 3

pytestmark = [pytest.mark.slow, pytest.mark.hsm]


def behind_faults(gateway: Gateway, directory: Path) -> Faults:
    """Put the faulty module between the gateway and its token."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler, and no ziglang package")
    uri = tomllib.loads((gateway.data / "sealgate.toml").read_text())["kms"]["uri"]
    softhsm, faults = parse_uri(uri).module_path, Faults(directory / "control")
    gateway.environment |= faults.environment(softhsm)
    gateway.environment["SEALGATE_KMS_URI"] = uri.replace(str(softhsm), str(build(compiler, directory)))
    return faults


class Reading:
    """Requests in a thread, one after the other, until `stop`; each that fails is kept."""

    def __init__(self, s3: Any) -> None:
        self.answered = 0
        self.failed: list[ClientError] = []
        self._s3 = s3
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._s3.head_object(Bucket=BUCKET, Key="s3")
                self._s3.list_objects_v2(Bucket=BUCKET)
                assert self._s3.get_object(Bucket=BUCKET, Key="s3")["Body"].read() == b"by the service"
                self.answered += 1
            except ClientError as error:
                self.failed.append(error)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def test_a_crash_of_the_hsms_library_is_survived(make_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = make_gateway(root="softhsm")
    faults = behind_faults(gateway, tmp_path)
    gateway.start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    s3.create_bucket(Bucket=BUCKET)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket=BUCKET, Key="kms", Body=b"by a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    s3.put_object(Bucket=BUCKET, Key="s3", Body=b"by the service")
    workers = gateway.children("gateway.worker")
    reading = Reading(gateway.client("s3"))
    try:
        for _ in range(CRASHES):
            [kmsd] = gateway.children("kms.daemon")
            faults.crash("C_GenerateKey")
            with pytest.raises(ClientError) as lost:
                kms.create_key()
            assert lost.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
            assert int(lost.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
            # Asked while kmsd starts again: it waits, and is answered.
            assert s3.get_object(Bucket=BUCKET, Key="kms")["Body"].read() == b"by a key"
            wait_until(lambda old=kmsd: gateway.children("kms.daemon") not in ([], [old]), "kmsd is started again")
            kms.create_key()
            answered = reading.answered
            wait_until(lambda seen=answered: reading.answered > seen or reading.failed, "requests go on")
    finally:
        reading.stop()
    assert reading.failed == []
    assert gateway.children("gateway.worker") == workers
    assert b"SIGABRT" in gateway.log_path.read_bytes()
