"""Every call of the key service is one line of the audit trail, written before its answer."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iam.policy.decisions import Decided
from iam.principals import Caller, Principal, PrincipalKind, Session, root_principal, service_caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.audit import journal as journal_module
from kms.audit import writing
from kms.audit.signatures import format_pem, load_public_keys
from kms.audit.trail import AuditTrail, AuditUnavailable, TrailSettings
from kms.audit.verify import Verifier
from kms.epoch import MemoryEpoch
from kms.hsm.interface import RootUnavailable
from kms.service import importing
from kms.service.acts import tell_acts
from kms.service.recording import ABANDONED, is_change
from kms.service.service import EmbeddedKeyService
from kms.service.states import destroy_expired_keys
from kms.store.interface import StoreUnavailable
from kms.store.records import StoredAct, StoredKey, new_act
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import REGION
from tests.kms.audit.trails import records
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock
from tests.kms.service.material import put

ACCOUNT = "111122223333"
CALLER = Caller(
    root_principal(ACCOUNT),
    "REQUEST1",
    "192.0.2.7",
    via_service="s3.us-east-1.amazonaws.com",
    resource_arn="arn:aws:s3:::bucket/key",
    user_agent="Boto3/1.40",
)
STRANGER = Caller(root_principal("999988887777"), "REQUEST2")
PLAINTEXT = b"a plaintext that no line may hold"


class Recorded:
    """A service with a trail, and the events in it."""

    def __init__(self, service: EmbeddedKeyService, trail: AuditTrail, directory: Path, root: MemoryRoot) -> None:
        self.service = service
        self.trail = trail
        self.directory = directory
        self.root = root

    def events(self, kind: str = "AwsApiCall") -> list[dict[str, Any]]:
        return [event for event in records(self.directory, "event") if event["eventType"] == kind]

    async def call(self, request: t.Request[Any], caller: Caller = CALLER) -> Any:
        """Make a call; exactly one line must be there when it ends, however it ends."""
        before = len(self.events())
        try:
            return await self.service.call(caller, request)
        finally:
            assert len(self.events()) == before + 1

    async def refusal(self, request: t.Request[Any], caller: Caller = CALLER) -> dict[str, Any]:
        """The line of a call that is refused, which must tell what the caller was told."""
        with pytest.raises(KMSError) as refused:
            await self.call(request, caller)
        event = self.events()[-1]
        assert (event["errorCode"], event.get("errorMessage", "")) == (refused.value.code, refused.value.message)
        return event


@pytest.fixture
async def recorded(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock, tmp_path: Path
) -> AsyncIterator[Recorded]:
    directory = tmp_path / "audit"
    async with (
        AuditTrail(TrailSettings(directory=directory), root, lambda: epoch.value) as trail,
        EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock, trail=trail) as service,
    ):
        yield Recorded(service, trail, directory, root)
    keys = load_public_keys([format_pem(root.audit_public_key())])
    report = Verifier(keys, ends_with_stop=True).verify(directory)
    assert report.problems == []
    assert PLAINTEXT not in b"".join(path.read_bytes() for path in directory.iterdir())


async def made_key(recorded: Recorded) -> t.KeyMetadata:
    key: t.KeyMetadata = await recorded.call(t.CreateKey())
    return key


async def test_a_line_tells_who_what_with_which_key_for_which_object(recorded: Recorded) -> None:
    key = await made_key(recorded)
    await recorded.call(t.GenerateDataKey(key.key_id, 32, {"aws:s3:arn": "arn:aws:s3:::bucket/key"}))
    event = recorded.events()[-1]
    assert event.pop("eventID")
    assert event.pop("eventTime") == "2027-01-15T08:00:00Z"
    [decision] = event.pop("decisions")
    assert (decision["action"], decision["resource"], decision["decision"]) == (
        "kms:GenerateDataKey",
        key.key_arn,
        "Allow",
    )
    assert decision["decidedBy"]
    for name in ("seq", "prev"):
        del event[name]
    assert event == {
        "record": "event",
        "eventType": "AwsApiCall",
        "eventSource": "kms.amazonaws.com",
        "eventName": "GenerateDataKey",
        "awsRegion": REGION,
        "userIdentity": {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:root",
            "accountId": ACCOUNT,
        },
        "requestID": "REQUEST1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "Boto3/1.40",
        "viaService": "s3.us-east-1.amazonaws.com",
        "resourceArn": "arn:aws:s3:::bucket/key",
        "requestParameters": {
            "keyId": key.key_id,
            "numberOfBytes": 32,
            "encryptionContext": {"aws:s3:arn": "arn:aws:s3:::bucket/key"},
        },
        "resources": [{"ARN": key.key_arn, "accountId": ACCOUNT, "type": "AWS::KMS::Key"}],
        "keyVersion": 1,
    }


async def test_the_key_that_was_made_is_a_resource(recorded: Recorded) -> None:
    key = await made_key(recorded)
    assert [resource["ARN"] for resource in recorded.events()[-1]["resources"]] == [key.key_arn]


async def test_re_encrypt_is_one_line_with_two_keys_and_two_decisions(recorded: Recorded) -> None:
    source, destination = await made_key(recorded), await made_key(recorded)
    sealed = await recorded.call(t.Encrypt(source.key_id, SecretBytes(PLAINTEXT)))
    await recorded.call(t.ReEncrypt(sealed.ciphertext_blob, destination.key_id))
    event = recorded.events()[-1]
    assert [resource["ARN"] for resource in event["resources"]] == [source.key_arn, destination.key_arn]
    assert [(decision["action"], decision["resource"]) for decision in event["decisions"]] == [
        ("kms:ReEncryptFrom", source.key_arn),
        ("kms:ReEncryptTo", destination.key_arn),
    ]


async def test_denied_and_failed_calls_are_lines(recorded: Recorded) -> None:
    key = await made_key(recorded)
    denied = await recorded.refusal(t.Encrypt(key.key_arn, SecretBytes(PLAINTEXT)), STRANGER)
    assert denied["userIdentity"]["accountId"] == "999988887777"
    assert {decision["decision"] for decision in denied["decisions"]} == {"Deny"}
    assert denied["errorCode"] == "AccessDeniedException"
    missing = await recorded.refusal(t.DescribeKey("alias/none"))
    assert (missing["errorCode"], missing["requestParameters"]) == ("NotFoundException", {"keyId": "alias/none"})
    broken = await recorded.refusal(t.Decrypt(b"x" * 200, key.key_id))
    assert broken["errorCode"] == "InvalidCiphertextException"
    await recorded.call(t.DisableKey(key.key_id))
    disabled = await recorded.refusal(t.GenerateDataKey(key.key_id, 32))
    assert (disabled["errorCode"], disabled["resources"][0]["ARN"]) == ("DisabledException", key.key_arn)
    assert [decision["decision"] for decision in disabled["decisions"]] == ["Allow"]


async def test_a_dry_run_is_a_line_with_its_error(recorded: Recorded) -> None:
    key = await made_key(recorded)
    event = await recorded.refusal(t.GenerateDataKey(key.key_id, 32, dry_run=True))
    assert (event["errorCode"], event["requestParameters"]["dryRun"]) == ("DryRunOperationException", True)


async def test_a_region_that_is_not_served_is_a_line(recorded: Recorded) -> None:
    event = await recorded.refusal(t.ListKeys(), replace(CALLER, region="mars-north-1"))
    assert event["awsRegion"] == "mars-north-1"


async def test_a_fault_of_ours_is_a_line(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(recorded.service._core, "key_for", fault)
    event = await recorded.refusal(t.GenerateDataKey("alias/x", 32))
    assert event["errorCode"] == "KMSInternalException"
    assert "a fault" not in str(event)


async def test_the_gateway_is_a_service(recorded: Recorded) -> None:
    await recorded.call(t.Encrypt(t.SERVICE_KEY_ALIAS, SecretBytes(PLAINTEXT)), service_caller("start"))
    event = recorded.events()[-1]
    assert (event["userIdentity"]["type"], event["requestID"]) == ("AWSService", "start")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (PrincipalKind.ROOT, "Root"),
        (PrincipalKind.USER, "IAMUser"),
        (PrincipalKind.ROLE_SESSION, "AssumedRole"),
        (PrincipalKind.FEDERATED_USER, "FederatedUser"),
        (PrincipalKind.WEB_IDENTITY, "WebIdentityUser"),
        (PrincipalKind.SERVICE, "AWSService"),
        (PrincipalKind.ANONYMOUS, "Unknown"),
    ],
)
async def test_kinds_of_principals(recorded: Recorded, kind: PrincipalKind, expected: str) -> None:
    caller = Caller(Principal(kind, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:x/{kind}", "ID"), "R")
    with pytest.raises(KMSError):
        await recorded.call(t.DescribeKey("alias/none"), caller)
    assert recorded.events()[-1]["userIdentity"]["type"] == expected


ISSUED_US = 1_767_225_600_000_000
ATTRIBUTES = {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"}
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/path/r"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example.com"
ROLE_SESSION = Principal(
    PrincipalKind.ROLE_SESSION, ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", "AROA1:s", issuer_arn=ROLE_ARN
)
ISSUER = {
    "type": "Role", "principalId": "AROA1", "arn": ROLE_ARN, "accountId": ACCOUNT, "userName": "r"
}  # fmt: skip


@pytest.mark.parametrize(
    ("principal", "session", "context"),
    [
        (root_principal(ACCOUNT), Session(ISSUED_US, ISSUED_US + 1), {"attributes": ATTRIBUTES}),
        (ROLE_SESSION, Session(ISSUED_US, ISSUED_US + 1), {"attributes": ATTRIBUTES, "sessionIssuer": ISSUER}),
        (
            ROLE_SESSION,
            Session(ISSUED_US, ISSUED_US + 1, "alice", PROVIDER, (("issuer.example.com:sub", ("me",)),)),
            {
                "attributes": ATTRIBUTES,
                "sessionIssuer": ISSUER,
                "sourceIdentity": "alice",
                "federatedProvider": PROVIDER,
            },
        ),
    ],
)
async def test_a_session_is_told_with_who_it_is_of(
    recorded: Recorded, principal: Principal, session: Session, context: dict[str, Any]
) -> None:
    with pytest.raises(KMSError):
        await recorded.call(t.DescribeKey("alias/none"), Caller(principal, "R", session=session))
    assert recorded.events()[-1]["userIdentity"]["sessionContext"] == context


async def test_the_services_own_acts_are_lines(recorded: Recorded, clock: Clock) -> None:
    key = await made_key(recorded)
    await recorded.call(t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(8)
    assert await destroy_expired_keys(recorded.service._core) == 1
    acts = recorded.events("AwsServiceEvent")
    assert [event["eventName"] for event in acts] == ["StartKeyService", "UnsealKeyService", "DeleteKey"]
    assert acts[-1]["resources"][0]["ARN"] == key.key_arn
    assert acts[-1]["userIdentity"]["type"] == "AWSService"


async def test_a_key_is_destroyed_only_once_its_line_is_on_the_disk(
    recorded: Recorded, store: SQLiteKeyStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a process that is killed in between leaves a key that the next one destroys, and never a silent loss."""
    key = await made_key(recorded)
    await recorded.call(t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(8)
    core = recorded.service._core

    def told() -> int:
        return [event["eventName"] for event in recorded.events("AwsServiceEvent")].count("DeleteKey")

    def killed(now_us: int, limit: int) -> list[StoredKey]:
        assert told() == 1
        raise StoreUnavailable("killed before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(store, "destroy_expired", killed)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await destroy_expired_keys(core)
    assert store.version(key.key_id, 1) is not None
    assert await destroy_expired_keys(core) == 1
    assert store.version(key.key_id, 1) is None
    assert told() == 1  # however often it was tried


async def test_nothing_is_destroyed_while_it_cannot_be_told(
    recorded: Recorded, store: SQLiteKeyStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await made_key(recorded)
    await recorded.call(t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(8)
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)
    core = recorded.service._core

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", full)
        for _ in range(2):
            with pytest.raises(KMSUnavailable, match="audit trail"):
                await destroy_expired_keys(core)
        assert store.version(key.key_id, 1) is not None
    async with asyncio.timeout(60):
        while recorded.trail.trouble is not None:
            await asyncio.sleep(0.002)
    assert await destroy_expired_keys(core) == 1
    assert recorded.events("AwsServiceEvent")[-1]["eventName"] == "DeleteKey"


@pytest.mark.usefixtures("one_wrapping_key")
async def test_expired_material_is_destroyed_only_once_its_line_is_on_the_disk(
    recorded: Recorded, store: SQLiteKeyStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await recorded.call(t.CreateKey(origin="EXTERNAL"))
    await put(recorded.service, CALLER, key.key_id, bytes(32), valid_to_us=clock() + 1_000_000)
    clock.pass_days(1)
    expire = store.expire_material
    lines: list[dict[str, Any]] = []

    def expire_material(now_us: int, limit: int) -> list[StoredKey]:
        lines.extend(recorded.events("AwsServiceEvent"))
        return expire(now_us, limit)

    monkeypatch.setattr(store, "expire_material", expire_material)
    assert await importing.expire_material(recorded.service._core) == 1
    told = lines[-1]
    assert (told["eventName"], told["resources"][0]["ARN"]) == ("DeleteExpiredKeyMaterial", key.key_arn)
    assert await importing.expire_material(recorded.service._core) == 0


async def test_rotation_by_time_is_the_services_own_act(recorded: Recorded, clock: Clock) -> None:
    key = await made_key(recorded)
    await recorded.call(t.EnableKeyRotation(key.key_id, 90))
    clock.pass_days(91)
    from kms.service.rotation import rotate_due_keys

    assert await rotate_due_keys(recorded.service._core) == 1
    act = recorded.events("AwsServiceEvent")[-1]
    assert (act["eventName"], act["resources"][0]["ARN"]) == ("RotateKey", key.key_arn)
    assert act["serviceEventDetails"] == {"rotationType": "AUTOMATIC", "keyVersion": 2}
    await recorded.call(t.GenerateDataKey(key.key_id, 32))
    assert recorded.events()[-1]["keyVersion"] == 2


async def test_the_managed_key_is_made_by_the_service(recorded: Recorded) -> None:
    made = await recorded.call(t.GenerateDataKey(t.S3_KEY_ALIAS, 32))
    [act] = [event for event in recorded.events("AwsServiceEvent") if event["eventName"] == "CreateKey"]
    assert act["resources"][0]["ARN"] == made.ciphertext.key_arn
    assert act["serviceEventDetails"]["requestId"] == "REQUEST1"


async def test_a_root_that_is_lost_and_comes_back_is_told(recorded: Recorded) -> None:
    recorded.root.failure = RootUnavailable("the token is gone")
    await recorded.service._core.root.probe()
    recorded.root.failure = None
    await recorded.service._core.root.probe()
    await made_key(recorded)
    acts = recorded.events("AwsServiceEvent")
    assert [event["eventName"] for event in acts][-2:] == ["LoseRoot", "RecoverRoot"]
    assert acts[-2]["serviceEventDetails"] == {"cause": "the token is gone"}


async def test_what_commands_did_is_told_once_its_line_is_there(recorded: Recorded, store: SQLiteKeyStore) -> None:
    acts = [new_act("RetireRoot", 1_700_000_000_000_000, root="ab"), new_act("DestroyRoot", 1, destroyedKeys=5)]
    store.add_acts(acts)
    assert await tell_acts(recorded.service._core) == 2
    retired, destroyed = recorded.events("AwsServiceEvent")[-2:]
    assert (retired["eventName"], retired["eventID"]) == ("RetireRoot", acts[0].event_id)
    assert retired["eventTime"].startswith("2023-11-14T22:13:20")
    assert retired["serviceEventDetails"] == {"root": "ab"}
    assert destroyed["serviceEventDetails"] == {"destroyedKeys": 5}
    assert store.acts(10) == []
    assert await tell_acts(recorded.service._core) == 0


async def test_acts_wait_while_the_trail_cannot_be_written(recorded: Recorded, store: SQLiteKeyStore) -> None:
    store.add_acts([new_act("RetireRoot", 1, root="ab")])

    async def fail(act: StoredAct) -> None:
        raise AuditUnavailable("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded.service._core.recorder, "tell", fail)
        with pytest.raises(AuditUnavailable):
            await tell_acts(recorded.service._core)
    assert len(store.acts(10)) == 1
    assert await tell_acts(recorded.service._core) == 1


async def test_what_no_command_writes_cannot_pass_for_another_line(recorded: Recorded, store: SQLiteKeyStore) -> None:
    store.add_acts([new_act("DeleteKey", 1, key="arn"), StoredAct("id", "RetireRoot", 1, '{"a": [1]}')])
    await tell_acts(recorded.service._core)
    unknown, changed = recorded.events("AwsServiceEvent")[-2:]
    assert (unknown["eventName"], unknown["serviceEventDetails"]) == ("UnknownAct", {"key": "arn"})
    assert changed["serviceEventDetails"] == {"unreadable": '{"a": [1]}'}


async def test_a_service_without_a_trail_leaves_acts_to_one_that_has_it(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch
) -> None:
    store.add_acts([new_act("RetireRoot", 1, root="ab")])
    async with EmbeddedKeyService(store, root, epoch, SETTINGS) as service:
        assert await tell_acts(service._core) == 0
    assert len(store.acts(10)) == 1


async def test_a_service_tells_by_itself(
    recorded: Recorded, store: SQLiteKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms.service.acts.TELL_SECONDS", 0.01)
    store.add_acts([new_act("RetireRoot", 1, root="ab")])
    task = asyncio.create_task(recorded.service._tell_acts())
    async with asyncio.timeout(60):
        while store.acts(1):
            await asyncio.sleep(0.01)
    task.cancel()
    assert recorded.events("AwsServiceEvent")[-1]["eventName"] == "RetireRoot"


async def test_a_sealed_service_records_what_it_refuses(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, tmp_path: Path
) -> None:
    root.failure = RootUnavailable("absent")
    directory = tmp_path / "audit"
    async with (
        AuditTrail(TrailSettings(directory=directory), root, lambda: epoch.value) as trail,
        EmbeddedKeyService(store, root, epoch, SETTINGS, trail=trail) as service,
    ):
        event = await Recorded(service, trail, directory, root).refusal(t.ListKeys())
    assert event["errorCode"] == "KeyUnavailableException"
    assert [act["eventName"] for act in records(directory, "event")] == [
        "StartKeyService",
        "ListKeys",
        "StopKeyService",
    ]


async def test_a_call_that_is_given_up_is_a_line(recorded: Recorded) -> None:
    key = await made_key(recorded)
    sealed = await recorded.call(t.Encrypt(key.key_id, SecretBytes(PLAINTEXT)))
    recorded.service._core.leases.drop(key.key_id)
    recorded.root.hangs = True
    task = asyncio.create_task(recorded.service.call(CALLER, t.Decrypt(sealed.ciphertext_blob)))
    await asyncio.to_thread(recorded.root.entered.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    recorded.root.hangs = False
    recorded.root.go_on.set()
    await recorded.service.call(CALLER, t.ListKeys())
    given_up, listed = recorded.events()[-2:]
    assert (given_up["eventName"], given_up["errorCode"]) == ("Decrypt", ABANDONED)
    assert listed["eventName"] == "ListKeys"


async def test_one_line_for_each_of_many_calls_at_once(recorded: Recorded) -> None:
    key = await made_key(recorded)
    callers = [replace(CALLER, request_id=f"R{number}") for number in range(200)]
    await asyncio.gather(*(recorded.service.call(caller, t.GenerateDataKey(key.key_id, 32)) for caller in callers))
    told = [event["requestID"] for event in recorded.events()[1:]]
    assert sorted(told) == sorted(caller.request_id for caller in callers)


async def test_nothing_is_answered_before_its_line_is_written(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await made_key(recorded)
    go_on, write = threading.Event(), journal_module.write_all

    def slow(descriptor: int, data: bytes) -> None:
        assert go_on.wait(60)
        write(descriptor, data)

    monkeypatch.setattr(journal_module, "write_all", slow)
    task = asyncio.create_task(recorded.service.call(CALLER, t.GenerateDataKey(key.key_id, 32)))
    done, _ = await asyncio.wait([task], timeout=0.1)
    assert not done
    go_on.set()
    assert len((await task).plaintext) == 32


async def test_a_full_disk_answers_nothing_does_nothing_and_heals(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = await made_key(recorded)
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", full)
        with pytest.raises(KMSUnavailable, match="audit trail"):
            await recorded.service.call(CALLER, t.GenerateDataKey(key.key_id, 32))
        with pytest.raises(KMSUnavailable, match="audit trail"):
            await recorded.service.call(CALLER, t.DisableKey(key.key_id))
        health = await recorded.service.health()
        assert health.state is t.HealthState.DEGRADED
        assert "No space left" in health.detail
    async with asyncio.timeout(60):
        while recorded.trail.trouble is not None:
            await asyncio.sleep(0.002)
    assert (await recorded.service.health()).state is t.HealthState.READY
    metadata = await recorded.service.call(CALLER, t.DescribeKey(key.key_id))  # behind what was late
    assert metadata.state is t.KeyState.ENABLED
    [trouble] = records(recorded.directory, "trouble")
    # What the service does by itself may have been refused meanwhile, too.
    waiting = caplog.text.count("keys due for rotation wait")
    assert (trouble["lateLines"], trouble["refusedCalls"]) == (1, 1 + waiting)


async def test_checkpoints_that_are_not_signed_show_in_health_and_stop_nothing(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign(digest: bytes) -> bytes:
        raise RootUnavailable("no signing today")

    with monkeypatch.context() as patch:
        patch.setattr(recorded.root, "sign", sign)
        await made_key(recorded)
        async with asyncio.timeout(60):
            while recorded.trail.unsigned is None:
                await asyncio.sleep(0.01)
        health = await recorded.service.health()
        assert health.state is t.HealthState.READY
        assert "no signing today" in health.detail
        await made_key(recorded)
    monkeypatch.setattr("kms.audit.checkpoints.RETRY_SECONDS", 0.01)
    recorded.trail._checkpoints.ask("interval")
    async with asyncio.timeout(60):
        while recorded.trail.unsigned is not None:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "name", ["CreateKey", "DisableKey", "PutKeyPolicy", "CreateGrant", "ImportKeyMaterial", "RotateKeyOnDemand"]
)
def test_changes(name: str) -> None:
    assert is_change(name)


@pytest.mark.parametrize(
    "name",
    ["Decrypt", "ReEncrypt", "GenerateRandom", "GenerateMac", "Verify", "DescribeKey", "ListKeys", "GetKeyPolicy"],
)
def test_what_is_no_change(name: str) -> None:
    assert not is_change(name)


async def test_calls_of_other_services_are_lines_too(recorded: Recorded) -> None:
    decided = Decided("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/ann", True, "root user of the account")
    request = t.RecordCall(
        "iam.amazonaws.com", "CreateUser", '{"userName":"ann"}', '{"user":{"userId":"AIDA"}}', (decided,)
    )
    caller = replace(CALLER, via_service=None, resource_arn=None)
    await recorded.call(request, caller)
    event = recorded.events()[-1]
    assert (event["eventSource"], event["eventName"], event["requestID"]) == (
        "iam.amazonaws.com",
        "CreateUser",
        "REQUEST1",
    )
    assert (event["requestParameters"], event["responseElements"]) == (
        {"userName": "ann"},
        {"user": {"userId": "AIDA"}},
    )
    assert event["resources"] == [{"ARN": decided.resource_arn, "accountId": ACCOUNT, "type": "AWS::IAM::User"}]
    assert event["decisions"][0]["decidedBy"] == "root user of the account"
    refused = replace(request, answer="{}", decisions=(), error_code="AccessDenied", error_message="no")
    await recorded.call(refused, caller)
    event = recorded.events()[-1]
    assert (event["errorCode"], event["errorMessage"], event.get("responseElements")) == ("AccessDenied", "no", None)


async def test_each_use_that_a_call_tells_is_a_line(recorded: Recorded) -> None:
    uses = tuple((f"REQUEST{number}", f"arn:aws:s3:::bucket/{number}") for number in range(20))
    decided = Decided("kms:Decrypt", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k", True, "root user of the account")
    before = len(recorded.events())
    request = t.RecordCall("s3.amazonaws.com", "Decrypt", '{"a":"b"}', decisions=(decided,), is_change=False, uses=uses)
    await recorded.service.call(CALLER, request)
    events = recorded.events()[before:]
    assert [(event["requestID"], event["resourceArn"]) for event in events] == list(uses)
    assert len({event["eventID"] for event in events}) == len(uses)
    for event in events:
        assert (event["eventSource"], event["eventName"]) == ("s3.amazonaws.com", "Decrypt")
        assert event["requestParameters"] == {"a": "b"}
        assert event["userIdentity"]["arn"] == CALLER.principal.arn
        assert event["decisions"][0]["decidedBy"] == "root user of the account"


async def test_no_use_is_answered_for_while_its_line_cannot_be_written(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    request = t.RecordCall("s3.amazonaws.com", "Decrypt", is_change=False, uses=(("A", "a"), ("B", "b")))
    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", full)
        with pytest.raises(KMSUnavailable):
            await recorded.service.call(CALLER, request)


@pytest.mark.parametrize(
    "request_",
    [
        t.RecordCall("kms.amazonaws.com", "Decrypt"),
        t.RecordCall("iam.amazonaws.com", "CreateUser", "[]"),
        t.RecordCall("iam.amazonaws.com", "CreateUser", "{}", "{"),
    ],
)
async def test_what_is_no_call_of_another_service_is_no_line(recorded: Recorded, request_: t.RecordCall) -> None:
    before = recorded.events()
    with pytest.raises(KMSError) as refused:
        await recorded.service.call(CALLER, request_)
    assert refused.value.code == "ValidationException"
    assert recorded.events() == before


async def test_other_services_are_told_while_the_root_is_away_and_refused_while_the_trail_is(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded.service.call(CALLER, t.RequireTrail())
    recorded.root.failure = RootUnavailable("away")
    await recorded.call(t.RecordCall("iam.amazonaws.com", "CreateUser"))
    recorded.root.failure = None

    def refuse() -> None:
        raise AuditUnavailable("full")

    monkeypatch.setattr(recorded.trail, "require_writable", refuse)
    before = recorded.events()
    told = t.RecordCall("iam.amazonaws.com", "CreateUser")
    for request in (t.RequireTrail(), told, replace(told, uses=(("REQUEST2", "arn:aws:s3:::bucket/a"),))):
        with pytest.raises(KMSUnavailable):
            await recorded.service.call(CALLER, request)
    assert recorded.events() == before
