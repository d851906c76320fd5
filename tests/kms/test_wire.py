from __future__ import annotations

import inspect
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iam.principals import Caller, root_principal, service_caller
from kms import wire
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.client import KMSClient

CALLER = Caller(root_principal("111122223333"), "REQ", "192.0.2.1", "s3.us-east-1.amazonaws.com")
METADATA = t.KeyMetadata(
    account_id="111122223333",
    region="us-east-1",
    key_id="id",
    key_arn="arn",
    created_us=1,
    state=t.KeyState.PENDING_DELETION,
    description="é",
    manager=t.KeyManager.AWS,
    deletion_us=2,
    key_material_id="ab",
)
CIPHERTEXT = t.Ciphertext(b"\0blob\xff", "arn", 1, "ab")
PLAINTEXT = t.Plaintext(SecretBytes(b"\0\xff"), "arn", 1, "ab")
ALIAS = t.Alias("alias/a", "arn", None, None, None)

# Verb, arguments, result.
EXAMPLES: list[tuple[wire.Verb[Any], tuple[object, ...], object]] = [
    (wire.CREATE_KEY, (CALLER, t.CreateKey("d", policy="{}", tags=(t.Tag("a", "b"),))), METADATA),
    (wire.DESCRIBE_KEY, (service_caller("R"), "alias/a"), METADATA),
    (wire.LIST_KEYS, (CALLER, 5, None), t.KeyPage((t.KeyListEntry("id", "arn"),), "next")),
    (wire.CREATE_ALIAS, (CALLER, "alias/a", "id"), None),
    (wire.UPDATE_ALIAS, (CALLER, "alias/a", "id"), None),
    (wire.DELETE_ALIAS, (CALLER, "alias/a"), None),
    (wire.LIST_ALIASES, (CALLER, None, 5, "marker"), t.AliasPage((ALIAS,), None)),
    (wire.ENABLE_KEY, (CALLER, "id"), None),
    (wire.DISABLE_KEY, (CALLER, "id"), None),
    (wire.SCHEDULE_KEY_DELETION, (CALLER, "id", 7), METADATA),
    (wire.CANCEL_KEY_DELETION, (CALLER, "id"), METADATA),
    (wire.ENCRYPT, (CALLER, t.Encrypt("id", SecretBytes(b"x"), {"a": "b"}, True)), CIPHERTEXT),
    (wire.DECRYPT, (CALLER, t.Decrypt(b"blob", None, {})), PLAINTEXT),
    (
        wire.RE_ENCRYPT,
        (CALLER, t.ReEncrypt(b"blob", "id", "src", {"a": "b"}, {})),
        t.ReEncrypted(CIPHERTEXT, "arn", "cd"),
    ),
    (wire.GENERATE_DATA_KEY, (CALLER, t.GenerateDataKey("id", 32)), t.DataKey(SecretBytes(b"key"), CIPHERTEXT)),
    (wire.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT, (CALLER, t.GenerateDataKey("id", 32)), CIPHERTEXT),
    (wire.GENERATE_RANDOM, (CALLER, 3), SecretBytes(b"abc")),
    (wire.HEALTH, (), t.Health(t.HealthState.SEALED, "why", 5)),
]


def only_frame(data: bytes) -> tuple[int, int, bytes]:
    reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
    reader.feed(data)
    [frame] = reader.frames()
    return frame


@pytest.mark.parametrize(("verb", "arguments", "result"), EXAMPLES, ids=[verb.name for verb, _, _ in EXAMPLES])
def test_arguments_and_results_come_back_as_sent(
    verb: wire.Verb[Any], arguments: tuple[object, ...], result: object
) -> None:
    kind, request_id, body = only_frame(wire.format_frame(verb.number, 2**64 - 1, arguments))
    assert (kind, request_id) == (verb.number, 2**64 - 1)
    assert verb.arguments.decode(body) == arguments
    kind, request_id, body = only_frame(wire.format_frame(wire.ANSWER, 1, result))
    assert (kind, request_id) == (wire.ANSWER, 1)
    assert verb.result.decode(body) == result


def test_every_verb_of_the_service_travels() -> None:
    verbs = {name for name, _ in inspect.getmembers(KeyService, inspect.isfunction) if not name.startswith("_")}
    assert {verb.name for verb in wire.VERBS.values()} == verbs
    assert {verb.name for verb, _, _ in EXAMPLES} == verbs
    assert all(hasattr(KMSClient, name) for name in verbs)
    assert not {wire.ANSWER, wire.REFUSAL} & set(wire.VERBS)


def test_what_changes_twice_is_not_repeated() -> None:
    repeated = {verb.name for verb in wire.VERBS.values() if not verb.is_idempotent}
    assert repeated == {
        "create_key",
        "create_alias",
        "delete_alias",
        "schedule_key_deletion",
        "cancel_key_deletion",
    }


@pytest.mark.parametrize("error", [KMSError("DisabledException", "é is disabled."), KMSUnavailable("away", 7)])
def test_refusals_come_back_as_sent(error: KMSError) -> None:
    kind, _, body = only_frame(wire.format_refusal(1, error))
    assert kind == wire.REFUSAL
    back = wire.parse_refusal(body)
    assert type(back) is type(error)
    assert (back.code, back.message) == (error.code, error.message)
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
        b"\0\0\0\x09\x01\x01" + bytes(8),  # shorter than its own header
        b"\0\0\0\x0a\x02\x01" + bytes(8),  # another version
        b"\0\0\x04\x00\x01\x01" + bytes(8),  # above the limit
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
        wire.GENERATE_RANDOM.result.decode(msgspec.msgpack.encode("text"))
