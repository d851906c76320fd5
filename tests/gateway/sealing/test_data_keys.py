from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.body_key import BodyKey
from gateway.sealing.customer_keys import WrongCustomerKey
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.epochs import EpochKeys
from gateway.sealing.errors import AuthenticationFailed, SealingError
from gateway.sealing.kms_context import kms_context
from gateway.sealing.wraps import split_kms_wrap
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from tests.gateway.sealing.material import ACCOUNT, CALLER, FakeBucketKeyStore, FakeKMS, key

ARN = "arn:aws:s3:::bucket/key"
ROW: dict[str, Any] = {
    "context": {"team": "blue"},
    "account_id": ACCOUNT,
    "bucket_id": bytes(16),
    "row_uid": bytes(range(16)),
    "object_arn": ARN,
}
SERVICE_KEYS = EpochKeys({1: key(), 2: key()}, 2)


def data_keys(kms: FakeKMS) -> DataKeys:
    return DataKeys(kms.service, SERVICE_KEYS, FakeBucketKeyStore().worker(kms))


async def test_sse_s3_asks_the_kms_nothing() -> None:
    kms = FakeKMS()
    made, wrap = await data_keys(kms).create(CALLER, Mode.SSE_S3, kms_key_id=None, **ROW)
    assert len(made.first) == 32
    assert made.second is None
    assert (wrap.mode, wrap.key_arn, wrap.key_version) == (Mode.SSE_S3, None, None)
    assert wrap.wrapped[:5] == b"\1\0\0\0\2"
    assert await data_keys(kms).open(CALLER, wrap, **ROW) == made
    assert kms.calls == []


@pytest.mark.parametrize(
    "change",
    [{"account_id": "999999999999"}, {"bucket_id": b"x" * 16}, {"row_uid": bytes(16)}],
    ids=lambda change: next(iter(change)),
)
async def test_sse_s3_wraps_are_bound_to_their_row(change: dict[str, Any]) -> None:
    keys = data_keys(FakeKMS())
    _, wrap = await keys.create(CALLER, Mode.SSE_S3, kms_key_id=None, **ROW)
    with pytest.raises(AuthenticationFailed) as caught:
        await keys.open(CALLER, wrap, **{**ROW, **change})
    assert caught.value.row_uid == {**ROW, **change}["row_uid"]


async def test_sse_kms_is_one_call_each_way_for_the_caller() -> None:
    kms = FakeKMS()
    made, wrap = await data_keys(kms).create(CALLER, Mode.SSE_KMS, kms_key_id="alias/mine", **ROW)
    assert wrap.mode is Mode.SSE_KMS
    assert wrap.key_arn == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/alias/mine"
    assert wrap.key_version == 3
    assert await data_keys(kms).open(CALLER, wrap, **ROW) == made
    context = {"team": "blue", "aws:s3:arn": ARN}
    acting = replace(CALLER, resource_arn=ARN)
    assert kms.calls == [
        ("GenerateDataKey", acting, "alias/mine", context),
        ("Decrypt", acting, wrap.key_arn, context),
    ]


async def test_sse_kms_without_a_key_is_the_managed_one() -> None:
    kms = FakeKMS()
    await data_keys(kms).create(CALLER, Mode.SSE_KMS, kms_key_id=None, **ROW)
    assert kms.calls[0][2] == "alias/aws/s3"


@pytest.mark.parametrize(
    ("wrap_change", "row_change"),
    [
        ({"wrapped": b"?" * 40}, {}),
        ({"key_arn": "arn:aws:kms:us-east-1:1:key/other"}, {}),
        ({}, {"object_arn": "arn:aws:s3:::bucket/other"}),
        ({}, {"context": {}}),
    ],
    ids=["wrap", "key", "object", "context"],
)
async def test_a_stored_wrap_that_does_not_open_is_an_integrity_event(
    wrap_change: dict[str, Any], row_change: dict[str, Any]
) -> None:
    keys = data_keys(FakeKMS())
    _, wrap = await keys.create(CALLER, Mode.SSE_KMS, kms_key_id="k", **ROW)
    with pytest.raises(AuthenticationFailed) as caught:
        await keys.open(CALLER, replace(wrap, **wrap_change), **{**ROW, **row_change})
    assert caught.value.row_uid == ROW["row_uid"]
    assert isinstance(caught.value.__cause__, KMSError)  # the full cause is for the log


