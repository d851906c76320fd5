"""The cache of signing keys: bounded, and tied to the secret."""

from __future__ import annotations

import hmac

from iam.scope import CredentialScope
from iam.secrets import Secret
from iam.signing_keys import SigningKeys, derive_signing_key

SECRET = Secret(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def scope(day: int = 24, access_key_id: str = "AKIDEXAMPLE") -> CredentialScope:
    return CredentialScope(access_key_id, f"201305{day:02}", "us-east-1", "iam")


def test_the_example_of_the_documentation() -> None:
    """IAM User Guide, examples of how to derive a signing key."""
    derived = derive_signing_key(SECRET, CredentialScope("AKIDEXAMPLE", "20150830", "us-east-1", "iam"))
    assert derived.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_a_key_is_derived_once() -> None:
    keys = SigningKeys()
    assert keys.get(SECRET, scope()) is keys.get(Secret(SECRET.reveal()), scope())
    assert len(keys) == 1


def test_another_secret_gets_another_key() -> None:
    keys = SigningKeys()
    before = keys.get(SECRET, scope())
    changed = Secret(b"another")
    expected = hmac.digest(derive_signing_key(changed, scope()), b"text", "sha256")
    assert keys.get(changed, scope()).sign(b"text") == expected
    assert keys.get(changed, scope()).sign(b"text") == expected  # each begins anew
    assert before.sign(b"text") != expected
    assert len(keys) == 1


def test_scopes_and_access_keys_do_not_share() -> None:
    keys = SigningKeys()
    assert keys.get(SECRET, scope(1)).sign(b"") != keys.get(SECRET, scope(2)).sign(b"")
    keys.get(SECRET, scope(1, "AKIDOTHER"))
    assert len(keys) == 3


def test_the_oldest_goes_first() -> None:
    keys = SigningKeys(capacity=2)
    first = keys.get(SECRET, scope(1))
    second = keys.get(SECRET, scope(2))
    keys.get(SECRET, scope(3))
    assert len(keys) == 2
    assert keys.get(SECRET, scope(2)) is second
    assert keys.get(SECRET, scope(1)) is not first
    assert keys.get(SECRET, scope(1)).sign(b"") == first.sign(b"")


def test_repr_shows_no_key() -> None:
    keys = SigningKeys(capacity=2)
    assert repr(keys.get(SECRET, scope())) == "SigningKey()"
    assert repr(keys) == "SigningKeys(1 of 2)"
