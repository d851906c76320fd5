"""Jobs that go over all objects while clients write: rewrap, sealing anew, a job of S3 Batch Operations, and lifecycle.

None changes what a key holds, so that clients need not know of them; but that rules of lifecycle cover some keys, of
which clients know that they may lose what they hold. Each that was begun must come to its end, with nothing refused or
failed, whoever was killed: of lifecycle rules it is that nothing is left that they cover.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.clients.test_batch_jobs import ENDED, World, trusting
from tests.clients.users import allow
from tests.crash.clients import BUCKETS, patient
from tests.crash.model import EXPIRING
from tests.harness import COMMANDS, Gateway, clean_environment, wait_until

MOST_UNDER_WAY = 4
END_SECONDS = 300

REMOVED_MEANWHILE = frozenset({"NoSuchKey", "NoSuchVersion"})
"""Why a task of a batch job may fail: clients removed what its manifest listed."""


class Job(StrEnum):
    REWRAP = "rewrap"
    REENCRYPT = "rewrap --reencrypt"
    BATCH = "batch job"
    LIFECYCLE = "lifecycle"


_COVERED = {"Filter": {"Prefix": EXPIRING}, "Status": "Enabled"}
RULES = [
    {**_COVERED, "Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    {**_COVERED, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
]
"""Whatever is there goes; markers last, when they are alone and a day old."""


class Jobs:
    """Of one gateway, each between the two KMS keys that clients write under. `ended` counts by kind."""

    def __init__(self, gateway: Gateway, kms_keys: list[str], seed: int) -> None:
        self._gateway = gateway
        self._kms_keys = kms_keys
        self._random = random.Random(f"{seed} jobs")
        world = World(gateway, kms_keys[0].split(":")[4])
        self._role = world.role(allow("s3:*", "kms:*"), trust=trusting())
        self._under_way: dict[str, Job] = {}
        self.ended: Counter[str] = Counter()

    @property
    def are_many(self) -> bool:
        """Time to wait for their `end` before another one begins."""
        return len(self._under_way) >= MOST_UNDER_WAY

    def begin(self, job: Job) -> None:
        """One more, which the gateway works on. If what answers is killed, nobody knows of it."""
        source, target = self._random.sample(self._kms_keys, 2)
        bucket = self._random.choice(list(BUCKETS))
        if job in (Job.BATCH, Job.LIFECYCLE):
            try:
                if job is Job.BATCH:
                    job_id = self._world.create(bucket, target, self._role)
                else:
                    self._gateway.client("s3").put_bucket_lifecycle_configuration(
                        Bucket=bucket, LifecycleConfiguration={"Rules": RULES}
                    )
                    job_id = bucket
            except BotoCoreError:
                return
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
                return
        else:
            options = ["--reencrypt"] if job is Job.REENCRYPT else []
            job_id = self._sealgate(["rewrap"], "--key", source, "--to", target, *options, "--detach")["jobId"]
        self._under_way[job_id] = job

    def end(self) -> list[str]:
        """Wait for all, while nobody writes, and say what is wrong with them."""
        problems = []
        for job_id, job in self._under_way.items():
            wait_until(lambda of=job_id, job=job: self._has_ended(of, job), f"{job} has ended", END_SECONDS)
            if job is Job.LIFECYCLE:
                told, is_done = {}, True
            elif job is Job.BATCH:
                told = self._world.job(job_id)
                failures = {each["FailureCode"] for each in told.get("FailureReasons", [])}
                is_done = told["Status"] == "Complete" and failures <= REMOVED_MEANWHILE
            else:
                told = self._status(job_id)
                is_done = (told["state"], told["refused"]) == ("Complete", {})
            self.ended[f"{job} to its end"] += 1
            if not is_done:
                problems.append(f"{job} {job_id}: {told}")
        self._under_way.clear()
        for bucket in BUCKETS:  # also where nobody knows whether a rule is there
            patient(self._gateway, "s3").delete_bucket_lifecycle(Bucket=bucket)
        return problems

    def _has_ended(self, job_id: str, job: Job) -> bool:
        if job is Job.LIFECYCLE:
            return self._is_empty(job_id)
        if job is Job.BATCH:
            return self._world.status(job_id) in ENDED
        return self._status(job_id)["state"] != "Active"

    def _is_empty(self, bucket: str) -> bool:
        s3, covered = patient(self._gateway, "s3"), {"Bucket": bucket, "Prefix": EXPIRING}
        versions, uploads = s3.list_object_versions(**covered), s3.list_multipart_uploads(**covered)
        return not any(
            told.get(name) for told in (versions, uploads) for name in ("Versions", "DeleteMarkers", "Uploads")
        )

    @property
    def _world(self) -> World:
        """A gateway that was started again listens elsewhere."""
        return World(self._gateway, self._kms_keys[0].split(":")[4])

    def _status(self, job_id: str) -> Any:
        return self._sealgate(["jobs", "status"], job_id)

    def _sealgate(self, command: list[str], *arguments: str) -> Any:
        """Without the disk beneath: it is the gateway's processes that are killed."""
        line = [*command, str(self._gateway.data), *arguments, "--json"]
        done = COMMANDS.run(line, clean_environment())
        done.check_returncode()
        return json.loads(done.stdout)
