from __future__ import annotations

from dataclasses import replace

import pytest

from kms.api.secrets import SecretBytes
from kms.hsm import probe as probing
from kms.hsm.driver import Wrapping
from kms.hsm.errors import CredentialRejected, RootLost
from kms.hsm.module import load
from kms.hsm.probe import probe
from kms.hsm.tokens import find_token, log_in
from tests.kms.hsm.conftest import PIN, AnyToken

pytestmark = pytest.mark.hsm

# What each token lacks; all else of the matrix works.
LACKS = {
    "softhsm": {"gcm, IV zero-writeback", "gcm, IV appended", "rsa-oaep, SHA-256", "RSA 2048 OAEP SHA-256"},
    "nss": {
        "gcm, IV zero-writeback",
        "gcm, IV appended",
        "unwrap template enforced",
        "unwrap template enforced for private keys",
        "unwrap template enforced for ECDH",
        "ECDSA by an imported pair",
        "ECDSA by a pair of its own",
        "unextractable keys never wrapped",
        "allowed mechanisms enforced",
    },
}
VARIES = {"0x210B CKM_AES_KEY_WRAP_KWP", "ECDSA secp256k1", "Ed25519", "RSA by a pair of its own"}
"""With the release of the token's software; the last, in NSS, with the length of the key's encoding."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "RATE_SECONDS", 0.001)


def stored_objects(token: AnyToken) -> int:
    module = load(token.path)
    module.ready()
    with module.calls():
        session = log_in(find_token(module, token.uri), PIN)
        count = len(list(session.get_objects()))
        session.close()
    return count


def test_the_matrix_of_a_token_and_nothing_is_left_behind(any_token: AnyToken) -> None:
    before = stored_objects(any_token)
    probed = probe(any_token.uri, PIN, any_token.driver)
    kind = "nss" if any_token.driver.library_parameters else "softhsm"
    failed = {finding.name for finding in probed.findings if not finding.works}
    assert failed - VARIES == LACKS[kind]
    assert all(finding.detail for finding in probed.findings if not finding.works)
    assert probed.driver is not None
    assert probed.driver.wrapping is Wrapping.KEY_WRAP
    assert probed.driver.library_parameters == any_token.driver.library_parameters
    assert set(probed.missing) == {
        finding.name for finding in probed.findings if not finding.works and "profile" not in finding.group
    }
    assert stored_objects(any_token) == before


def test_a_rate_is_told_for_what_was_measured(any_token: AnyToken) -> None:
    probed = probe(any_token.uri, PIN, any_token.driver)
    rates = {finding.name: finding.rate for finding in probed.findings}
    assert rates["HMAC by an unwrapped key"]
    assert rates["kw"] is None


def test_a_wrong_pin_ends_the_probe(any_token: AnyToken) -> None:
    with pytest.raises(CredentialRejected):
        probe(any_token.uri, SecretBytes(b"wrong-pin"), any_token.driver)


def test_an_absent_token_is_a_loss(any_token: AnyToken) -> None:
    with pytest.raises(RootLost, match="absent"):
        probe(replace(any_token.uri, token="other"), PIN, any_token.driver)


def test_a_token_without_any_profile_gets_no_driver(any_token: AnyToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "rehearse", lambda *_: "MechanismInvalid")
    monkeypatch.setattr(probing, "CHECKS", ())
    assert probe(any_token.uri, PIN, any_token.driver).driver is None