@pytest.mark.parametrize(
    "refusal",
    [
        KMSError("DisabledException", "disabled"),
        KMSError("KMSInvalidStateException"),
        KMSError("NotFoundException"),
        KMSError("AccessDeniedException"),
        KMSUnavailable("no HSM"),
    ],
    ids=lambda refusal: refusal.code,
)
async def test_refusals_of_the_kms_pass_through(refusal: KMSError) -> None:
    kms = FakeKMS()
    keys = data_keys(kms)
    _, wrap = await keys.create(CALLER, Mode.SSE_KMS, kms_key_id="k", **ROW)
    kms.refusal = refusal
    with pytest.raises(KMSError) as caught:
        await keys.open(CALLER, wrap, **ROW)
    assert caught.value is refusal
    with pytest.raises(KMSError) as caught:
        await keys.create(CALLER, Mode.SSE_KMS, kms_key_id="k", **ROW)
    assert caught.value is refusal


async def test_a_data_key_of_another_length_is_refused() -> None:
    kms = FakeKMS()
    keys = data_keys(kms)
    _, wrap = await keys.create(CALLER, Mode.SSE_KMS, kms_key_id="k", **ROW)
    kms.key_bytes = 16
    with pytest.raises(SealingError):
        await keys.open(CALLER, wrap, **ROW)


async def test_sse_c_asks_the_kms_nothing_and_opens_by_its_key_alone() -> None:
    kms, customer_key = FakeKMS(), key()
    keys = data_keys(kms)
    made, wrap = await keys.create(CALLER, Mode.SSE_C, kms_key_id=None, customer_key=customer_key, **ROW)
    assert len(made.first) == 32
    assert made.second is None
    assert (wrap.mode, wrap.key_arn, wrap.key_version) == (Mode.SSE_C, None, None)
    assert await keys.open(CALLER, wrap, customer_key=customer_key, **ROW) == made
    with pytest.raises(WrongCustomerKey):
        await keys.open(CALLER, wrap, customer_key=key(), **ROW)
    with pytest.raises(AuthenticationFailed) as caught:
        await keys.open(CALLER, wrap, customer_key=customer_key, **{**ROW, "row_uid": bytes(16)})
    assert caught.value.row_uid == bytes(16)
    assert kms.calls == []


async def test_a_data_key_by_sse_c_is_wrapped_for_no_other_row() -> None:
    with pytest.raises(ValueError, match="SSE_C"):
        await data_keys(FakeKMS()).rewrap(CALLER, BodyKey(key()), Mode.SSE_C, kms_key_id=None, **ROW)


async def test_sse_c_without_a_key_is_refused() -> None:
    keys = data_keys(FakeKMS())
    with pytest.raises(ValueError, match="customer's key"):
        await keys.create(CALLER, Mode.SSE_C, kms_key_id=None, **ROW)
    with pytest.raises(ValueError, match="customer's key"):
        await keys.open(CALLER, Wrap(Mode.SSE_C, b""), **ROW)


async def test_dsse_has_two_keys_and_one_call_each_way() -> None:
    kms = FakeKMS()
    made, wrap = await data_keys(kms).create(CALLER, Mode.DSSE_KMS, kms_key_id="alias/mine", **ROW)
    assert made.second is not None
    assert made.first != made.second
    assert (wrap.mode, wrap.key_version) == (Mode.DSSE_KMS, 3)
    assert await data_keys(kms).open(CALLER, wrap, **ROW) == made
    context = {"team": "blue", "aws:s3:arn": ARN}
    acting = replace(CALLER, resource_arn=ARN)
    assert kms.calls == [
        ("GenerateDataKey", acting, "alias/mine", context),
        ("Decrypt", acting, wrap.key_arn, context),
    ]


