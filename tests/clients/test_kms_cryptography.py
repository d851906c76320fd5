"""Encrypt, Decrypt, ReEncrypt, data keys and random bytes of the KMS through boto3."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.clients.checks import error_of, random_bytes
from tests.harness import REGION, Gateway

ABSENT = "00000000-0000-4000-8000-000000000000"
CONTEXT = {"tenant": "ä€😀", "purpose": "test"}
DRY_RUN = "The request would have succeeded, but the DryRun option is set."
INCORRECT_KEY = "The key ID in the request does not identify a CMK that can perform this operation."
ONE_OF_TWO = "Please specify either number of bytes or key spec."
ONE = "1 validation error detected: "


def error(code: str, message: str) -> dict[str, str]:
    return {"Code": code, "Message": message}


INVALID_CIPHERTEXT = error("InvalidCiphertextException", "")


@pytest.fixture(scope="module")
def lax(gateway: Gateway) -> Any:
    """A client that sends what the SDK would refuse to send."""
    return gateway.client("kms", parameter_validation=False)


@pytest.fixture(scope="module")
def other_key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def blob(kms: Any, kms_key: str) -> bytes:
    """`secret` under `kms_key` and CONTEXT."""
    return bytes(kms.encrypt(KeyId=kms_key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"])


# Encrypt and Decrypt


@pytest.mark.parametrize("size", [1, 15, 16, 17, 4095, 4096])
@pytest.mark.parametrize("context", [{}, CONTEXT, {"": ""}])
def test_what_was_encrypted_is_decrypted(kms: Any, kms_key: str, size: int, context: dict[str, str]) -> None:
    plaintext = random_bytes(size)
    sealed = kms.encrypt(KeyId=kms_key, Plaintext=plaintext, EncryptionContext=context)
    assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (kms_key, "SYMMETRIC_DEFAULT")
    assert plaintext[:15] not in sealed["CiphertextBlob"] or size < 4
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == plaintext
    assert (opened["KeyId"], opened["EncryptionAlgorithm"]) == (kms_key, "SYMMETRIC_DEFAULT")
    assert opened["KeyMaterialId"] == kms.describe_key(KeyId=kms_key)["KeyMetadata"]["CurrentKeyMaterialId"]


def test_no_two_ciphertexts_are_alike(kms: Any, kms_key: str) -> None:
    blobs = {kms.encrypt(KeyId=kms_key, Plaintext=b"same")["CiphertextBlob"] for _ in range(20)}
    assert len(blobs) == 20


@pytest.mark.parametrize("operation", ["encrypt", "decrypt"])
def test_the_algorithm_may_be_named(kms: Any, kms_key: str, blob: bytes, operation: str) -> None:
    given = {"Plaintext": b"p"} if operation == "encrypt" else {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    answer = getattr(kms, operation)(KeyId=kms_key, EncryptionAlgorithm="SYMMETRIC_DEFAULT", **given)
    assert answer["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    told = error_of(getattr(kms, operation), KeyId=kms_key, EncryptionAlgorithm="RSAES_OAEP_SHA_256", **given)
    assert told["Error"] == error(
        "InvalidKeyUsageException", "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT."
    )


@pytest.mark.parametrize(("size", "bound"), [(0, "greater than or equal to 1"), (4097, "less than or equal to 4096")])
def test_plaintexts_out_of_bounds_are_not_quoted(lax: Any, kms_key: str, size: int, bound: str) -> None:
    assert error_of(lax.encrypt, KeyId=kms_key, Plaintext=b"s" * size)["Error"] == error(
        "ValidationException",
        f"{ONE}Value at 'plaintext' failed to satisfy constraint: Member must have length {bound}",
    )


def test_ciphertexts_out_of_bounds(lax: Any) -> None:
    for size, bound in ((0, "greater than or equal to 1"), (6145, "less than or equal to 6144")):
        told = error_of(lax.decrypt, CiphertextBlob=bytes(size))["Error"]
        assert told["Code"] == "ValidationException"
        assert told["Message"].startswith(f"{ONE}Value ")
        assert told["Message"].endswith(
            f"at 'ciphertextBlob' failed to satisfy constraint: Member must have length {bound}"
        )


# What does not open


def test_every_changed_byte_of_a_ciphertext_is_noticed(kms: Any, blob: bytes) -> None:
    opened = []
    for at in range(len(blob)):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        told = error_of(kms.decrypt, CiphertextBlob=changed, EncryptionContext=CONTEXT)
        if (told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]) != (400, INVALID_CIPHERTEXT):
            opened.append(at)
    assert opened == []


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda blob: blob[:-1],
        lambda blob: blob[:1],
        lambda blob: blob[: len(blob) // 2],
        lambda blob: blob + b"\x00",
        lambda blob: blob[::-1],
        lambda blob: blob * 2,
        lambda blob: bytes(len(blob)),
        lambda blob: b"not a ciphertext",
        lambda blob: random_bytes(6144),
        lambda blob: b"\x02" + blob[1:],
    ],
)
def test_what_is_no_ciphertext(kms: Any, kms_key: str, blob: bytes, change: Any, named: bool) -> None:
    key = {"KeyId": kms_key} if named else {}
    told = error_of(kms.decrypt, CiphertextBlob=change(blob), EncryptionContext=CONTEXT, **key)["Error"]
    assert told == INVALID_CIPHERTEXT


def test_halves_of_two_ciphertexts_make_none(kms: Any, kms_key: str, blob: bytes) -> None:
    other = kms.encrypt(KeyId=kms_key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    for at in (38, 54, 86, len(blob) - 16):
        told = error_of(kms.decrypt, CiphertextBlob=blob[:at] + other[at:], EncryptionContext=CONTEXT)["Error"]
        assert told == INVALID_CIPHERTEXT


CONTEXTS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"a": "b"}, {}),
    ({}, {"a": "b"}),
    ({"a": "b"}, {"a": "c"}),
    ({"a": "b"}, {"A": "b"}),
    ({"a": "b"}, {"a": "B"}),
    ({"a": "b"}, {"a": "b", "c": "d"}),
    ({"a": "b", "c": "d"}, {"a": "b"}),
    # Pairs that are the same text when put behind each other.
    ({"a": "bc"}, {"ab": "c"}),
    ({"a": "b", "c": "d"}, {"a": "bcd"}),
    ({"a": ""}, {"": "a"}),
    ({"": ""}, {}),
    # Composed and decomposed are different.
    ({"a": "\u00e4"}, {"a": "a\u0308"}),
    ({"a": "b"}, {"a": "b "}),
]


@pytest.mark.parametrize(("sealed_with", "opened_with"), CONTEXTS)
def test_another_context_does_not_open(
    kms: Any, kms_key: str, sealed_with: dict[str, str], opened_with: dict[str, str]
) -> None:
    sealed = kms.encrypt(KeyId=kms_key, Plaintext=b"p", EncryptionContext=sealed_with)["CiphertextBlob"]
    told = error_of(kms.decrypt, CiphertextBlob=sealed, EncryptionContext=opened_with)["Error"]
    assert told == INVALID_CIPHERTEXT
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext=sealed_with)["Plaintext"] == b"p"


def test_the_order_of_a_context_does_not_matter_and_none_is_the_same_as_an_empty_one(kms: Any, kms_key: str) -> None:
    pairs = [(f"key {number}", f"{number}") for number in range(10)]
    sealed = kms.encrypt(KeyId=kms_key, Plaintext=b"p", EncryptionContext=dict(pairs))["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext=dict(pairs[::-1]))["Plaintext"] == b"p"
    sealed = kms.encrypt(KeyId=kms_key, Plaintext=b"p")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext={})["Plaintext"] == b"p"


def test_a_context_may_have_8192_bytes(kms: Any, kms_key: str) -> None:
    largest = {"k" * 92: "v" * 8100}
    sealed = kms.encrypt(KeyId=kms_key, Plaintext=b"p", EncryptionContext=largest)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext=largest)["Plaintext"] == b"p"
    too_large = {"k" * 92: "v" * 8101}
    for call, given in (
        (kms.encrypt, {"KeyId": kms_key, "Plaintext": b"p"}),
        (kms.decrypt, {"CiphertextBlob": sealed}),
    ):
        assert error_of(call, EncryptionContext=too_large, **given)["Error"] == error(
            "ValidationException", "The encryption context is longer than 8192 bytes."
        )


def test_another_key_is_the_incorrect_one(kms: Any, other_key: str, blob: bytes) -> None:
    for call, given in (
        (kms.decrypt, {"KeyId": other_key, "EncryptionContext": CONTEXT}),
        (
            kms.re_encrypt,
            {"SourceKeyId": other_key, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": other_key},
        ),
    ):
        told = error_of(call, CiphertextBlob=blob, **given)
        assert (told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]) == (
            400,
            error("IncorrectKeyException", INCORRECT_KEY),
        )


NAMES: list[tuple[str, str, str]] = [
    (ABSENT, "NotFoundException", f"Key 'arn:aws:kms:{REGION}:{{account}}:key/{ABSENT}' does not exist"),
    ("xyz", "NotFoundException", "Invalid keyId 'xyz'"),
    ("alias/none", "NotFoundException", f"Alias arn:aws:kms:{REGION}:{{account}}:alias/none is not found."),
    (f"arn:aws:kms:eu-west-1:111122223333:key/{ABSENT}", "NotFoundException", "Invalid arn eu-west-1"),
]


@pytest.mark.parametrize(
    "operation", ["encrypt", "decrypt", "generate_data_key", "generate_data_key_without_plaintext"]
)
@pytest.mark.parametrize(("named", "code", "message"), NAMES)
def test_names_of_no_key(
    kms: Any, kms_key: str, blob: bytes, operation: str, named: str, code: str, message: str
) -> None:
    parameters: dict[str, Any] = {
        "encrypt": {"Plaintext": b"p"},
        "decrypt": {"CiphertextBlob": blob, "EncryptionContext": CONTEXT},
    }.get(operation, {"KeySpec": "AES_256"})
    told = error_of(getattr(kms, operation), KeyId=named, **parameters)["Error"]
    assert told == error(code, message.format(account=kms_key.split(":")[4]))


# ReEncrypt


@pytest.mark.parametrize("names_source", [False, True])
def test_re_encryption_moves_a_ciphertext_to_another_key_and_context(
    kms: Any, kms_key: str, other_key: str, blob: bytes, names_source: bool
) -> None:
    answer = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other_key,
        DestinationEncryptionContext={"new": "context"},
        **({"SourceKeyId": kms_key} if names_source else {}),
    )
    assert (answer["SourceKeyId"], answer["KeyId"]) == (kms_key, other_key)
    assert answer["SourceEncryptionAlgorithm"] == answer["DestinationEncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    for member, key in (("SourceKeyMaterialId", kms_key), ("DestinationKeyMaterialId", other_key)):
        assert answer[member] == kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"new": "context"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", other_key)
    for context in (CONTEXT, {}):
        told = error_of(kms.decrypt, CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=context)["Error"]
        assert told == INVALID_CIPHERTEXT


def test_re_encryption_under_the_same_key_drops_the_context(kms: Any, kms_key: str, blob: bytes) -> None:
    again = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=CONTEXT, DestinationKeyId=kms_key)
    assert again["CiphertextBlob"] != blob
    assert kms.decrypt(CiphertextBlob=again["CiphertextBlob"])["Plaintext"] == b"secret"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SourceEncryptionContext": {}}, "InvalidCiphertextException"),
        ({"CiphertextBlob": b"none"}, "InvalidCiphertextException"),
        ({"DestinationKeyId": ABSENT}, "NotFoundException"),
        ({"SourceKeyId": ABSENT}, "NotFoundException"),
        ({"DestinationKeyId": "alias/aws/s3"}, "AccessDeniedException"),
        ({"SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1"}, "ValidationException"),  # names no key
        ({"DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1"}, "InvalidKeyUsageException"),
    ],
)
def test_re_encryptions_that_are_refused(kms: Any, other_key: str, blob: bytes, changes: Any, code: str) -> None:
    request = {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": other_key, **changes}
    assert error_of(kms.re_encrypt, **request)["Error"]["Code"] == code


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("off", "code", "ending"),
    [
        ("disable_key", "DisabledException", "is disabled."),
        ("schedule_key_deletion", "KMSInvalidStateException", "is pending deletion."),
    ],
)
def test_re_encryption_needs_both_keys(kms: Any, other_key: str, side: str, off: str, code: str, ending: str) -> None:
    source, destination = (str(kms.create_key()["KeyMetadata"]["Arn"]) for _ in range(2))
    sealed = kms.encrypt(KeyId=source, Plaintext=b"p")["CiphertextBlob"]
    broken = source if side == "source" else destination
    getattr(kms, off)(KeyId=broken)
    told = error_of(kms.re_encrypt, CiphertextBlob=sealed, DestinationKeyId=destination)["Error"]
    assert told == error(code, f"{broken} {ending}")


# Data keys and random bytes


@pytest.mark.parametrize(
    ("length", "size"),
    [({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32), ({"NumberOfBytes": 1}, 1), ({"NumberOfBytes": 64}, 64),
     ({"NumberOfBytes": 1024}, 1024)],
)  # fmt: skip
def test_a_data_key_comes_in_the_clear_and_sealed(kms: Any, kms_key: str, length: dict[str, Any], size: int) -> None:
    made = kms.generate_data_key(KeyId=kms_key, EncryptionContext=CONTEXT, **length)
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    assert len(made["Plaintext"]) == size
    assert (made["KeyId"], made["KeyMaterialId"]) == (kms_key, opened["KeyMaterialId"])
    assert error_of(kms.decrypt, CiphertextBlob=made["CiphertextBlob"])["Error"] == INVALID_CIPHERTEXT
    sealed = kms.generate_data_key_without_plaintext(KeyId=kms_key, EncryptionContext=CONTEXT, **length)
    assert "Plaintext" not in sealed
    assert (sealed["KeyId"], sealed["KeyMaterialId"]) == (kms_key, opened["KeyMaterialId"])
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert len(opened["Plaintext"]) == size


def test_no_two_data_keys_are_alike(kms: Any, kms_key: str) -> None:
    assert len({kms.generate_data_key(KeyId=kms_key, KeySpec="AES_256")["Plaintext"] for _ in range(20)}) == 20


def at_bytes(size: int, bound: str) -> str:
    return f"{ONE}Value '{size}' at 'numberOfBytes' failed to satisfy constraint: Member must have value {bound}"


@pytest.mark.parametrize("operation", ["generate_data_key", "generate_data_key_without_plaintext"])
@pytest.mark.parametrize(
    ("length", "message"),
    [
        ({}, ONE_OF_TWO),
        ({"KeySpec": "AES_256", "NumberOfBytes": 32}, ONE_OF_TWO),
        ({"NumberOfBytes": 0}, at_bytes(0, "greater than or equal to 1")),
        ({"NumberOfBytes": 1025}, at_bytes(1025, "less than or equal to 1024")),
    ],
)
def test_lengths_that_no_data_key_has(
    lax: Any, kms_key: str, operation: str, length: dict[str, Any], message: str
) -> None:
    told = error_of(getattr(lax, operation), KeyId=kms_key, **length)
    assert (told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]) == (400, error("ValidationException", message))


def test_an_unknown_spec_of_a_data_key(kms: Any, kms_key: str) -> None:
    told = error_of(kms.generate_data_key, KeyId=kms_key, KeySpec="AES_192")["Error"]
    assert told["Code"] == "ValidationException"
    assert told["Message"].startswith(
        f"{ONE}Value 'AES_192' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: ["
    )


@pytest.mark.parametrize("size", [1, 32, 1024])
def test_random_bytes(kms: Any, size: int) -> None:
    assert len(kms.generate_random(NumberOfBytes=size)["Plaintext"]) == size


def test_random_bytes_look_random(kms: Any) -> None:
    drawn = [kms.generate_random(NumberOfBytes=1024)["Plaintext"] for _ in range(16)]
    assert len(set(drawn)) == len(drawn)
    bits = sum(int.from_bytes(each).bit_count() for each in drawn)
    total = 16 * 8192
    # Eight standard deviations: a fair source fails once in 10^15 runs.
    assert abs(bits - total / 2) < 8 * math.sqrt(total) / 2


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({}, "ValidationException", "NumberOfBytes is required."),
        ({"NumberOfBytes": 0}, "ValidationException", at_bytes(0, "greater than or equal to 1")),
        ({"NumberOfBytes": -1}, "ValidationException", at_bytes(-1, "greater than or equal to 1")),
        ({"NumberOfBytes": 1025}, "ValidationException", at_bytes(1025, "less than or equal to 1024")),
        (
            {"NumberOfBytes": 1, "CustomKeyStoreId": "cks-1"},
            "CustomKeyStoreNotFoundException",
            "CustomKeyStore cks-1 does not exist.",
        ),
        (
            {"NumberOfBytes": 1, "CustomKeyStoreId": "hsm"},
            "UnsupportedOperationException",
            "CustomKeyStoreId is not supported.",
        ),
    ],
)
def test_random_bytes_that_are_refused(lax: Any, parameters: dict[str, Any], code: str, message: str) -> None:
    assert error_of(lax.generate_random, **parameters)["Error"] == error(code, message)


# DryRun and what is not served


def crypto_requests(key: str, blob: bytes) -> dict[str, dict[str, Any]]:
    return {
        "encrypt": {"KeyId": key, "Plaintext": b"p"},
        "decrypt": {"CiphertextBlob": blob, "EncryptionContext": CONTEXT},
        "re_encrypt": {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": key},
        "generate_data_key": {"KeyId": key, "KeySpec": "AES_256"},
        "generate_data_key_without_plaintext": {"KeyId": key, "KeySpec": "AES_256"},
    }


CRYPTO = ["encrypt", "decrypt", "re_encrypt", "generate_data_key", "generate_data_key_without_plaintext"]


@pytest.mark.parametrize("operation", CRYPTO)
def test_a_dry_run_says_by_an_error_that_it_would_have_succeeded(
    kms: Any, kms_key: str, blob: bytes, operation: str
) -> None:
    request = crypto_requests(kms_key, blob)[operation]
    told = error_of(getattr(kms, operation), **request, DryRun=True)
    assert (told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]) == (
        400,
        error("DryRunOperationException", DRY_RUN),
    )
    assert getattr(kms, operation)(**request, DryRun=False)["KeyId"] == kms_key


@pytest.mark.parametrize("operation", CRYPTO)
def test_a_dry_run_says_what_would_have_failed(kms: Any, operation: str) -> None:
    key = str(kms.create_key()["KeyMetadata"]["Arn"])
    sealed = kms.encrypt(KeyId=key, Plaintext=b"p", EncryptionContext=CONTEXT)["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    told = error_of(getattr(kms, operation), **crypto_requests(key, sealed)[operation], DryRun=True)["Error"]
    assert told == error("DisabledException", f"{key} is disabled.")


@pytest.mark.parametrize("changes", [{"CiphertextBlob": b"none"}, {"EncryptionContext": {}}])
def test_a_dry_run_opens_the_ciphertext(kms: Any, blob: bytes, changes: dict[str, Any]) -> None:
    request = {"CiphertextBlob": blob, "EncryptionContext": CONTEXT, **changes}
    assert error_of(kms.decrypt, **request, DryRun=True)["Error"] == INVALID_CIPHERTEXT


@pytest.mark.parametrize("operation", CRYPTO)
def test_grant_tokens_that_are_not_ours_are_refused(kms: Any, kms_key: str, blob: bytes, operation: str) -> None:
    request = crypto_requests(kms_key, blob)[operation]
    assert error_of(getattr(kms, operation), **request, GrantTokens=["token"])["Error"] == error(
        "InvalidGrantTokenException", "The grant token is not valid."
    )


def test_what_s3_sealed_is_sealed_under_the_named_key(kms: Any, s3: Any, bucket: str, kms_key: str) -> None:
    """The two services share keys: an object is unreadable while the KMS has its key disabled, and only then."""
    key = str(kms.create_key()["KeyMetadata"]["Arn"])
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    s3.put_object(Bucket=bucket, Key="o", Body=b"other", ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    kms.disable_key(KeyId=key)
    told = error_of(s3.get_object, Bucket=bucket, Key="k")
    assert (told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"]) == (400, "KMS.DisabledException")
    assert s3.get_object(Bucket=bucket, Key="o")["Body"].read() == b"other"
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
