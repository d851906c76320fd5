"""The AWS Encryption SDK for Python against our KMS: its keyrings, its caches, its commitment, as an application does.

And envelope encryption by hand, as the KMS documentation shows it with boto3.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import Any

import aws_encryption_sdk
import botocore.session
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders, models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.harness import Gateway

PLAINTEXT = b"net 30 days " * 2000
CONTEXT = {"department": "finance", "purpose": "é"}

CLOSED = r"(?i)unable to decrypt|no .*data key|no configured KMS key|key provider|IncorrectKey"
"""What the SDK says when no key of a keyring opens a message; the KMS's own refusals are inside."""


@pytest.fixture(scope="module")
def providers() -> AwsCryptographicMaterialProviders:
    return AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


@pytest.fixture(scope="module")
def sdk() -> Any:
    """A client that requires key commitment both ways, which is the SDK's own default."""
    return aws_encryption_sdk.EncryptionSDKClient()


@pytest.fixture
def counted(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, int]]:
    """A botocore session that is configured by the environment, and how often each operation was called through it."""
    for name, value in {**gateway.credentials, "AWS_ENDPOINT_URL": gateway.endpoint_url}.items():
        monkeypatch.setenv(name, value)
    session, calls = botocore.session.Session(), dict[str, int]()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] = calls.get(model.name, 0) + 1

    session.register("before-call.kms", count)
    return session, calls


def new_key(kms: Any, **parameters: Any) -> str:
    return str(kms.create_key(**parameters)["KeyMetadata"]["Arn"])


def kms_keyring(providers: AwsCryptographicMaterialProviders, kms: Any, key: str) -> Any:
    return providers.create_aws_kms_keyring(models.CreateAwsKmsKeyringInput(kms_key_id=key, kms_client=kms))


def test_keyring_encrypts_and_decrypts(sdk: Any, providers: Any, kms: Any, kms_key: str) -> None:
    keyring = kms_keyring(providers, kms, kms_key)
    ciphertext, header = sdk.encrypt(source=PLAINTEXT, keyring=keyring, encryption_context=CONTEXT)
    assert PLAINTEXT[:40] not in ciphertext
    assert header.algorithm.is_committing()
    opened, header = sdk.decrypt(source=ciphertext, keyring=keyring, encryption_context=CONTEXT)
    assert opened == PLAINTEXT
    assert CONTEXT.items() <= header.encryption_context.items()


def test_keyring_refuses_another_key_and_a_changed_message(sdk: Any, providers: Any, kms: Any, kms_key: str) -> None:
    keyring = kms_keyring(providers, kms, kms_key)
    ciphertext, _ = sdk.encrypt(source=PLAINTEXT, keyring=keyring, encryption_context=CONTEXT)
    with pytest.raises(Exception, match=CLOSED):
        sdk.decrypt(source=ciphertext, keyring=kms_keyring(providers, kms, new_key(kms)))
    frame = len(ciphertext) // 2
    changed = ciphertext[:frame] + bytes([ciphertext[frame] ^ 1]) + ciphertext[frame + 1 :]
    with pytest.raises(InvalidTag):
        sdk.decrypt(source=changed, keyring=keyring)


def test_multi_keyring_opens_by_any_of_its_keys(sdk: Any, providers: Any, kms: Any) -> None:
    first, second = new_key(kms), new_key(kms)
    both = providers.create_multi_keyring(
        models.CreateMultiKeyringInput(
            generator=kms_keyring(providers, kms, first), child_keyrings=[kms_keyring(providers, kms, second)]
        )
    )
    ciphertext, _ = sdk.encrypt(source=PLAINTEXT, keyring=both, encryption_context=CONTEXT)
    kms.disable_key(KeyId=first)
    assert sdk.decrypt(source=ciphertext, keyring=kms_keyring(providers, kms, second))[0] == PLAINTEXT
    with pytest.raises(Exception, match=CLOSED):
        sdk.decrypt(source=ciphertext, keyring=kms_keyring(providers, kms, first))


def test_discovery_keyring_finds_the_key_in_the_message(sdk: Any, providers: Any, kms: Any, kms_key: str) -> None:
    account = kms_key.split(":")[4]
    discovery = providers.create_aws_kms_discovery_keyring(
        models.CreateAwsKmsDiscoveryKeyringInput(
            kms_client=kms, discovery_filter=models.DiscoveryFilter(account_ids=[account], partition="aws")
        )
    )
    keyring = kms_keyring(providers, kms, kms_key)
    ciphertext, _ = sdk.encrypt(source=PLAINTEXT, keyring=keyring, encryption_context=CONTEXT)
    assert sdk.decrypt(source=ciphertext, keyring=discovery)[0] == PLAINTEXT
    elsewhere = providers.create_aws_kms_discovery_keyring(
        models.CreateAwsKmsDiscoveryKeyringInput(
            kms_client=kms, discovery_filter=models.DiscoveryFilter(account_ids=["999999999999"], partition="aws")
        )
    )
    with pytest.raises(Exception, match=CLOSED):
        sdk.decrypt(source=ciphertext, keyring=elsewhere)


