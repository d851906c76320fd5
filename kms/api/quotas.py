"""How often an account may ask for what: the request quotas of AWS KMS by name, and for which of them a request counts.

AWS KMS Developer Guide, "Request quotas" (of the largest regions, without those of custom key stores). Cryptographic
operations share one quota for each type of KMS key; every other operation has its own. A quota counts what the account
of the caller asks for in a region, by whichever service.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from kms.api.types import (
    Decrypt,
    DeriveSharedSecret,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyWithoutPlaintext,
    GenerateMac,
    GenerateRandom,
    ReEncrypt,
    Request,
    Sign,
    UnwrapDataKey,
    Verify,
    VerifyMac,
    WrapDataKey,
)

SYMMETRIC, RSA, ECC, ML_DSA = "symmetric", "RSA", "ECC", "ML-DSA"

AWS_QUOTAS: Mapping[str, float] = {
    SYMMETRIC: 100_000,
    RSA: 1000,
    ECC: 1000,
    ML_DSA: 1000,
    "CancelKeyDeletion": 5,
    "CreateAlias": 5,
    "CreateGrant": 50,
    "CreateKey": 5,
    "DeleteAlias": 15,
    "DeleteImportedKeyMaterial": 15,
    "DescribeKey": 2000,
    "DisableKey": 5,
    "DisableKeyRotation": 5,
    "EnableKey": 5,
    "EnableKeyRotation": 15,
    "GenerateDataKeyPair(ECC_NIST_EDWARDS25519)": 100,
    "GenerateDataKeyPair(ECC_NIST_P256)": 100,
    "GenerateDataKeyPair(ECC_NIST_P384)": 100,
    "GenerateDataKeyPair(ECC_NIST_P521)": 100,
    "GenerateDataKeyPair(ECC_SECG_P256K1)": 100,
    "GenerateDataKeyPair(RSA_2048)": 20,
    "GenerateDataKeyPair(RSA_3072)": 4,
    "GenerateDataKeyPair(RSA_4096)": 1,
    "GetKeyLastUsage": 5,
    "GetKeyPolicy": 1000,
    "GetKeyRotationStatus": 1000,
    "GetParametersForImport": 1,
    "GetPublicKey": 2000,
    "ImportKeyMaterial": 15,
    "ListAliases": 500,
    "ListGrants": 100,
    "ListKeyPolicies": 100,
    "ListKeyRotations": 100,
    "ListKeys": 500,
    "ListResourceTags": 2000,
    "ListRetirableGrants": 100,
    "PutKeyPolicy": 15,
    "ReplicateKey": 5,
    "RetireGrant": 50,
    "RevokeGrant": 50,
    "RotateKeyOnDemand": 5,
    "ScheduleKeyDeletion": 15,
    "TagResource": 10,
    "UntagResource": 5,
    "UpdateAlias": 5,
    "UpdateKeyDescription": 5,
    "UpdatePrimaryRegion": 5,
}
"""Requests a second."""

ALL_OF_AWS = "aws"

_ONLY_SYMMETRIC = frozenset(
    {
        GenerateDataKey,
        GenerateDataKeyWithoutPlaintext,
        GenerateMac,
        GenerateRandom,
        UnwrapDataKey,
        VerifyMac,
        WrapDataKey,
    }
)


def parse_quotas(texts: Iterable[str]) -> dict[str, float]:
    """Quotas as settings write them: `NAME=RATE`, or `aws` for all of AWS's. Later ones win, and 0 means none.

    Raises ValueError.
    """
    quotas: dict[str, float] = {}
    for text in texts:
        if text == ALL_OF_AWS:
            quotas |= AWS_QUOTAS
            continue
        name, equals, rate = text.partition("=")
        if name not in AWS_QUOTAS or not equals:
            raise ValueError(f'must be "{ALL_OF_AWS}" or a quota\'s name, "=" and requests/s, not {text!r}')
        quotas[name] = _parse_rate(rate, text)
    return {name: rate for name, rate in quotas.items() if rate}


def _parse_rate(rate: str, text: str) -> float:
    try:
        value = float(rate)
    except ValueError:
        value = math.nan
    if value != 0 and not 0.001 <= value <= 1_000_000:  # which refuses NaN, too
        raise ValueError(f"must have 0, or 0.001 to 1000000 requests/s, not {text!r}")
    return value


def quotas_of(request: Request[Any]) -> tuple[str, ...]:
    """The quotas that a request counts for: one, or two if it uses keys of two types."""
    kind = type(request)
    if kind in _ONLY_SYMMETRIC:
        return (SYMMETRIC,)
    match request:
        case Encrypt() | Decrypt():
            return (_quota_of(request.encryption_algorithm),)
        case ReEncrypt():
            source, destination = request.source_encryption_algorithm, request.destination_encryption_algorithm
            return tuple({_quota_of(source), _quota_of(destination)})
        case Sign() | Verify():
            return (_quota_of(request.signing_algorithm),)
        case DeriveSharedSecret():
            return (ECC,)
        case GenerateDataKeyPair() | GenerateDataKeyPairWithoutPlaintext():
            return (f"GenerateDataKeyPair({request.key_pair_spec})",)
    return (request.operation_name(),)


def _quota_of(algorithm: str) -> str:
    """By the algorithm, which says of what type the key is: if it is of another, the request fails anyway."""
    if algorithm == "SYMMETRIC_DEFAULT":
        return SYMMETRIC
    if algorithm.startswith("RSA"):
        return RSA
    return ML_DSA if algorithm.startswith("ML_DSA") else ECC
