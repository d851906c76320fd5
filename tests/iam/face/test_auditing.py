"""What the audit trail is told of calls: which calls, in which order, and never a secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from iam.face.auditing import CallRecord, TrailUnavailable, is_recorded, told_answer, told_parameters
from iam.face.models.iam import IAM
from iam.face.models.sts import STS
from iam.face.query import find_operation
from iam.face.service import IdentityService
from iam.face.shapes import Kind, Model
from iam.key_uses import AccessKeyUses
from iam.principals import Caller, root_principal
from iam.session_tokens import SessionTokens
from iam.store.interface import NoSuchUser, OutcomeUnknown
from iam.store.sqlite import SQLiteIdentityStore
from tests.conformance.identities import ACCOUNT
from tests.iam.store.test_sqlite import AESGCMSecretSealer

CALLER = Caller(root_principal(ACCOUNT.account_id), "request-id", "192.0.2.1")
SECRET = "not-to-be-told"


class Trail:
    """Remembers what it is told; `fails` names the steps that it refuses."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.records: list[CallRecord] = []
        self.fails: set[str] = set()

    async def require(self, caller: Caller) -> None:
        self._step("require")

    async def record(self, caller: Caller, record: CallRecord) -> None:
        await asyncio.sleep(0)
        self._step("record")
        self.records.append(record)

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.fails:
            raise TrailUnavailable("away", 3)


class Asked:
    def __init__(self, service: IdentityService, trail: Trail, store: SQLiteIdentityStore) -> None:
        self.service = service
        self.trail = trail
        self.store = store

    async def ask(self, action: str, model: Model = IAM, **parameters: str) -> Any:
        whole = {"Action": action, "Version": model.version, **parameters}
        return await self.service.call(CALLER, find_operation(whole), whole)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    def open_store() -> SQLiteIdentityStore:
        return SQLiteIdentityStore(tmp_path / "identities.sqlite", AESGCMSecretSealer(bytes(32)))

    store, trail = open_store(), Trail()
    store.create_account(ACCOUNT)
    tokens = SessionTokens(AESGCMSecretSealer(bytes(32)))
    yield Asked(IdentityService(open_store, AccessKeyUses(), tokens, trail), trail, store)
    store.close()


async def test_a_change_is_required_done_and_told(asked: Asked) -> None:
    await asked.ask("CreateUser", UserName="ann", **{"Tags.member.1.Key": "a", "Tags.member.1.Value": "b"})
    assert asked.trail.steps == ["require", "record"]
    [record] = asked.trail.records
    assert (record.event_source, record.event_name, record.error_code) == ("iam.amazonaws.com", "CreateUser", None)
    assert json.loads(record.parameters) == {"userName": "ann", "tags": [{"key": "a", "value": "b"}]}
    assert json.loads(record.answer)["user"]["arn"].endswith(":user/ann")
    assert record.decided is not None
    assert (record.decided.action, record.decided.is_allowed) == ("iam:CreateUser", True)
    await asked.service.close()


async def test_a_refusal_is_told_with_its_code(asked: Asked) -> None:
    with pytest.raises(Exception, match="cannot be found"):
        await asked.ask("DeleteUser", UserName="missing")
    [record] = asked.trail.records
    assert (record.error_code, json.loads(record.parameters)) == ("NoSuchEntity", {"userName": "missing"})
    with pytest.raises(Exception, match="UserName"):
        await asked.ask("CreateUser", **{"UserName.member.1": "x"})
    assert (asked.trail.records[1].error_code, asked.trail.records[1].parameters) == ("MalformedInput", "{}")
    await asked.service.close()


async def test_reading_is_no_line(asked: Asked) -> None:
    await asked.ask("ListUsers")
    await asked.ask("GetCallerIdentity", STS)
    assert asked.trail.steps == []
    await asked.service.close()


async def test_nothing_is_changed_that_could_not_be_told(asked: Asked) -> None:
    asked.trail.fails = {"require"}
    with pytest.raises(TrailUnavailable):
        await asked.ask("CreateUser", UserName="ann")
    with pytest.raises(TrailUnavailable):
        await asked.service.put_account_block(CALLER, frozenset())
    with pytest.raises(NoSuchUser):
        asked.store.user(ACCOUNT.account_id, "ann")
    assert asked.store.account_access(ACCOUNT.account_id).public_access_block is None
    await asked.service.close()


async def test_nothing_is_acknowledged_that_was_not_told(asked: Asked) -> None:
    asked.trail.fails = {"record"}
    with pytest.raises(TrailUnavailable):
        await asked.ask("CreateUser", UserName="ann")
    assert asked.store.user(ACCOUNT.account_id, "ann").name == "ann"
    await asked.service.close()