def test_streams(sdk: Any, providers: Any, kms: Any, kms_key: str) -> None:
    keyring, plaintext = kms_keyring(providers, kms, kms_key), os.urandom(300_000)
    with sdk.stream(source=io.BytesIO(plaintext), mode="e", keyring=keyring, frame_length=4096) as sealed:
        ciphertext = sealed.read()
    with sdk.stream(source=io.BytesIO(ciphertext), mode="d", keyring=keyring) as opened:
        assert b"".join(opened) == plaintext


@pytest.mark.parametrize(
    ("policy", "algorithm"),
    [
        (CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY),
        (
            CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
            AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
        ),
        (CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT, AlgorithmSuite.AES_256_GCM_IV12_TAG16_HKDF_SHA256),
        (CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT, AlgorithmSuite.AES_128_GCM_IV12_TAG16_HKDF_SHA256),
    ],
)
def test_commitment_policies(
    providers: Any, kms: Any, kms_key: str, policy: CommitmentPolicy, algorithm: AlgorithmSuite
) -> None:
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)
    keyring = kms_keyring(providers, kms, kms_key)
    ciphertext, _ = client.encrypt(source=PLAINTEXT, keyring=keyring, encryption_context=CONTEXT, algorithm=algorithm)
    assert client.decrypt(source=ciphertext, keyring=keyring)[0] == PLAINTEXT
    strict = aws_encryption_sdk.EncryptionSDKClient()
    if algorithm.is_committing():
        assert strict.decrypt(source=ciphertext, keyring=keyring)[0] == PLAINTEXT
    else:
        with pytest.raises(Exception, match=r"(?i)commit"):
            strict.decrypt(source=ciphertext, keyring=keyring)


def test_caching_materials_manager_asks_once(sdk: Any, counted: tuple[Any, dict[str, int]], kms_key: str) -> None:
    session, calls = counted
    provider = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[kms_key], botocore_session=session)
    cached = aws_encryption_sdk.CachingCryptoMaterialsManager(
        master_key_provider=provider,
        cache=aws_encryption_sdk.LocalCryptoMaterialsCache(10),
        max_age=600.0,
        max_messages_encrypted=100,
    )
    sealed = [sdk.encrypt(source=PLAINTEXT, materials_manager=cached, encryption_context=CONTEXT)[0] for _ in range(5)]
    assert calls == {"GenerateDataKey": 1}
    assert [sdk.decrypt(source=each, materials_manager=cached)[0] for each in sealed] == [PLAINTEXT] * 5
    assert calls == {"GenerateDataKey": 1, "Decrypt": 1}


def test_many_threads_share_one_keyring(sdk: Any, providers: Any, kms: Any, kms_key: str) -> None:
    keyring = kms_keyring(providers, kms, kms_key)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            message = f"message {number}".encode()
            ciphertext, _ = sdk.encrypt(source=message, keyring=keyring, encryption_context=CONTEXT)
            assert sdk.decrypt(source=ciphertext, keyring=keyring)[0] == message
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


class Envelope:
    """The documentation's own example: a data key for each file, kept beside it as ciphertext."""

    def __init__(self, kms: Any, key: str) -> None:
        self._kms = kms
        self._key = key

    def seal(self, plaintext: bytes, context: dict[str, str]) -> tuple[bytes, bytes, bytes]:
        made = self._kms.generate_data_key(KeyId=self._key, KeySpec="AES_256", EncryptionContext=context)
        nonce = os.urandom(12)
        return made["CiphertextBlob"], nonce, AESGCM(made["Plaintext"]).encrypt(nonce, plaintext, None)

    def open(self, wrapped: bytes, nonce: bytes, sealed: bytes, context: dict[str, str]) -> bytes:
        opened = self._kms.decrypt(CiphertextBlob=wrapped, KeyId=self._key, EncryptionContext=context)
        return AESGCM(opened["Plaintext"]).decrypt(nonce, sealed, None)


def refusal_code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_envelope_encryption_by_hand(kms: Any) -> None:
    key = new_key(kms)
    envelope = Envelope(kms, key)
    wrapped, nonce, sealed = envelope.seal(PLAINTEXT, CONTEXT)
    assert envelope.open(wrapped, nonce, sealed, CONTEXT) == PLAINTEXT
    other_context = {**CONTEXT, "department": "sales"}
    assert refusal_code(lambda: envelope.open(wrapped, nonce, sealed, other_context)) == "InvalidCiphertextException"
    with pytest.raises(InvalidTag):
        envelope.open(wrapped, nonce, sealed[:-1] + bytes([sealed[-1] ^ 1]), CONTEXT)
    moved = kms.re_encrypt(
        CiphertextBlob=wrapped,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=new_key(kms),
        DestinationEncryptionContext=other_context,
    )
    data_key = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=other_context)["Plaintext"]
    assert AESGCM(data_key).decrypt(nonce, sealed, None) == PLAINTEXT
    kms.disable_key(KeyId=key)
    assert refusal_code(lambda: envelope.open(wrapped, nonce, sealed, CONTEXT)) == "DisabledException"
