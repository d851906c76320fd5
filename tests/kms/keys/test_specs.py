"""The table of key specs against botocore's model."""

from __future__ import annotations

import botocore.session
import pytest

from kms.keys.specs import HMAC_KEY_BYTES, SPECS, algorithms_of

MODEL = botocore.session.get_session().get_service_model("kms")
NOT_SERVED = {"SM2", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"}


def test_every_spec_of_the_model_is_there_or_named_as_missing() -> None:
    assert set(SPECS) | NOT_SERVED == set(MODEL.shape_for("KeySpec").enum)
    assert not set(SPECS) & NOT_SERVED


def test_every_algorithm_is_spelt_as_in_the_model() -> None:
    shapes = {
        "ENCRYPT_DECRYPT": "EncryptionAlgorithmSpec",
        "SIGN_VERIFY": "SigningAlgorithmSpec",
        "GENERATE_VERIFY_MAC": "MacAlgorithmSpec",
        "KEY_AGREEMENT": "KeyAgreementAlgorithmSpec",
    }
    for usage, shape in shapes.items():
        served = {name for spec in SPECS.values() for name in spec.algorithms.get(usage, ())}
        assert served | {"SM2PKE", "SM2DSA"} >= set(MODEL.shape_for(shape).enum)
        assert served <= set(MODEL.shape_for(shape).enum)


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_hmac_keys_are_as_long_as_their_hash(bits: int) -> None:
    assert HMAC_KEY_BYTES[f"HMAC_{bits}"] * 8 == bits
    assert algorithms_of(f"HMAC_{bits}", "GENERATE_VERIFY_MAC") == (f"HMAC_SHA_{bits}",)
