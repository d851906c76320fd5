"""Requests about imported material: what reaches the service, and what is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kms.api import types as t
from tests.kms.face.fake_service import DELETION_US, KEY_ARN, KEY_ID, MATERIAL

Parameters = dict[str, Any]

SUCCESSES: list[tuple[str, Parameters, t.Request[Any], Parameters]] = [
    (
        "GetParametersForImport",
        {"KeyId": KEY_ID, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_4096"},
        t.GetParametersForImport(KEY_ID, "RSAES_OAEP_SHA_256", "RSA_4096"),
        {
            "KeyId": KEY_ARN,
            "ImportToken": b"token",
            "PublicKey": b"public",
            "ParametersValidTo": datetime.fromtimestamp(DELETION_US // 1000 / 1000, tz=UTC),
        },
    ),
    (
        "ImportKeyMaterial",
        {
            "KeyId": KEY_ID,
            "ImportToken": b"token",
            "EncryptedKeyMaterial": b"wrapped",
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
            "ImportType": "NEW_KEY_MATERIAL",
            "KeyMaterialDescription": "mine",
            "KeyMaterialId": MATERIAL,
        },
        t.ImportKeyMaterial(
            KEY_ID, b"token", b"wrapped", t.DOES_NOT_EXPIRE, None, "NEW_KEY_MATERIAL", "mine", MATERIAL
        ),
        {"KeyId": KEY_ARN, "KeyMaterialId": MATERIAL},
    ),
    (
        "ImportKeyMaterial",
        {"KeyId": KEY_ID, "ImportToken": b"token", "EncryptedKeyMaterial": b"wrapped", "ValidTo": 1_700_000_000.5},
        t.ImportKeyMaterial(KEY_ID, b"token", b"wrapped", t.EXPIRES, 1_700_000_000_500_000),
        {"KeyId": KEY_ARN, "KeyMaterialId": MATERIAL},
    ),
    (
        "DeleteImportedKeyMaterial",
        {"KeyId": KEY_ID, "KeyMaterialId": MATERIAL},
        t.DeleteImportedKeyMaterial(KEY_ID, MATERIAL),
        {"KeyId": KEY_ARN},
    ),
]
