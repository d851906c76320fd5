"""Keys that never leave the HSM while its token is away: unavailable, but for public halves; and back as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms.hsm.provision import find_softhsm
from tests.acceptance.conftest import StartGateway
from tests.harness import Gateway, wait_until

MESSAGE = b"net 30 days"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.hsm,
    pytest.mark.skipif(find_softhsm() is None, reason="SoftHSM2 is not installed"),
]


class HeldKeys:
    """A key of each kind, and what each answered while all was well."""

    def __init__(self, gateway: Gateway) -> None:
        self.kms: Any = gateway.client("kms")
        self.signer = self._make("ECC_NIST_P256", "SIGN_VERIFY")
        self.rsa = self._make("RSA_2048", "SIGN_VERIFY")
        self.agreement = self._make("ECC_NIST_P384", "KEY_AGREEMENT")
        self.hmac = self._make("HMAC_384", "GENERATE_VERIFY_MAC")
        peer = ec.generate_private_key(ec.SECP384R1()).public_key()
        self.peer = peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.before = self.answers()
        self.signature = self.sign_by_curve()
        assert self.verify()

    def _make(self, spec: str, usage: str) -> str:
        return str(self.kms.create_key(KeySpec=spec, KeyUsage=usage, CustomKeyStoreId="hsm")["KeyMetadata"]["Arn"])

    def sign_by_curve(self) -> bytes:
        """Another one each time."""
        return self.kms.sign(KeyId=self.signer, SigningAlgorithm="ECDSA_SHA_256", Message=MESSAGE)["Signature"]

    def sign_by_rsa(self) -> bytes:
        return self.kms.sign(KeyId=self.rsa, SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_512", Message=MESSAGE)["Signature"]

    def mac(self) -> bytes:
        return self.kms.generate_mac(KeyId=self.hmac, MacAlgorithm="HMAC_SHA_384", Message=MESSAGE)["Mac"]

    def agree(self) -> bytes:
        what = {"KeyId": self.agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": self.peer}
        return self.kms.derive_shared_secret(**what)["SharedSecret"]

    def answers(self) -> list[bytes]:
        return [self.sign_by_rsa(), self.mac(), self.agree()]

    def verify(self) -> bool:
        what = {"KeyId": self.signer, "SigningAlgorithm": "ECDSA_SHA_256", "Message": MESSAGE}
        return self.kms.verify(**what, Signature=self.signature)["SignatureValid"]


def is_away(call: Callable[[], object]) -> bool:
    """Whether the call is refused as AWS refuses it, with word of when to try again."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "KeyUnavailableException"
        assert int(error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
        return True
    return False


def test_held_keys_go_with_their_token_and_come_back(make_gateway: StartGateway) -> None:
    gateway = make_gateway(root="softhsm").start()
    keys = HeldKeys(gateway)
    processes = gateway.children("kms.daemon")
    home, away = gateway.data / "softhsm" / "tokens", gateway.data / "softhsm" / "away"
    for _ in range(2):
        home.rename(away)
        wait_until(lambda: is_away(keys.sign_by_curve), "the token is missed")
        for call in (keys.sign_by_rsa, keys.mac, keys.agree):
            assert is_away(call)
        assert keys.verify()  # the public half needs no HSM
        away.rename(home)
        wait_until(lambda: not is_away(keys.sign_by_curve), "it heals")
        assert keys.answers() == keys.before
    assert gateway.children("kms.daemon") == processes


def test_held_keys_outlive_a_restart(make_gateway: StartGateway) -> None:
    gateway = make_gateway(root="softhsm").start()
    keys = HeldKeys(gateway)
    gateway.stop()
    gateway.start()
    keys.kms = gateway.client("kms")
    assert keys.answers() == keys.before
    assert keys.verify()
