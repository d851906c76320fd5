"""The KMS: JSON requests, names of keys, markers, ciphertext blobs, and the language of its socket."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec

from iam.principals import Caller, root_principal
from kms.api.errors import KMSError
from kms.face.aws_json import answer
from kms.keys.ciphertext import (
    MAX_PLAINTEXT_BYTES,
    BlobIdentity,
    derivation_of,
    identify_blob,
    open_blob,
    seal_blob,
)
from kms.keys.context import canonical_context
from kms.service.key_names import parse_key_name
from kms.service.paging import (
    format_alias_marker,
    format_grant_marker,
    format_key_marker,
    format_rotation_marker,
    format_tag_marker,
    parse_alias_marker,
    parse_grant_marker,
    parse_key_marker,
    parse_rotation_marker,
    parse_tag_marker,
)
from kms.wire import (
    ANSWER,
    EXPLAINED,
    HEALTH_RESULT,
    MAX_REQUEST_BYTES,
    REFUSAL,
    VERBS,
    FrameReader,
    WireError,
    parse_refusal,
)
from tests.fuzz.inputs import finished, first_line, text_of
from tests.fuzz.target import check_bounded, target
from tests.kms.face.fake_service import FakeKeyService

CALLER = Caller(root_principal("123456789012"), "REQUEST")
KEY = bytes(range(32))
KEY_ID = bytes(range(16))
CONTEXT = {"a": "b"}
PLAINTEXTS = (b"a", b"plaintext of the corpus", bytes(MAX_PLAINTEXT_BYTES))
"""What was encrypted under KEY in CONTEXT, in the corpus."""

_MEMBERS = (
    "KeyId", "Plaintext", "CiphertextBlob", "EncryptionContext", "EncryptionAlgorithm", "GrantTokens",
    "DryRun", "Limit",
    "Marker", "NumberOfBytes", "KeySpec", "KeyUsage", "Tags", "TagKey", "TagValue", "Policy", "PolicyName",
    "Description",
    "Origin", "MultiRegion", "AliasName", "TargetKeyId", "Operations", "GranteePrincipal", "Constraints", "Message",
    "MessageType", "SigningAlgorithm", "Signature", "PendingWindowInDays", "ImportToken",
    "EncryptedKeyMaterial", "ValidTo",
    "ExpirationModel", "WrappingAlgorithm", "WrappingKeySpec", "Recipient", "RotationPeriodInDays", "ReplicaRegion",
)  # fmt: skip


@target("kms-request", *(f'"{name}":'.encode() for name in _MEMBERS), b"TrentService.", b"SYMMETRIC_DEFAULT",
        b"alias/a",
        b"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", b'"AAAA"', b"{}",
        b"[]", b"null",
        b"true", b"1e308", b"-0", b"9" * 5000, b"[" * 600, b'{"a":' * 600)  # fmt: skip
def kms_request(data: bytes) -> str:
    """A request is answered by one JSON document: 200, or an error that the API has, bounded; nothing is raised.

    First line: X-Amz-Target; then the body. The service behind answers every request that is well-formed.
    """
    line, body = first_line(data)
    service = FakeKeyService()
    service.next_marker = "next"
    given = finished(answer(service, CALLER, line, body))
    check_bounded(len(given.body), len(data))
    assert repr(given)
    if given.status == 200:
        assert len(service.calls) <= 1
        if given.body:
            assert isinstance(json.loads(given.body), dict)
        for call in service.calls:
            msgspec.msgpack.encode(call, enc_hook=lambda secret: secret.reveal())  # it travels to kmsd
        return "ok"
    told = json.loads(given.body)
    assert told["__type"] == given.headers["x-amzn-ErrorType"] and given.status in (400, 500)
    return str(told["__type"])


@target("kms-names", b"alias/", b"arn:aws:kms:us-east-1:123456789012:", b"key/", b"mrk-",
        b"1234abcd-12ab-34cd-56ef-1234567890ab",
        b"a3", b"k", b"_", b"=", b"AAAA")  # fmt: skip
def kms_names(data: bytes) -> str:
    """Names of keys and markers of listings are refused by KMSError; a marker that is taken is one that was given."""
    text = text_of(data)
    outcomes = []
    with suppress(KMSError):
        parse_key_name(text, account_id="123456789012", region="us-east-1")
        outcomes.append("name")
    for parse, form in (
        (parse_key_marker, format_key_marker),
        (parse_grant_marker, format_grant_marker),
        (parse_alias_marker, format_alias_marker),
        (parse_tag_marker, format_tag_marker),
        (parse_rotation_marker, format_rotation_marker),
    ):
        try:
            position = parse(text)
        except KMSError as error:
            assert error.code == "InvalidMarkerException"
            continue
        assert parse(form(position)) == position  # type: ignore[arg-type,operator]
        outcomes.append(form.__name__)
    return " ".join(outcomes)


@target("ciphertext-blob", b"\x01\x01", KEY_ID, bytes(4), bytes(32))
def ciphertext_blob(data: bytes) -> str:
    """A blob opens to what was sealed, in its context alone, or is refused with InvalidCiphertextException,
    wordless."""
    try:
        identity = identify_blob(data)
        derivation_of(data)
        assert isinstance(identity, BlobIdentity) and len(identity.key_id) == 16
        opened = open_blob(KEY, data, context=canonical_context(CONTEXT))
    except KMSError as error:
        assert (error.code, error.message) == ("InvalidCiphertextException", "")
        return error.code
    assert opened in PLAINTEXTS, "a forgery"
    with suppress(KMSError):
        open_blob(KEY, data, context=canonical_context({}))
        raise AssertionError("the context does not count")
    return "ok"


def sealed(plaintext: bytes, salt: bytes) -> bytes:
    """A blob for the corpus."""
    return seal_blob(KEY, KEY_ID, 1, salt=salt, plaintext=plaintext, context=canonical_context(CONTEXT))


@target(
    "kms-wire",
    b"\x00\x00\x00\x0a\x02",
    b"\x02\x00",
    b"\x02\xff",
    b"\x93\xa1a\xa1b\xc0",
    b"\xc1",
    b"\xdf\xff\xff\xff\xff",
)
def kms_wire(data: bytes) -> str:
    """Frames are the same in whatever pieces they arrive; a body is refused by what both ends catch."""
    cuts = {_frames(data, size) for size in (len(data) or 1, 7, 1)}
    assert len(cuts) == 1, cuts
    frames, outcome = cuts.pop()
    outcomes = [outcome]
    for kind, _, body in frames:
        decoders = [verb.arguments.decode for number, verb in VERBS.items() if number == kind]
        if kind in (ANSWER, EXPLAINED, REFUSAL):
            decoders = [HEALTH_RESULT.decode, parse_refusal, *(verb.result.decode for verb in VERBS.values())]
            decoders += [verb.explained.decode for verb in VERBS.values()]
        for decode in decoders:
            try:
                decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                outcomes.append(type(error).__name__)
    return " ".join(outcomes[:4])


def _frames(data: bytes, size: int) -> tuple[tuple[tuple[int, int, bytes], ...], str]:
    reader = FrameReader(MAX_REQUEST_BYTES)
    found: list[tuple[int, int, bytes]] = []
    try:
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size])
            found += reader.frames()
    except WireError:
        return tuple(found), "WireError"
    return tuple(found), "more"