async def test_what_the_database_may_have_done_is_told(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the only line that there will be of a change."""

    def lost(*_: object, **__: object) -> None:
        raise OutcomeUnknown("lost in a commit")

    monkeypatch.setattr(SQLiteIdentityStore, "create_user", lost)
    monkeypatch.setattr(SQLiteIdentityStore, "set_account_public_access_block", lost)
    with pytest.raises(OutcomeUnknown):
        await asked.ask("CreateUser", UserName="ann")
    with pytest.raises(OutcomeUnknown):
        await asked.service.put_account_block(CALLER, None)
    told = [(record.event_name, record.error_code, record.parameters) for record in asked.trail.records]
    assert told == [
        ("CreateUser", "ServiceUnavailable", '{"userName":"ann"}'),
        ("DeleteAccountPublicAccessBlock", "ServiceUnavailable", json.dumps({"accountId": ACCOUNT.account_id})),
    ]
    assert all("not known" in str(record.error_message) for record in asked.trail.records)
    await asked.service.close()


async def test_what_nobody_waits_for_any_more_is_told(asked: Asked) -> None:
    task = asyncio.create_task(asked.ask("CreateUser", UserName="ann"))
    while "require" not in asked.trail.steps:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asked.service.close()
    assert [record.event_name for record in asked.trail.records] == ["CreateUser"]


async def test_the_block_of_an_account_is_told(asked: Asked) -> None:
    await asked.service.put_account_block(CALLER, frozenset({"block_public_acls"}))
    await asked.service.put_account_block(CALLER, None)
    assert [(record.event_source, record.event_name) for record in asked.trail.records] == [
        ("s3.amazonaws.com", "PutAccountPublicAccessBlock"),
        ("s3.amazonaws.com", "DeleteAccountPublicAccessBlock"),
    ]
    assert json.loads(asked.trail.records[0].parameters)["settings"] == ["block_public_acls"]
    await asked.service.close()


async def test_an_access_key_is_told_without_its_secret(asked: Asked) -> None:
    await asked.ask("CreateUser", UserName="ann")
    made = (await asked.ask("CreateAccessKey", UserName="ann"))["AccessKey"]
    told = json.loads(asked.trail.records[-1].answer)["accessKey"]
    assert told["accessKeyId"] == made["AccessKeyId"]
    assert made["SecretAccessKey"] not in repr(asked.trail.records)
    session = (await asked.ask("GetSessionToken", STS))["Credentials"]
    assert json.loads(asked.trail.records[-1].answer)["credentials"]["accessKeyId"] == session["AccessKeyId"]
    for name in ("SecretAccessKey", "SessionToken"):
        assert session[name] not in repr(asked.trail.records)
    await asked.service.close()


def test_credentials_are_told_and_reading_is_not() -> None:
    recorded = {
        (model.name, each) for model in (IAM, STS) for each in model.operations if is_recorded(model.name, each)
    }
    assert {("iam", "CreateUser"), ("iam", "SetDefaultPolicyVersion"), ("iam", "UploadServerCertificate")} <= recorded
    assert {("sts", "AssumeRole"), ("sts", "GetSessionToken"), ("sts", "GetFederationToken")} <= recorded
    assert not {("iam", "GetUser"), ("iam", "ListUsers"), ("sts", "GetCallerIdentity")} & recorded


def _filled(shape_name: str, model: Model) -> Any:
    """A value of a shape, its texts SECRET where the model says that they are sensitive."""
    shape = model.shapes[shape_name]
    if shape.kind is Kind.STRUCTURE:
        return {name: _filled(member, model) for name, member in shape.members.items()}
    if shape.item is not None:
        return [_filled(shape.item, model)]
    return SECRET if shape.is_sensitive else "told"


@pytest.mark.parametrize("model", [IAM, STS], ids=lambda model: model.name)
def test_what_the_model_calls_sensitive_is_never_told(model: Model) -> None:
    for shape_name in model.inputs.values():
        values: Mapping[str, Any] = _filled(shape_name, model)
        assert SECRET not in told_parameters(values, model.shapes[shape_name], model)


def test_secrets_are_told_apart_by_name_too() -> None:
    document = {"Credentials": {"SecretAccessKey": SECRET, "SessionToken": SECRET, "AccessKeyId": "ASIA"}}
    assert json.loads(told_answer(document)) == {"credentials": {"accessKeyId": "ASIA"}}
    assert json.loads(told_answer({"List": ["x" * 300_000]})) == {"omitted": "too long to be told"}
