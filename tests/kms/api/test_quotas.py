from __future__ import annotations

from typing import Any

import pytest

from kms.api import types as t
from kms.api.quotas import AWS_QUOTAS, ECC, ML_DSA, RSA, SYMMETRIC, parse_quotas, quotas_of
from kms.api.secrets import SecretBytes
from kms.face.model import INPUTS
from kms.face.table import OPERATIONS
from kms.keys.specs import SPECS

TEXT = SecretBytes(b"x")


@pytest.mark.parametrize(
    ("request_", "quotas"),
    [
        (t.GenerateDataKey("k", 32), {SYMMETRIC}),
        (t.GenerateDataKeyWithoutPlaintext("k", 32), {SYMMETRIC}),
        (t.GenerateRandom(32), {SYMMETRIC}),
        (t.GenerateMac("k", TEXT, "HMAC_SHA_256"), {SYMMETRIC}),
        (t.VerifyMac("k", TEXT, b"", "HMAC_SHA_256"), {SYMMETRIC}),
        (t.WrapDataKey("k", TEXT), {SYMMETRIC}),
        (t.UnwrapDataKey("k", b"blob"), {SYMMETRIC}),
        (t.Encrypt("k", TEXT), {SYMMETRIC}),
        (t.Encrypt("k", TEXT, encryption_algorithm="RSAES_OAEP_SHA_256"), {RSA}),
        (t.Decrypt(b"", encryption_algorithm="RSAES_OAEP_SHA_1"), {RSA}),
        (t.ReEncrypt(b"", "k"), {SYMMETRIC}),
        (t.ReEncrypt(b"", "k", source_encryption_algorithm="RSAES_OAEP_SHA_1"), {RSA, SYMMETRIC}),
        (t.Sign("k", TEXT, "RSASSA_PSS_SHA_256"), {RSA}),
        (t.Sign("k", TEXT, "ECDSA_SHA_256"), {ECC}),
        (t.Verify("k", TEXT, b"", "ED25519_SHA_512"), {ECC}),
        (t.Verify("k", TEXT, b"", "ML_DSA_SHAKE_256"), {ML_DSA}),
        (t.DeriveSharedSecret("k", "ECDH", b""), {ECC}),
        (t.GenerateDataKeyPair("k", "RSA_2048"), {"GenerateDataKeyPair(RSA_2048)"}),
        (t.GenerateDataKeyPairWithoutPlaintext("k", "ECC_NIST_P256"), {"GenerateDataKeyPair(ECC_NIST_P256)"}),
        (t.CreateKey(), {"CreateKey"}),
        (t.DescribeKey("k"), {"DescribeKey"}),
    ],
)
def test_requests_count_for_the_quota_of_their_key_type_or_their_own(
    request_: t.Request[Any], quotas: set[str]
) -> None:
    found = quotas_of(request_)
    assert set(found) == quotas
    assert len(found) == len(quotas)
    assert quotas <= AWS_QUOTAS.keys()


def test_every_operation_that_is_served_has_a_quota() -> None:
    shared = {name.partition("(")[0] for name in AWS_QUOTAS}
    cryptographic = {
        *("Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey", "GenerateDataKeyPairWithoutPlaintext"),
        *(
            "GenerateDataKeyWithoutPlaintext",
            "GenerateMac",
            "GenerateRandom",
            "ReEncrypt",
            "Sign",
            "Verify",
            "VerifyMac",
        ),
    }
    served = {name for name in INPUTS if OPERATIONS[name] is not None}
    assert served - cryptographic == shared - {SYMMETRIC, RSA, ECC, ML_DSA}


def test_every_pair_that_can_be_generated_has_a_quota() -> None:
    pairs = {name[len("GenerateDataKeyPair(") : -1] for name in AWS_QUOTAS if name.startswith("GenerateDataKeyPair(")}
    assert pairs == {name for name in SPECS if name.startswith(("RSA_", "ECC_"))}


def test_quotas_as_settings_write_them() -> None:
    assert parse_quotas([]) == {}
    assert parse_quotas(["aws"]) == AWS_QUOTAS
    assert parse_quotas(["CreateKey=0.5", "symmetric=20"]) == {"CreateKey": 0.5, SYMMETRIC: 20}
    assert parse_quotas(["aws", "CreateKey=50", "RSA=0"]) == {
        name: 50 if name == "CreateKey" else rate for name, rate in AWS_QUOTAS.items() if name != RSA
    }
    assert parse_quotas(["CreateKey=50", "aws"])["CreateKey"] == AWS_QUOTAS["CreateKey"]


@pytest.mark.parametrize(
    "text",
    ["", "AWS", "CreateKey", "CreateKey=", "CreateKey=x", "CreateKey=-1", "CreateKey=nan", "CreateKey=inf",
     "CreateKey=1e9", "CreateKey=1e-9", "Encrypt=5", "WrapDataKey=5", "createkey=5", "CreateKey:5"],
)  # fmt: skip
def test_what_is_no_quota_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_quotas([text])
