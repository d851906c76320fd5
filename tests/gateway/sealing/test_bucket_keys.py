"""Bucket keys: when the KMS is asked and when it is not, for whom an answer counts, and when it ends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.modes import Mode, Wrap
from gateway.sealing import bucket_keys
from gateway.sealing.bucket_keys import BucketKeys, bucket_key_id
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.wraps import WRAPPED_SIZE, split_kms_wrap
from iam.principals import Caller, IdentityPolicies, PolicyText, Principal, PrincipalKind, Session
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import ACCOUNT, CALLER, FakeBucketKeyStore, FakeKMS, key

BUCKET_ARN = "arn:aws:s3:::bucket"
KMS_KEY = "k"
HOLDER = IdentityPolicies((PolicyText("p", '{"Statement": []}'),))


def role_session(name: str, **changes: Any) -> Caller:
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/{name}"
    principal = Principal(PrincipalKind.ROLE_SESSION, ACCOUNT, arn, f"AROA:{name}", issuer_arn=role)
    return replace(CALLER, principal=principal, session=Session(1, 2), **changes)


class Worker:
    """The bucket keys of one process, asked about rows of one bucket."""

    def __init__(self, kms: FakeKMS, store: FakeBucketKeyStore, **limits: Any) -> None:
        self.keys: BucketKeys = store.worker(kms, **limits)
        self.kms = kms

    def row(self, name: str, **changes: Any) -> dict[str, Any]:
        row = {"context": {}, "bucket_id": b"b" * 16, "row_uid": name.encode().ljust(16, b"\0")}
        return {**row, "object_arn": f"{BUCKET_ARN}/{name}", **changes}

    async def write(
        self,
        name: str,
        data_key: SecretBytes | None = None,
        *,
        caller: Caller = CALLER,
        kms_key: str = KMS_KEY,
        **row: Any,
    ) -> Wrap:
        return await self.keys.wrap(caller, data_key or key(), kms_key_id=kms_key, **self.row(name, **row))

    async def read(self, wrap: Wrap, name: str, *, caller: Caller = CALLER, **row: Any) -> SecretBytes:
        return await self.keys.unwrap(caller, wrap, **self.row(name, **row))

    @property
    def asked(self) -> list[str]:
        """What the KMS was asked since the last look."""
        verbs = [verb for verb, *_ in self.kms.calls]
        self.kms.calls.clear()
        return verbs


@pytest.fixture
def kms() -> FakeKMS:
    return FakeKMS()


@pytest.fixture
def store() -> FakeBucketKeyStore:
    return FakeBucketKeyStore()


@pytest.fixture
async def worker(kms: FakeKMS, store: FakeBucketKeyStore) -> Any:
    made = Worker(kms, store)
    yield made
    made.keys.close()


async def test_many_objects_take_one_call_to_write_and_one_to_read(worker: Worker) -> None:
    data_keys = [key() for _ in range(100)]
    wraps = [await worker.write(f"o{number}", data_key) for number, data_key in enumerate(data_keys)]
    assert [await worker.read(wrap, f"o{number}") for number, wrap in enumerate(wraps)] == data_keys
    assert worker.asked == ["GenerateDataKey", "Decrypt"]
    assert {wrap.mode for wrap in wraps} == {Mode.SSE_KMS_BUCKET_KEY}
    assert {(wrap.key_arn, wrap.key_version) for wrap in wraps} == {(f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k", 3)}
    assert len({split_kms_wrap(wrap.wrapped)[0] for wrap in wraps}) == 1
    assert len({split_kms_wrap(wrap.wrapped)[1] for wrap in wraps}) == 100


async def test_the_kms_is_told_of_the_bucket_and_the_trail_of_each_object(worker: Worker) -> None:
    wrap = await worker.write("a", context={"team": "blue"})
    await worker.read(wrap, "a", context={"team": "blue"})
    context = {"team": "blue", "aws:s3:arn": BUCKET_ARN}
    acting = replace(CALLER, resource_arn=BUCKET_ARN)
    assert worker.kms.calls == [
        ("GenerateDataKey", acting, KMS_KEY, context),
        ("Decrypt", acting, wrap.key_arn, context),
    ]
    told = {"bucketKeyId": bucket_key_id(split_kms_wrap(wrap.wrapped)[0]), "encryptionContext": context}
    for event_name, (caller, line) in zip(("GenerateDataKey", "Decrypt"), worker.kms.lines, strict=True):
        assert (line.event_source, line.event_name, line.is_change) == ("s3.amazonaws.com", event_name, False)
        assert json.loads(line.parameters) == told
        assert [decided.action for decided in line.decisions] == [f"kms:{event_name}"]
        assert caller == replace(CALLER, resource_arn=None)
        assert line.uses == ((CALLER.request_id, f"{BUCKET_ARN}/a"),)


@pytest.mark.parametrize(
    "other",
    [
        replace(CALLER, principal=replace(CALLER.principal, arn=f"arn:aws:iam::{ACCOUNT}:user/u")),
        replace(CALLER, principal=replace(CALLER.principal, tags=(("a", "b"),))),
        replace(CALLER, policies=HOLDER),
        replace(CALLER, source_ip="10.0.0.1"),
        replace(CALLER, is_secure_transport=True),
        replace(CALLER, user_agent="other"),
        replace(CALLER, via_service=None),
        replace(CALLER, session=Session(1, 2)),
    ],
    ids=["principal", "tags", "policies", "address", "transport", "agent", "service", "session"],
)
async def test_the_answer_that_one_got_serves_no_other(worker: Worker, other: Caller) -> None:
    wrap = await worker.write("a")
    await worker.read(wrap, "a")
    worker.kms.calls.clear()
    await worker.read(wrap, "a", caller=other)
    await worker.write("b", caller=other)
    assert worker.asked[0] == "Decrypt"
    worker.kms.refusal = KMSError("AccessDeniedException")
    third = replace(other, principal=replace(other.principal, principal_id="third"))
    for use in (worker.read(wrap, "a", caller=third), worker.write("c", caller=third)):
        with pytest.raises(KMSError, match="AccessDenied"):
            await use
    await worker.read(wrap, "a", caller=other)
    assert set(worker.asked) <= {"Decrypt", "UnwrapDataKey", "GenerateDataKey"}


async def test_another_request_of_the_same_caller_is_served(worker: Worker) -> None:
    wrap = await worker.write("a")
    await worker.read(wrap, "a")
    worker.kms.calls.clear()
    again = replace(CALLER, request_id="ANOTHER", resource_arn="arn")
    await worker.read(wrap, "a", caller=again)
    await worker.write("b", caller=again)
    assert worker.asked == []


async def test_who_may_write_may_not_read_for_that(worker: Worker) -> None:
    wrap = await worker.write("a")
    worker.kms.refusal = KMSError("AccessDeniedException")
    with pytest.raises(KMSError, match="AccessDenied"):
        await worker.read(wrap, "a")
    await worker.write("b")


async def test_a_role_has_one_bucket_key_and_each_session_asks_for_itself(worker: Worker) -> None:
    one = await worker.write("a", caller=role_session("one"))
    two = await worker.write("b", caller=role_session("two"))
    assert worker.asked == ["GenerateDataKey", "UnwrapDataKey"]
    assert split_kms_wrap(one.wrapped)[0] == split_kms_wrap(two.wrapped)[0]


@pytest.mark.parametrize(
    "change",
    [{"kms_key": "other"}, {"context": {"a": "b"}}, {"bucket_id": b"c" * 16}, {"object_arn": "arn:aws:s3:::other/b"}],
    ids=lambda change: next(iter(change)),
)
async def test_another_key_context_or_bucket_has_another_bucket_key(worker: Worker, change: dict[str, Any]) -> None:
    one = await worker.write("a")
    other = await worker.write("b", **change)
    assert worker.asked == ["GenerateDataKey", "GenerateDataKey"]
    assert split_kms_wrap(one.wrapped)[0] != split_kms_wrap(other.wrapped)[0]


@pytest.mark.parametrize(
    "change",
    [{"bucket_id": b"c" * 16}, {"row_uid": bytes(16)}, {"object_arn": f"{BUCKET_ARN}/b"}],
    ids=lambda change: next(iter(change)),
)
async def test_wraps_are_bound_to_bucket_row_and_name(worker: Worker, change: dict[str, Any]) -> None:
    wrap = await worker.write("a")
    with pytest.raises(AuthenticationFailed) as caught:
        await worker.read(wrap, "a", **change)
    assert caught.value.row_uid == {**worker.row("a"), **change}["row_uid"]
    assert len(worker.kms.lines) == 1, "what did not open was not used"


async def test_a_changed_wrap_is_refused_wherever_it_was_changed(worker: Worker) -> None:
    wrap = await worker.write("a")
    for position in (0, 3, 4, 20, len(wrap.wrapped) - WRAPPED_SIZE + 2, len(wrap.wrapped) - 1):
        changed = bytearray(wrap.wrapped)
        changed[position] ^= 1
        with pytest.raises(AuthenticationFailed):
            await worker.read(replace(wrap, wrapped=bytes(changed)), "a")
    for wrapped in (b"", wrap.wrapped[1:], wrap.wrapped[:-1], wrap.wrapped + b"\0", wrap.wrapped[-WRAPPED_SIZE:]):
        with pytest.raises(AuthenticationFailed):
            await worker.read(replace(wrap, wrapped=wrapped), "a")


async def test_an_answer_ends_with_its_cache_period_and_is_wiped(worker: Worker, store: FakeBucketKeyStore) -> None:
    wrap = await worker.write("a")
    await worker.read(wrap, "a")
    opened = list(worker.keys._cache.values())
    assert worker.asked == ["GenerateDataKey", "Decrypt"]
    store.seconds += 299
    await worker.read(wrap, "a")
    await worker.write("b")
    assert worker.asked == []
    assert all(len(each.key) == 32 for each in opened)
    store.seconds += 1
    await worker.read(wrap, "a")
    assert all(each.key == b"" for each in opened)
    again = await worker.write("c")
    assert worker.asked == ["Decrypt", "UnwrapDataKey"]
    assert split_kms_wrap(again.wrapped)[0] == split_kms_wrap(wrap.wrapped)[0]


async def test_what_has_ended_is_wiped_though_nobody_asks(
    worker: Worker, store: FakeBucketKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_keys, "LOOK_SECONDS", 0.0)
    for end in ("seconds", "epoch"):
        await worker.write("a")
        (opened,) = worker.keys._cache.values()
        setattr(store, end, getattr(store, end) + 1000)
        async with asyncio.timeout(60):
            while opened.key:
                await asyncio.sleep(0)
        assert len(worker.keys) == 0


async def test_a_change_in_the_kms_ends_every_answer(worker: Worker, store: FakeBucketKeyStore) -> None:
    wrap = await worker.write("a")
    await worker.read(wrap, "a")
    opened = list(worker.keys._cache.values())
    store.epoch += 1
    worker.kms.refusal = KMSError("DisabledException")
    for use in (worker.read(wrap, "a"), worker.write("b")):
        with pytest.raises(KMSError, match="Disabled"):
            await use
    assert all(each.key == b"" for each in opened)
    worker.kms.refusal = None
    await worker.read(wrap, "a")
    await worker.write("b")


class SlowKMS(FakeKMS):
    """Answers when it is let; what it decides, it decides when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.go.set()

    async def call(self, caller: Any, request: Any, decisions: Any = None) -> Any:
        answer = await super().call(caller, request, decisions)
        await self.go.wait()
        return answer


