"""HMAC by Wycheproof's vectors: their keys imported, GenerateMac and VerifyMac called."""

from __future__ import annotations

import pytest

from kms.api import types as t
from kms.api.secrets import SecretBytes
from tests.kms.service.vectors.keys import Keys
from tests.vectors.wycheproof import vectors


@pytest.mark.parametrize("protection", ["software", "hsm"])
@pytest.mark.parametrize("bits", [224, 256, 384, 512])
async def test_hmac(keys: Keys, bits: int, protection: str) -> None:
    """Keys are as long as the hash. Shortened tags, which the KMS does not make, verify as wrong ones."""
    algorithm = f"HMAC_SHA_{bits}"
    tried = 0
    for vector in vectors(f"hmac_sha{bits}"):
        if vector.members["keySize"] != bits:
            continue
        key_id = await keys.imported(f"HMAC_{bits}", "GENERATE_VERIFY_MAC", vector["key"], protection=protection)
        message, tag = SecretBytes(vector["msg"]), vector["tag"]
        code = await keys.code(t.VerifyMac(key_id, message, tag, algorithm))
        if len(message) == 0:
            assert code == "ValidationException"
            continue
        is_whole = len(tag) * 8 == bits
        assert code == ("" if vector.is_valid and is_whole else "KMSInvalidMacException"), vector
        made = (await keys.call(t.GenerateMac(key_id, message, algorithm))).mac
        assert (made[: len(tag)] == tag) == vector.is_valid, vector
        tried += 1
    assert tried >= 100
