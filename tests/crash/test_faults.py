"""A disk that is full, read-only or broken, a locked index, a lost directory, no descriptors, a clock that jumps.

Each is 503 with Retry-After for what needs what is gone, nothing for the rest; it heals without a restart, and what was
refused left nothing.
"""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.clients.checks import random_bytes
from tests.crash.disk import MISSING, Disk, Operation, Place, make_gateway_on_disk
from tests.crash.underneath import known_blobs, problems, stored_blobs, temporary_files
from tests.harness import Gateway, wait_until
from tests.hsm_faults.build import find_compiler

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_compiler() is None, reason=MISSING)]

SMALL, LARGE = b"small" * 100, random_bytes(200_000)
"""In the index, and in a file."""

BUCKET = "faults"
CHANGING = {each for each in Operation if each not in (Operation.READ, Operation.SYNCED, Operation.MARK)}
WRITING = {Operation.WRITE, Operation.MKDIR}
SYNCING = {Operation.SYNC, Operation.SYNC_DIRECTORY}
IN_FILES = {Place.TEMPORARY, Place.BLOBS}


@dataclass
class World:
    gateway: Gateway
    disk: Disk

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        self.s3 = self.gateway.client("s3", read_timeout=60)
        self.kms = self.gateway.client("kms")

    def requests(self) -> dict[str, Callable[[], Any]]:
        """One of each kind, on objects of their own; all of them can be served."""
        s3, key, sse = self.s3, str(uuid.uuid4()), {"ServerSideEncryption": "aws:kms"}
        for name, body in (("small", SMALL), ("large", LARGE)):
            s3.put_object(Bucket=BUCKET, Key=f"{key}/there/{name}", Body=body)
        s3.put_object(Bucket=BUCKET, Key=f"{key}/there/kms", Body=LARGE, **sse)

        def get(name: str, body: bytes) -> None:
            assert s3.get_object(Bucket=BUCKET, Key=f"{key}/there/{name}")["Body"].read() == body

        return {
            "put small": lambda: s3.put_object(Bucket=BUCKET, Key=f"{key}/small", Body=SMALL),
            "put large": lambda: s3.put_object(Bucket=BUCKET, Key=f"{key}/large", Body=LARGE),
            "put kms": lambda: s3.put_object(Bucket=BUCKET, Key=f"{key}/kms", Body=LARGE, **sse),
            "copy": lambda: s3.copy_object(Bucket=BUCKET, Key=f"{key}/copy", CopySource=f"{BUCKET}/{key}/there/large"),
            "get small": lambda: get("small", SMALL),
            "get large": lambda: get("large", LARGE),
            "get kms": lambda: get("kms", LARGE),
            "list": lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{key}/"),
            "delete": lambda: s3.delete_object(Bucket=BUCKET, Key=f"{key}/there/small"),
        }

    def serves_everything(self) -> bool:
        try:
            return outcomes(self.requests()) == set()
        except ClientError:
            return False


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    gateway, disk = make_gateway_on_disk(tmp_path_factory.mktemp("faults"), workers=1)
    gateway.init().start()
    made = World(gateway, disk)
    made.s3.create_bucket(Bucket=BUCKET)
    yield made
    disk.heal()
    disk.set_clock_ahead(0)
    gateway.stop()
    assert problems(gateway.data) == []


def outcomes(requests: Mapping[str, Callable[[], Any]]) -> set[str]:
    """The names of those that were refused, as they are to be."""
    refused = set()
    for name, ask in requests.items():
        try:
            ask()
        except ClientError as error:
            metadata = error.response["ResponseMetadata"]
            assert metadata["HTTPStatusCode"] == 503, (name, error)
            assert int(metadata["HTTPHeaders"]["retry-after"]) >= 1
            refused.add(name)
    return refused


WRITES = {"put small", "put large", "put kms", "copy", "delete"}
OF_FILES = {"put large", "put kms", "copy"}
OF_THE_KMS = {"put kms", "get kms"}


@pytest.mark.parametrize(
    ("error", "operations", "places", "refused"),
    [
        (errno.ENOSPC, WRITING, IN_FILES, OF_FILES),
        (errno.ENOSPC, WRITING, {Place.INDEX}, WRITES),
        (errno.ENOSPC, WRITING, {Place.AUDIT}, OF_THE_KMS),
        (errno.ENOSPC, WRITING, set(Place), WRITES | OF_THE_KMS),
        (errno.EDQUOT, WRITING, {*IN_FILES, Place.INDEX}, WRITES),
        (errno.EROFS, CHANGING - {Operation.OPEN}, {*IN_FILES, Place.INDEX}, WRITES),
        (errno.EIO, SYNCING, IN_FILES, OF_FILES),
        (errno.EIO, SYNCING, {Place.INDEX}, WRITES),
        (errno.EIO, {Operation.READ}, {Place.BLOBS}, {"get large", "get kms"}),
        (errno.EMFILE, {Operation.OPEN}, IN_FILES, {*OF_FILES, "get large", "get kms"}),
        (errno.ENFILE, {Operation.OPEN}, {Place.TEMPORARY}, OF_FILES),
    ],
)
def test_what_needs_what_is_gone_is_refused_and_the_rest_served(
    world: World, error: int, operations: set[Operation], places: set[Place], refused: set[str]
) -> None:
    requests, left_before = world.requests(), set(temporary_files(world.gateway.data))
    world.disk.fail(error, operations, places)
    try:
        assert outcomes(requests) == refused
        assert world.disk.faults > 0
    finally:
        world.disk.heal()
    if error != errno.EROFS:  # what cannot be removed now goes with its worker
        assert set(temporary_files(world.gateway.data)) <= left_before
    left = requests["list"]()["Contents"]
    made = {name.removeprefix("put ") for name in {"put small", "put large", "put kms", "copy"} - refused}
    there = {f"there/{name}" for name in ("small", "large", "kms") if name != "small" or "delete" in refused}
    assert {each["Key"].split("/", 1)[1] for each in left} == made | there
    wait_until(world.serves_everything, "everything is served again")


