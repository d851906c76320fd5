from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iam.policy.decisions import Decided
from iam.principals import Caller, IdentityPolicies, PolicyText, root_principal, service_caller
from kms import wire
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.service.table import HANDLERS

CALLERS = (
    Caller(root_principal("111122223333"), "REQ", "192.0.2.1", "s3.us-east-1.amazonaws.com", "eu-central-1"),
    Caller(
        root_principal("111122223333"),
        "REQ",
        policies=IdentityPolicies((PolicyText("a", "{}"),), PolicyText("b", "{}"), (PolicyText("c", "{}"),)),
        resource_arn="arn:aws:s3:::b/k",
        is_secure_transport=True,
        user_agent="é",
    ),
    service_caller("R"),
)

st.register_type_strategy(SecretBytes, st.binary(max_size=40).map(SecretBytes))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(Mapping, lambda kind: st.dictionaries(*map(st.from_type, get_args(kind)), max_size=3))


def results_of(request: type[t.Request[Any]]) -> st.SearchStrategy[Any]:
    return st.from_type(request.result_type())


def only_frame(data: bytes) -> tuple[int, int, bytes]:
    reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
    reader.feed(data)
    [frame] = reader.frames()
    return frame


@pytest.mark.parametrize("request_type", t.REQUESTS, ids=lambda request: request.operation_name())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_requests_and_results_come_back_as_sent(request_type: type[t.Request[Any]], data: st.DataObject) -> None:
    verb = wire.VERB_OF[request_type]
    arguments = (data.draw(st.sampled_from(CALLERS)), data.draw(st.from_type(request_type)), data.draw(st.booleans()))
    kind, request_id, body = only_frame(wire.format_frame(verb.number, 2**64 - 1, arguments))
    assert (kind, request_id) == (verb.number, 2**64 - 1)
    assert verb.arguments.decode(body) == arguments
    result = data.draw(results_of(request_type))
    kind, request_id, body = only_frame(wire.format_frame(wire.ANSWER, 1, result))
    assert (kind, request_id) == (wire.ANSWER, 1)
    assert verb.result.decode(body) == result
    decisions = (Decided("kms:Decrypt", "arn", False, "key policy", "because", "00"),)
    _, _, body = only_frame(wire.format_frame(wire.EXPLAINED, 1, (result, decisions)))
    assert verb.explained.decode(body) == (result, decisions)


def test_health_comes_back_as_sent() -> None:
    health = t.Health(t.HealthState.SEALED, "why", 5)
    _, _, body = only_frame(wire.format_frame(wire.ANSWER, 1, health))
    assert wire.HEALTH_RESULT.decode(body) == health


def test_every_request_has_a_number_and_a_handler() -> None:
    assert set(wire.VERB_OF) == set(t.REQUESTS) == set(HANDLERS)
    assert not {wire.ANSWER, wire.DECLINED, wire.EXPLAINED, wire.REFUSAL, wire.HEALTH} & set(wire.VERBS)
    assert max(wire.VERBS) < wire.EXPLAINED


def test_what_changes_twice_is_not_repeated() -> None:
    repeated = {request.operation_name() for request in t.REQUESTS if not request.is_idempotent}
    assert repeated == {
        "CreateKey",
        "CreateAlias",
        "CreateGrant",
        "DeleteAlias",
        "ImportKeyMaterial",
        "ReplicateKey",
        "RotateKeyOnDemand",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "RetireGrant",
        "RevokeGrant",
    }


@pytest.mark.parametrize("error", [KMSError("DisabledException", "é is disabled."), KMSUnavailable("away", 7)])
def test_refusals_come_back_as_sent(error: KMSError) -> None:
    error.decisions = (Decided("kms:Decrypt", "arn", True, "key policy"),)
    kind, _, body = only_frame(wire.format_refusal(1, error))
    assert kind == wire.REFUSAL
    back = wire.parse_refusal(body)
    assert type(back) is type(error)
    assert (back.code, back.message, back.decisions) == (error.code, error.message, error.decisions)
    if isinstance(back, KMSUnavailable):
        assert back.retry_after_seconds == 7


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=6), st.lists(st.integers(0, 400), max_size=8), st.integers(1, 3))
def test_any_split_of_the_stream_gives_the_same_frames(bodies: list[bytes], cuts: list[int], limit: int) -> None:
    stream = b"".join(wire.format_frame(1, number, body) for number, body in enumerate(bodies))
    reader = wire.FrameReader(1000)
    frames: list[tuple[int, int, bytes]] = []
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        reader.feed(stream[start:end])
        while some := list(reader.frames(limit)):
            assert len(some) <= limit
            frames += some
    assert frames == [(1, number, msgspec.msgpack.encode(body)) for number, body in enumerate(bodies)]


@pytest.mark.parametrize(
    "header",
    [
        b"\0\0\0\x09\x02\x01" + bytes(8),  # shorter than its own header
        b"\0\0\0\x0a\x01\x01" + bytes(8),  # another version
        b"\0\0\x04\x00\x02\x01" + bytes(8),  # above the limit
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_what_is_no_frame(header: bytes) -> None:
    reader = wire.FrameReader(1000)
    reader.feed(header)
    with pytest.raises(wire.WireError):
        list(reader.frames())


def test_other_types_do_not_travel() -> None:
    with pytest.raises(TypeError, match="object"):
        wire.format_frame(1, 1, object())
    with pytest.raises(msgspec.ValidationError):
        wire.VERB_OF[t.GenerateRandom].result.decode(msgspec.msgpack.encode("text"))
