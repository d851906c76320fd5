"""New identities have AWS's shapes; secrets do not show."""

from __future__ import annotations

import pickle
import re

import pytest

from iam.credentials import (
    Credential,
    check_access_key_id,
    check_account_id,
    check_canonical_id,
    new_access_key_id,
    new_account_id,
    new_canonical_id,
    new_secret,
)
from iam.principals import SERVICE_ACCOUNT_ID, root_principal
from iam.secrets import Secret


def test_what_is_made_passes_its_check() -> None:
    for _ in range(100):
        assert check_account_id(new_account_id())[0] != "0"
        assert check_canonical_id(new_canonical_id())
        assert re.fullmatch(r"AKIA[A-Z2-7]{16}", check_access_key_id(new_access_key_id()))
        assert re.fullmatch(rb"[A-Za-z0-9/]{40}", new_secret().reveal())


def test_nothing_is_made_twice() -> None:
    for make in (new_account_id, new_canonical_id, new_access_key_id, lambda: new_secret().reveal()):
        assert len({make() for _ in range(50)}) == 50


@pytest.mark.parametrize("text", ["", "1" * 11, "1" * 13, "12345678901x", "١" * 12, SERVICE_ACCOUNT_ID])
def test_wrong_account_ids(text: str) -> None:
    with pytest.raises(ValueError, match="account id"):
        check_account_id(text)


@pytest.mark.parametrize("text", ["", "0" * 63, "A" * 64])
def test_wrong_canonical_ids(text: str) -> None:
    with pytest.raises(ValueError, match="canonical"):
        check_canonical_id(text)


@pytest.mark.parametrize("text", ["", "AKIA", "A" * 129, "AKIAIOSFODNN7EXAMPL/", "akiaiosfodnn7example"])
def test_wrong_access_key_ids(text: str) -> None:
    with pytest.raises(ValueError, match="access key id"):
        check_access_key_id(text)


def test_a_secret_does_not_show() -> None:
    secret = Secret(b"top")
    credential = Credential("AKIAIOSFODNN7EXAMPLE", secret, root_principal("123456789012"))
    assert "top" not in f"{secret!r} {secret} {credential!r}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_secrets_compare_by_value() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert len(Secret(b"abc")) == 3
