"""What the audit trail tells of requests: nothing secret, whatever the request."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, get_type_hints

import pytest

from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.api.types import REQUESTS
from kms.service.request_parameters import request_parameters

MARK = "s3cr3t-mark"


def test_a_request_in_the_apis_spelling() -> None:
    request = t.ReEncrypt(
        ciphertext_blob=b"blob",
        destination_key_id="alias/to",
        source_encryption_context={"a": "b"},
        grant_tokens=("token",),
        dry_run=True,
    )
    assert request_parameters(request) == {
        "destinationKeyId": "alias/to",
        "sourceEncryptionContext": {"a": "b"},
        "sourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "destinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "grantTokens": ["sha256:3c469e9d6c5875d3"],
        "dryRun": True,
    }


def test_what_is_absent_or_false_is_left_out() -> None:
    assert request_parameters(t.Encrypt("alias/x", SecretBytes(b"p"))) == {
        "keyId": "alias/x",
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }
    assert request_parameters(t.ListKeys()) == {"limit": 100}


def test_nested_values_are_spelt_as_the_api_does() -> None:
    assert request_parameters(t.CreateKey(tags=(t.Tag("team", "blue"),)))["tags"] == [{"key": "team", "value": "blue"}]


@dataclass(frozen=True, slots=True)
class _Deep:
    key_material: SecretBytes
    blobs: tuple[bytes, ...] = ()
    name: str = "shown"


@dataclass(frozen=True, slots=True)
class _Odd(t.Request[None]):
    deep: _Deep
    grant_token: str = MARK
    buffer: bytearray = field(default_factory=lambda: bytearray(MARK.encode()))
    secrets: tuple[SecretBytes, ...] = (SecretBytes(MARK.encode()),)
    whatever: Any = ...


def test_secrets_are_left_out_at_any_depth() -> None:
    request = _Odd(_Deep(SecretBytes(MARK.encode()), (MARK.encode(),)))
    shown = request_parameters(request)
    assert shown["deep"] == {"name": "shown"}
    assert set(shown) == {"deep", "grantToken"}
    assert MARK not in json.dumps(shown)


def _filled(request: type[t.Request[Any]]) -> t.Request[Any]:
    """The request with the mark in every place that holds bytes, and in every grant token."""
    hints = get_type_hints(request)
    values: dict[str, Any] = {}
    for each in fields(request):  # type: ignore[arg-type]  # every request is a dataclass
        hint = str(hints[each.name])
        if "SecretBytes" in hint:
            values[each.name] = SecretBytes(MARK.encode())
        elif "bytes" in hint:
            values[each.name] = MARK.encode()
        elif each.name in {"grant_tokens", "grant_token"}:
            values[each.name] = MARK if hint == "<class 'str'>" else (MARK,)
        elif each.default is MISSING and each.default_factory is MISSING:
            values[each.name] = 1 if "int" in hint else "x"
    return request(**values)


@pytest.mark.parametrize("request_class", REQUESTS, ids=lambda kind: kind.__name__)
def test_no_request_tells_bytes_or_tokens(request_class: type[t.Request[Any]]) -> None:
    text = json.dumps(request_parameters(_filled(request_class)), default=str)
    assert MARK not in text
    assert MARK.encode().hex() not in text