def test_a_commit_that_could_not_be_synced_leaves_no_row_without_bytes(world: World) -> None:
    """What SQLite wrote before its sync failed is still in the log that a crash has it recover from."""
    world.disk.fail(errno.EIO, SYNCING, {Place.INDEX})
    refused = [f"unsynced/{number}" for number in range(3)]
    for key in refused:
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            world.s3.put_object(Bucket=BUCKET, Key=key, Body=LARGE)
    world.gateway.kill_all()
    world.disk.heal()
    world.gateway.start()
    world.connect()
    assert known_blobs(world.gateway.data) <= stored_blobs(world.gateway.data)
    for each in world.s3.list_objects_v2(Bucket=BUCKET, Prefix="unsynced/").get("Contents", []):
        assert world.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() == LARGE


def test_an_index_that_another_program_locks_refuses_writes_until_it_lets_go(world: World) -> None:
    requests = world.requests()
    with closing(sqlite3.connect(world.gateway.data / "index" / "index.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        kept = {name: requests[name] for name in ("get small", "get large", "list", "put large")}
        assert outcomes(kept) == {"put large"}
        other.execute("ROLLBACK")
    assert outcomes(requests) == set()


def test_blobs_whose_directory_is_gone_are_back_with_it(world: World) -> None:
    """A disk that is not mounted: nothing is taken for lost, and nothing is written where it belongs not."""
    requests = world.requests()
    blobs = world.gateway.data / "store" / "blobs"
    away = blobs.with_name("away")
    blobs.rename(away)
    try:
        assert outcomes(requests) == OF_FILES | {"get large", "get kms"}
        assert not blobs.exists()
    finally:
        away.rename(blobs)
    assert outcomes(world.requests()) == set()
    assert requests["get large"]() is None


def test_a_worker_without_descriptors_serves_again_when_it_has_some(world: World) -> None:
    requests, left_before = world.requests(), set(temporary_files(world.gateway.data))
    [worker] = world.gateway.children("gateway.worker")
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    in_use = max(int(name) for name in os.listdir(f"/proc/{worker}/fd"))
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (in_use + 1, limits[1]))
    try:
        held = []
        while True:  # whatever lower numbers are free
            before = len(os.listdir(f"/proc/{worker}/fd"))
            if before > in_use:
                break
            client = world.gateway.client("s3")
            client.list_buckets()
            held.append(client)
        assert outcomes({"get small": requests["get small"]}) == set()
        for name in ("put large", "get large"):  # a connection needs a descriptor as well, and may not get one
            with pytest.raises((ClientError, ConnectionClosedError), match=r"ServiceUnavailable|Connection was closed"):
                requests[name]()
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
    assert set(temporary_files(world.gateway.data)) <= left_before
    assert outcomes(world.requests()) == set()


@pytest.mark.parametrize("seconds", [-600, 600])
def test_a_clock_that_jumps_changes_no_order_of_versions(world: World, seconds: int) -> None:
    bucket = f"clock-{uuid.uuid4()}"
    world.s3.create_bucket(Bucket=bucket)
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    written: list[str] = []
    try:
        for number, ahead in enumerate((0, seconds, 0, -seconds)):
            world.disk.set_clock_ahead(ahead)
            answer = world.s3.put_object(Bucket=bucket, Key="k", Body=LARGE + b"%d" % number)
            written.insert(0, answer["VersionId"])
            assert world.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE + b"%d" % number
        listed = world.s3.list_object_versions(Bucket=bucket)["Versions"]
        assert [each["VersionId"] for each in listed] == written
        assert [each["IsLatest"] for each in listed] == [True, False, False, False]
    finally:
        world.disk.set_clock_ahead(0)
    assert outcomes(world.requests()) == set()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_keys_and_users_cannot_be_made_on_a_full_or_broken_disk_and_those_there_serve(world: World, error: int) -> None:
    kms, iam, key = world.kms, world.gateway.client("iam"), world.kms.create_key()["KeyMetadata"]["KeyId"]
    user = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=user)
    refused: dict[str, Callable[[], Any]] = {
        "key": lambda: kms.create_key(Description=user),
        "alias": lambda: kms.create_alias(AliasName=f"alias/{user}", TargetKeyId=key),
        "user": lambda: iam.create_user(UserName=f"{user}-2"),
    }
    world.disk.fail(error, WRITING | SYNCING, {Place.KEYS, Place.IDENTITIES})
    try:
        statuses = {}
        for name, ask in refused.items():
            with pytest.raises(ClientError) as raised:
                ask()
            statuses[name] = raised.value.response["ResponseMetadata"]["HTTPStatusCode"]
        assert set(statuses.values()) <= {500, 503}, statuses
        sealed = kms.encrypt(KeyId=key, Plaintext=b"plain")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"plain"
        assert iam.get_user(UserName=user)["User"]["UserName"] == user
    finally:
        world.disk.heal()
    for ask in refused.values():
        ask()
    described = [kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in kms.list_keys()["Keys"]]
    assert [each["Description"] for each in described].count(user) == 1
