"""Constraint errors, word by word as AWS has them; wrong JSON; bounds."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iam.face.constraints import MAX_QUOTED
from kms.api.errors import KMSError
from kms.face.model import INPUTS
from kms.face.request import ParsedRequest
from kms.face.validation import check, parse_document

PREFIX = "failed to satisfy constraint: Member must"
ENCRYPT = "EncryptRequest"


def check_refused(document: dict[str, object], shape: str, code: str) -> str:
    with pytest.raises(KMSError) as caught:
        check(document, shape)
    assert caught.value.code == code
    return caught.value.message


def blob(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("shape", "document", "message"),
    [
        (
            "GenerateRandomRequest",
            {"NumberOfBytes": 0},
            f"1 validation error detected: Value '0' at 'numberOfBytes' {PREFIX} have value greater than or equal to 1",
        ),
        (
            "GenerateRandomRequest",
            {"NumberOfBytes": 1025},
            f"1 validation error detected: Value '1025' at 'numberOfBytes' {PREFIX} have value less than or "
            "equal to 1024",
        ),
        ("EnableKeyRequest", {}, f"1 validation error detected: Value null at 'keyId' {PREFIX} not be null"),
        (
            "EnableKeyRequest",
            {"KeyId": None},
            f"1 validation error detected: Value null at 'keyId' {PREFIX} not be null",
        ),
        (
            "CreateAliasRequest",
            {},
            f"2 validation errors detected: Value null at 'aliasName' {PREFIX} not be null; "
            f"Value null at 'targetKeyId' {PREFIX} not be null",
        ),
        (
            "CreateAliasRequest",
            {"AliasName": "alias/a b", "TargetKeyId": "k"},
            "1 validation error detected: Value 'alias/a b' at 'aliasName' "
            f"{PREFIX} satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        ),
        (
            "CreateAliasRequest",
            {"AliasName": "alias/a\n", "TargetKeyId": "k"},
            "1 validation error detected: Value 'alias/a\n' at 'aliasName' "
            f"{PREFIX} satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        ),
        (
            ENCRYPT,
            {"KeyId": "k", "Plaintext": blob(4097)},
            f"1 validation error detected: Value at 'plaintext' {PREFIX} have length less than or equal to 4096",
        ),
        (
            "DecryptRequest",
            {"CiphertextBlob": ""},
            "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'ciphertextBlob' "
            f"{PREFIX} have length greater than or equal to 1",
        ),
        (
            "GenerateMacRequest",
            {"Message": blob(1), "KeyId": "k", "MacAlgorithm": "INVALID"},
            f"1 validation error detected: Value 'INVALID' at 'macAlgorithm' {PREFIX} satisfy enum value set: "
            "[HMAC_SHA_224, HMAC_SHA_256, HMAC_SHA_384, HMAC_SHA_512]",
        ),
        (
            ENCRYPT,
            {"KeyId": "k" * 2049, "Plaintext": "", "GrantTokens": ["t"] * 11},
            f"3 validation errors detected: Value '{'k' * 2049}' at 'keyId' {PREFIX} have length less than or equal to "
            f"2048; Value at 'plaintext' {PREFIX} have length greater than or equal to 1; "
            f"Value '[{', '.join(['t'] * 11)}]' at 'grantTokens' {PREFIX} have length less than or equal to 10",
        ),
        (
            ENCRYPT,
            {"KeyId": "k", "Plaintext": blob(1), "GrantTokens": ["ok", ""]},
            f"1 validation error detected: Value '[ok, ]' at 'grantTokens' {PREFIX} satisfy constraint: "
            "[Member must have length less than or equal to 8192, Member must have length greater than or equal to 1]",
        ),
        (
            "CreateKeyRequest",
            {"Tags": [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "", "TagValue": "c"}, {"TagKey": "d"}]},
            f"2 validation errors detected: Value '' at 'tags.2.member.tagKey' {PREFIX} have length greater than or "
            f"equal to 1; Value null at 'tags.3.member.tagValue' {PREFIX} not be null",
        ),
        (
            "DecryptRequest",
            {"Recipient": {"KeyEncryptionAlgorithm": "X"}},
            f"1 validation error detected: Value 'X' at 'recipient.keyEncryptionAlgorithm' {PREFIX} satisfy enum value "
            "set: [RSAES_OAEP_SHA_256]",
        ),
    ],
)
def test_constraint_errors(shape: str, document: dict[str, object], message: str) -> None:
    assert check_refused(document, shape, "ValidationException") == message


@pytest.mark.parametrize(
    ("shape", "document", "message"),
    [
        ("EnableKeyRequest", {"KeyId": 5}, "NUMBER_VALUE can not be converted to String"),
        ("EnableKeyRequest", {"KeyId": True}, "TRUE_VALUE can not be converted to String"),
        ("EnableKeyRequest", {"KeyId": False}, "FALSE_VALUE can not be converted to String"),
        ("EnableKeyRequest", {"KeyId": {}}, "Start of structure or map found where not expected."),
        ("EnableKeyRequest", {"KeyId": ["a"]}, "Start of list found where not expected"),
        ("GenerateRandomRequest", {"NumberOfBytes": "5"}, "STRING_VALUE can not be converted to Integer"),
        ("GenerateRandomRequest", {"NumberOfBytes": True}, "TRUE_VALUE can not be converted to Integer"),
        ("GenerateRandomRequest", {"NumberOfBytes": 5.0}, "DECIMAL_VALUE can not be converted to Integer"),
        (ENCRYPT, {"DryRun": "true"}, "STRING_VALUE can not be converted to Boolean"),
        (ENCRYPT, {"DryRun": 1}, "NUMBER_VALUE can not be converted to Boolean"),
        (ENCRYPT, {"Plaintext": 1}, "NUMBER_VALUE can not be converted to Blob"),
        (ENCRYPT, {"GrantTokens": "a"}, "STRING_VALUE can not be converted to List"),
        (ENCRYPT, {"GrantTokens": [1]}, "NUMBER_VALUE can not be converted to String"),
        (ENCRYPT, {"GrantTokens": [None]}, "NULL_VALUE can not be converted to String"),
        (ENCRYPT, {"EncryptionContext": []}, "Start of list found where not expected"),
        (ENCRYPT, {"EncryptionContext": {"a": 1}}, "NUMBER_VALUE can not be converted to String"),
        (ENCRYPT, {"EncryptionContext": {"a": None}}, "NULL_VALUE can not be converted to String"),
        ("DecryptRequest", {"Recipient": "x"}, "STRING_VALUE can not be converted to Structure"),
        ("ImportKeyMaterialRequest", {"ValidTo": "x"}, "STRING_VALUE can not be converted to Timestamp"),
        (ENCRYPT, {"Plaintext": "YQ"}, "A blob is not valid base64"),
        (ENCRYPT, {"Plaintext": "YQ=="[:3]}, "A blob is not valid base64"),
        (ENCRYPT, {"Plaintext": "Y Q=="}, "A blob is not valid base64"),
        (ENCRYPT, {"Plaintext": "YQ==YQ=="}, "A blob is not valid base64"),
        (ENCRYPT, {"Plaintext": "_-=="}, "A blob is not valid base64"),
        (ENCRYPT, {"Plaintext": "é"}, "A blob is not valid base64"),
    ],
)
def test_wrong_types(shape: str, document: dict[str, object], message: str) -> None:
    assert check_refused(document, shape, "SerializationException") == message


def test_wrong_types_go_before_constraints() -> None:
    check_refused({"KeyId": "", "Plaintext": 1}, ENCRYPT, "SerializationException")


def test_known_members_are_converted_and_others_ignored() -> None:
    document = {
        "KeyId": "k",
        "Plaintext": "YWJj",
        "EncryptionContext": {"a": "b"},
        "DryRun": None,
        "FutureMember": {"x": [1]},
    }
    assert check(document, ENCRYPT) == {"KeyId": "k", "Plaintext": b"abc", "EncryptionContext": {"a": "b"}}


def test_a_quoted_value_is_bounded() -> None:
    message = check_refused({"KeyId": "k" * 500_000}, "EnableKeyRequest", "ValidationException")
    assert len(message) < MAX_QUOTED + 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}x",
        b"[]",
        b'"text"',
        b"5",
        b"null",
        b'{"KeyId": "\xff"}',
        b'{"KeyId": NaN}',
        b'{"NumberOfBytes": 1e999}',
        b'{"KeyId": "\\ud800"}',
        b'{"KeyId": "a\nb"}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_document(body: bytes) -> None:
    with pytest.raises(KMSError) as caught:
        parse_document(body)
    assert caught.value.code == "SerializationException"


def test_an_empty_body_is_an_empty_document() -> None:
    assert parse_document(b"") == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_nothing_but_kms_errors_is_ever_raised(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(sorted(INPUTS.values())))
    from kms.face.model import SHAPES

    names = st.sampled_from(sorted(SHAPES[shape].members) or ["None"])
    document = data.draw(st.dictionaries(names, json_values, max_size=4))
    try:
        check(parse_document(json.dumps(document).encode()), shape)
    except KMSError as error:
        assert error.code in {"ValidationException", "SerializationException"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_serialization_errors(body: bytes) -> None:
    try:
        parse_document(body)
    except KMSError as error:
        assert error.code == "SerializationException"


@pytest.mark.parametrize(
    ("sent", "microseconds"),
    [(1_700_000_000.5, 1_700_000_000_500_000), (0, 0), (-1, 0), (1e300, 10**17), (10**400, 10**17)],
)
def test_timestamps_stay_within_what_databases_hold(sent: float, microseconds: int) -> None:
    members = {"KeyId": "k", "ImportToken": "AA==", "EncryptedKeyMaterial": "AA=="}
    request = ParsedRequest({**members, "ValidTo": sent}, "ImportKeyMaterialRequest")
    assert request.timestamp_us_or_none("ValidTo") == microseconds
    assert ParsedRequest(members, "ImportKeyMaterialRequest").timestamp_us_or_none("ValidTo") is None