async def test_dsse_is_wrapped_anew_with_both_keys_for_another_name() -> None:
    keys, there = data_keys(FakeKMS()), {**ROW, "object_arn": "arn:aws:s3:::bucket/other"}
    made, wrap = await keys.create(CALLER, Mode.DSSE_KMS, kms_key_id="k", **ROW)
    other = await keys.rewrap(CALLER, made, Mode.DSSE_KMS, kms_key_id="k", **there)
    assert await keys.open(CALLER, other, **there) == made
    assert split_kms_wrap(other.wrapped)[1] != split_kms_wrap(wrap.wrapped)[1]
    with pytest.raises(AuthenticationFailed):
        await keys.open(CALLER, other, **ROW)


@pytest.mark.parametrize(
    ("layers", "mode"), [(1, Mode.DSSE_KMS), (2, Mode.SSE_S3), (2, Mode.SSE_KMS), (2, Mode.SSE_KMS_BUCKET_KEY)]
)
async def test_the_number_of_layers_never_changes(layers: int, mode: Mode) -> None:
    made = BodyKey(key(), key() if layers == 2 else None)
    with pytest.raises(ValueError, match=mode.name):
        await data_keys(FakeKMS()).rewrap(CALLER, made, mode, kms_key_id="k", **ROW)


@pytest.mark.parametrize(
    "change",
    [{"account_id": "999999999999"}, {"bucket_id": b"x" * 16}, {"row_uid": bytes(16)}, {"context": {}}],
    ids=lambda change: next(iter(change)),
)
async def test_dsse_wraps_are_bound_to_row_and_context(change: dict[str, Any]) -> None:
    keys = data_keys(FakeKMS())
    _, wrap = await keys.create(CALLER, Mode.DSSE_KMS, kms_key_id="k", **ROW)
    with pytest.raises(AuthenticationFailed) as caught:
        await keys.open(CALLER, wrap, **{**ROW, **change})
    assert caught.value.row_uid == {**ROW, **change}["row_uid"]


async def test_every_bit_of_a_dsse_wrap_counts() -> None:
    keys = data_keys(FakeKMS())
    _, wrap = await keys.create(CALLER, Mode.DSSE_KMS, kms_key_id="k", **ROW)
    for position in range(len(wrap.wrapped)):
        changed = bytearray(wrap.wrapped)
        changed[position] ^= 1 << position % 8
        with pytest.raises(SealingError):
            await keys.open(CALLER, replace(wrap, wrapped=bytes(changed)), **ROW)
    for wrapped in (b"", wrap.wrapped[:-1], wrap.wrapped + b"x", wrap.wrapped[4:]):
        with pytest.raises(AuthenticationFailed):
            await keys.open(CALLER, replace(wrap, wrapped=wrapped), **ROW)


async def test_half_of_a_dsse_wrap_opens_nothing_in_another_mode() -> None:
    keys = data_keys(FakeKMS())
    _, wrap = await keys.create(CALLER, Mode.DSSE_KMS, kms_key_id="k", **ROW)
    _, local = split_kms_wrap(wrap.wrapped)
    with pytest.raises(AuthenticationFailed):
        await keys.open(CALLER, Wrap(Mode.SSE_S3, local), **ROW)
    _, first = await keys.create(CALLER, Mode.SSE_S3, kms_key_id=None, **ROW)
    forged = wrap.wrapped[: -len(local)] + first.wrapped
    with pytest.raises(AuthenticationFailed):
        await keys.open(CALLER, replace(wrap, wrapped=forged), **ROW)


async def test_a_local_wrap_does_not_pass_for_another_mode() -> None:
    keys = data_keys(FakeKMS())
    _, wrap = await keys.create(CALLER, Mode.SSE_S3, kms_key_id=None, **ROW)
    with pytest.raises(AuthenticationFailed):
        await keys.open(CALLER, replace(wrap, mode=Mode.SSE_KMS), **ROW)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"aws:s3:arn": ARN}),
        ({"a": "b"}, {"a": "b", "aws:s3:arn": ARN}),
        ({"aws:s3:arn": "mine"}, {"aws:s3:arn": "mine"}),
    ],
)
def test_context_as_the_kms_sees_it(given: dict[str, str], sent: dict[str, str]) -> None:
    assert kms_context(given, ARN) == sent


def test_keys_do_not_show() -> None:
    secret = SecretBytes(b"k" * 32)
    for shown in (EpochKeys({1: secret}, 1), BodyKey(secret, secret)):
        assert "kkkk" not in repr(shown)