async def test_requests_that_meet_share_one_call(store: FakeBucketKeyStore) -> None:
    kms = SlowKMS()
    worker = Worker(kms, store)
    wrap = await worker.write("a")
    kms.calls.clear()
    kms.go.clear()
    reading = [asyncio.ensure_future(worker.read(wrap, "a")) for _ in range(50)]
    await asyncio.sleep(0)
    reading[0].cancel()
    await asyncio.sleep(0)
    kms.go.set()
    assert len({each.reveal() for each in await asyncio.gather(*reading[1:])}) == 1
    assert worker.asked == ["Decrypt"]
    worker.keys.close()


async def test_who_begins_after_a_change_joins_no_call_from_before_it(store: FakeBucketKeyStore) -> None:
    kms = SlowKMS()
    worker = Worker(kms, store)
    wrap = await worker.write("a")
    kms.go.clear()
    before = asyncio.ensure_future(worker.read(wrap, "a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.epoch += 1
    kms.refusal = KMSError("DisabledException")
    with pytest.raises(KMSError, match="Disabled"):
        await worker.read(wrap, "a")
    kms.go.set()
    await before
    assert kms.calls[-2][0] == kms.calls[-1][0] == "Decrypt"
    assert not [name for name, each in worker.keys._cache.items() if each.current is None], "it is not kept"
    worker.keys.close()


async def test_workers_write_with_one_bucket_key(kms: FakeKMS, store: FakeBucketKeyStore, worker: Worker) -> None:
    other = Worker(kms, store)
    one, two = await worker.write("a"), await other.write("b")
    assert worker.asked == ["GenerateDataKey", "UnwrapDataKey"]
    assert split_kms_wrap(one.wrapped)[0] == split_kms_wrap(two.wrapped)[0]
    other.keys.close()


async def test_a_bucket_key_is_replaced_after_its_life(worker: Worker, store: FakeBucketKeyStore) -> None:
    old = await worker.write("a")
    store.seconds += 86_399
    await worker.write("b")
    store.seconds += 1
    new = await worker.write("c")
    assert worker.asked == ["GenerateDataKey", "UnwrapDataKey", "GenerateDataKey"]
    assert split_kms_wrap(old.wrapped)[0] != split_kms_wrap(new.wrapped)[0]
    await worker.read(old, "a")


async def test_a_bucket_key_is_replaced_after_so_many_wraps(kms: FakeKMS, store: FakeBucketKeyStore) -> None:
    worker = Worker(kms, store, most_wraps=3)
    wraps = [await worker.write(f"o{number}") for number in range(7)]
    assert worker.asked == ["GenerateDataKey"] * 3
    blobs = [split_kms_wrap(wrap.wrapped)[0] for wrap in wraps]
    assert [blobs.count(blob) for blob in dict.fromkeys(blobs)] == [3, 3, 1]
    worker.keys.close()


async def test_a_rotated_key_takes_a_new_bucket_key(worker: Worker, store: FakeBucketKeyStore) -> None:
    await worker.write("a")
    store.epoch += 1
    worker.kms.key_version = 4
    assert (await worker.write("b")).key_version == 4
    assert worker.asked == ["GenerateDataKey", "UnwrapDataKey", "GenerateDataKey"]


async def test_without_its_line_nothing_is_used(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    wrap = await worker.write("a")

    async def refuse(*_: Any) -> None:
        raise KMSUnavailable("no trail")

    await worker.read(wrap, "a")
    monkeypatch.setattr(worker.kms, "call", refuse)
    for use in (worker.read(wrap, "a"), worker.write("b")):
        with pytest.raises(KMSUnavailable):
            await use


async def test_an_answer_of_another_length_is_refused(worker: Worker) -> None:
    wrap = await worker.write("a")
    worker.kms.key_bytes = 16
    with pytest.raises(AuthenticationFailed):
        await worker.read(wrap, "a")


async def test_what_is_kept_is_bounded(
    worker: Worker, store: FakeBucketKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_keys, "MAX_OPENED", 8)
    monkeypatch.setattr(bucket_keys, "MAX_CURRENT", 4)
    first = await worker.write("a")
    (opened,) = worker.keys._cache.values()
    for number in range(20):
        await worker.write("a", context={"n": str(number)})
    assert (len(worker.keys), len(worker.keys._current)) == (8, 4)
    assert opened.key == b"", "what goes is wiped"
    assert not worker.keys._opening
    await worker.read(first, "a")


async def test_closing_wipes_all_and_keys_do_not_show(worker: Worker) -> None:
    await worker.write("a")
    (opened,) = worker.keys._cache.values()
    assert opened.key.hex() not in repr(opened) and bytes(opened.key).hex() not in repr(vars(worker.keys))
    worker.keys.close()
    assert opened.key == b"" and len(worker.keys) == 0
